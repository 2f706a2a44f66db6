// FakeQemu: the other end of a QMP connection, played by the test line by line.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "os/io.h"
#include "os/socket.h"
#include "qemu/qmp.h"
#include "qemu/qmp_message.h"

namespace kz::qemu {

inline Deadline soon() {
    return Deadline::after(std::chrono::seconds(20));
}

class FakeQemu {
  public:
    static constexpr std::string_view kGreeting =
        R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}})";

    FakeQemu() {
        auto pair = unix_socket_pair();
        EXPECT_TRUE(pair);
        client_ = std::move(pair->first);
        server_ = std::move(pair->second);
    }

    int fd() const { return server_.get(); }
    UniqueFd take_client() { return std::move(client_); }
    void hang_up() { server_.reset(); }

    void say(std::string_view line) { say_raw(std::string(line) + "\r\n"); }
    void say_raw(std::string_view text) {
        // The client may have closed already: that is what some tests are about.
        [[maybe_unused]] const auto sent = write_all(server_.get(), as_bytes(text), soon());
    }
    void answer(const nlohmann::json& command, std::string_view value = "{}") {
        say(fmt::format(R"({{"return": {}, "id": {}}})", value, command["id"].dump()));
    }
    void event(std::string_view name) { say(fmt::format(R"({{"event": "{}"}})", name)); }

    // The next command; null when the client has closed.
    nlohmann::json hear() {
        std::array<Byte, 4096> buffer;
        while (true) {
            if (const auto line = lines_.next_line()) return nlohmann::json::parse(*line);
            const auto got = read_some(server_.get(), buffer, soon());
            if (!got || *got == 0) return nullptr;
            EXPECT_TRUE(lines_.append(ByteView(buffer).first(*got)));
        }
    }
    void greet() {
        say(kGreeting);
        const nlohmann::json command = hear();
        EXPECT_EQ(command.value("execute", ""), "qmp_capabilities");
        answer(command);
    }

    // Greets and attaches.
    std::unique_ptr<Qmp> attach(QmpHandlers handlers = {}) {
        std::jthread greeter([this] { greet(); });
        auto qmp = Qmp::attach(take_client(), soon(), std::move(handlers));
        EXPECT_TRUE(qmp) << qmp.error().message();
        return qmp ? std::move(*qmp) : nullptr;
    }

  private:
    UniqueFd client_;
    UniqueFd server_;
    LineBuffer lines_;
};

}  // namespace kz::qemu
