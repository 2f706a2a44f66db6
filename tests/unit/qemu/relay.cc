#include "relay.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fake_qemu.h"

namespace kz::qemu {

Relay::Relay(const Path& from, Path to)
    : to_(std::move(to)), listener_(*unix_listen(from, 0666)), stop_(*EventFd::create()) {
    EXPECT_EQ(::chmod(from.c_str(), 0666), 0);
    acceptor_ = std::jthread([this] { accept_all(); });
}

Relay::~Relay() {
    stop_.signal();
    acceptor_.join();
}

void Relay::accept_all() {
    while (auto connection = accept_connection(listener_.get(), Deadline::never(), stop_.fd())) {
        ++connections_;
        // Connected here, so that the target sees the order of the source: QEMU 7.2 takes the first for the
        // main one.
        UniqueFd to = unix_connect(to_, soon()).value_or(UniqueFd());
        pumps_.emplace_back([this, from = std::move(*connection), to = std::move(to)] { pump(from, to); });
    }
}

void Relay::pump(const UniqueFd& from, const UniqueFd& to) const {
    bool alive = to.get() >= 0;
    std::vector<Byte> buffer(64 * 1024);
    while (true) {
        const auto got = read_some(from.get(), buffer, Deadline::never(), stop_.fd());
        if (!got || *got == 0) return;
        if (alive) alive = write_all(to.get(), ByteView(buffer).first(*got), soon()).has_value();
    }
}

}  // namespace kz::qemu
