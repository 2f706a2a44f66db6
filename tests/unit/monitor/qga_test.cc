#include "monitor/qga.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

Deadline soon() {
    return Deadline::after(20s);
}

// A guest's qemu-ga: answers each line by `answer`, until its socket ends.
class FakeGuest {
  public:
    using Answer = std::function<std::string(const Json& request)>;
    FakeGuest(UniqueFd fd, Answer answer)
        : fd_(std::move(fd)), thread_([this, answer = std::move(answer)] { serve(answer); }) {}

    // Nothing to somebody who has hung up.
    void say(std::string_view text) {
        [[maybe_unused]] const Result<void> said = write_all(fd_.get(), as_bytes(text), soon());
    }

  private:
    void serve(const Answer& answer) {
        std::string input;
        std::array<Byte, 4096> chunk;
        while (true) {
            const auto got = read_some(fd_.get(), chunk, soon());
            if (!got || *got == 0) return;
            input.append(as_text(ByteView(chunk).first(*got)));
            for (std::size_t end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
                const Json request = parse_json(input.substr(0, end)).value();
                input.erase(0, end + 1);
                const std::string reply = request["execute"] == "guest-sync-delimited"
                                              ? "\xff" + Json{{"return", request["arguments"]["id"]}}.dump()
                                              : answer(request);
                if (!reply.empty()) say(reply + "\n");
            }
        }
    }
    UniqueFd fd_;
    std::jthread thread_;
};

class QgaTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths_.zone_run_dir("z1"), 0755));
        agent_ = Agent::open({paths_, "z1", log_}).value();
        qga_ = Qga::create(*agent_, log_).value();
    }
    void TearDown() override {
        qga_.reset();
        guest_.reset();
    }
    void start_guest(FakeGuest::Answer answer) {
        auto [ours, theirs] = unix_socket_pair().value();
        guest_ = std::make_unique<FakeGuest>(std::move(theirs), std::move(answer));
        qga_->attach(std::move(ours));
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(::open("/dev/null", O_WRONLY)), "test"};
    std::unique_ptr<Agent> agent_;
    std::unique_ptr<FakeGuest> guest_;
    std::unique_ptr<Qga> qga_;
};

std::string addresses_reply(const Json& request) {
    if (request["execute"] != "guest-network-get-interfaces") return R"({"return":{}})";
    return R"({"return":[{"name":"lo","ip-addresses":[{"ip-address":"127.0.0.1","prefix":8}]},)"
           R"({"name":"ens\u001b3","ip-addresses":[{"ip-address":"192.0.2.9","prefix":24},)"
           R"({"ip-address":"fe80::1","prefix":64},{"ip-address":"not one","prefix":1},)"
           R"({"ip-address":"2001:db8::9","prefix":64}]},"rubbish",{"name":"bare"}]})";
}

TEST_F(QgaTest, AsksNothingBeforeThePortIsOpen) {
    start_guest(addresses_reply);
    const auto asked = qga_->ask("guest-ping", Json::object(), soon());
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().code(), Errc::unavailable);
}

TEST_F(QgaTest, AddressesAndUsableWhereOnlyItAnswers) {
    start_guest(addresses_reply);
    qga_->port_changed(true);
    EXPECT_TRUE(agent_->wait_until_usable(soon()));
    const store::GuestReport report = store::load_guest_report(paths_, "z1").value();
    EXPECT_EQ(report.agent, "qemu-ga");
    EXPECT_EQ(report.addresses,
              (std::vector<store::GuestAddress>{{"ens?3", "192.0.2.9/24"}, {"ens?3", "2001:db8::9/64"}}));
    qga_->port_changed(false);
    EXPECT_FALSE(store::load_guest_report(paths_, "z1"));
}

TEST_F(QgaTest, WhatOthersHaveLeftIsPassedOver) {
    start_guest([](const Json&) { return std::string(R"({"return":7})"); });
    guest_->say("{\"return\": half of an old answer\n{\"return\":1}\n");
    qga_->port_changed(true);
    EXPECT_EQ(qga_->ask("guest-fsfreeze-freeze", Json::object(), soon()).value(), Json(7));
}

TEST_F(QgaTest, ItsRefusalIsToldInPrintableWords) {
    start_guest([](const Json&) {
        return std::string(R"({"error":{"class":"GenericError","desc":"no\u001b way"}})");
    });
    qga_->port_changed(true);
    const auto refused = qga_->ask("guest-fsfreeze-freeze", Json::object(), soon());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(), "qemu-ga: no? way");
}

TEST_F(QgaTest, SilenceEnds) {
    start_guest([](const Json&) { return std::string(); });
    qga_->port_changed(true);
    const auto silent = qga_->ask("guest-ping", Json::object(), Deadline::after(50ms));
    ASSERT_FALSE(silent);
    EXPECT_EQ(silent.error().code(), Errc::timeout);
}

TEST_F(QgaTest, NoiseEnds) {
    start_guest([](const Json&) { return std::string(300'000, 'x'); });
    qga_->port_changed(true);
    EXPECT_FALSE(qga_->ask("guest-ping", Json::object(), Deadline::after(2s)));
}

TEST_F(QgaTest, TheClockIsSetWhenTheGuestGoesOn) {
    std::atomic<std::uint64_t> told = 0;
    start_guest([&](const Json& request) {
        if (request["execute"] == "guest-set-time") told = request["arguments"]["time"].get<std::uint64_t>();
        return std::string(R"({"return":{}})");
    });
    qga_->set_clock();
    qga_->port_changed(true);
    const Deadline deadline = soon();
    while (told == 0 && !deadline.passed())
        std::this_thread::sleep_for(1ms);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    EXPECT_LT(std::chrono::abs(std::chrono::nanoseconds(told) - now), 10s);
}

}  // namespace
}  // namespace kz::monitor
