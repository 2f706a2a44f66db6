#include "migrate/pump_group.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <map>

#include "../support/temp_folder.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;

Deadline soon() {
    return Deadline::after(20s);
}

std::string name_of(unsigned number) {
    return std::string(1, static_cast<char>('a' + number));
}

// Waits for the group's end, whatever keeps it: a hang shows as one here.
Result<void> until_cancelled(const stream::PumpRules& rules) {
    return wait_readable(rules.cancel_fd, soon());
}

class PumpGroupTest : public testing::Test {
  protected:
    // Counts what its channel carries until the end and keeps it by channel.
    PumpBody collecting() {
        return [this](unsigned channel, int local_fd, const stream::PumpRules& rules,
                      stream::PumpCounters& counters) -> Result<stream::PumpTotals> {
            std::string text;
            while (true) {
                std::array<Byte, 256> chunk;
                KZ_TRY(const std::size_t got, read_some(local_fd, chunk, soon(), rules.cancel_fd));
                if (got == 0) break;
                text += as_text(ByteView(chunk).first(got));
                counters.plain_bytes += got;
            }
            counters.sealed_bytes += 10;
            counters.records += 1;
            const std::lock_guard lock(mutex_);
            carried_[channel] = text;
            return stream::PumpTotals{};
        };
    }
    UniqueFd listen() { return unix_listen(socket_, 0600).value(); }
    UniqueFd connect() const { return unix_connect(socket_, soon()).value(); }

    test::TempFolder folder_;
    Path socket_ = folder_.path() / "qemu.sock";
    std::mutex mutex_;
    std::map<unsigned, std::string> carried_;
};

TEST_F(PumpGroupTest, AcceptedChannelsAreNumberedInTheOrderOfConnecting) {
    const auto group = PumpGroup::create().value();
    group->accept_channels(listen(), 3, collecting());
    std::vector<UniqueFd> ends;
    for (unsigned number = 0; number < 3; ++number)
        ends.push_back(connect());
    // The order of talking has nothing to do with it.
    for (const unsigned number : {2U, 0U, 1U}) {
        ASSERT_TRUE(write_all(ends[number].get(), as_bytes(name_of(number)), soon()).has_value());
        ends[number].reset();
    }
    ASSERT_TRUE(group->join().has_value());
    EXPECT_EQ(carried_, (std::map<unsigned, std::string>{{0, "a"}, {1, "b"}, {2, "c"}}));
    EXPECT_FALSE(group->failure());
}

TEST_F(PumpGroupTest, ConnectedChannelsAreMadeInOrder) {
    const auto group = PumpGroup::create().value();
    const UniqueFd listener = listen();
    const PumpBody body = [](unsigned channel, int local_fd, const stream::PumpRules&,
                             stream::PumpCounters&) -> Result<stream::PumpTotals> {
        KZ_CHECK(write_all(local_fd, as_bytes(name_of(channel)), soon()));
        return stream::PumpTotals{};
    };
    ASSERT_TRUE(group->connect_channels(socket_, 4, body, soon()).has_value());
    for (unsigned number = 0; number < 4; ++number) {
        const UniqueFd end = accept_connection(listener.get(), soon()).value();
        Byte byte{};
        ASSERT_TRUE(read_exact(end.get(), MutableBytes(&byte, 1), soon()).has_value());
        EXPECT_EQ(static_cast<char>(byte), 'a' + static_cast<int>(number));
    }
    EXPECT_TRUE(group->join().has_value());
}

TEST_F(PumpGroupTest, JoinGivesTheSumOfAllChannels) {
    const auto group = PumpGroup::create().value();
    group->accept_channels(listen(), 3, collecting());
    for (unsigned number = 0; number < 3; ++number) {
        const UniqueFd end = connect();
        ASSERT_TRUE(write_all(end.get(), as_bytes(std::string(100 * (number + 1), 'x')), soon()).has_value());
    }
    const stream::PumpTotals totals = group->join().value();
    EXPECT_EQ(totals.plain_bytes, 600U);
    EXPECT_EQ(totals.sealed_bytes, 30U);
    EXPECT_EQ(totals.records, 3U);
    EXPECT_TRUE(group->join().has_value()) << "asking again does no harm";
}

TEST_F(PumpGroupTest, TotalsMayBeAskedWhileItWorks) {
    const auto group = PumpGroup::create().value();
    EXPECT_EQ(group->totals().plain_bytes, 0U);
    group->accept_channels(listen(), 1, collecting());
    const UniqueFd end = connect();
    ASSERT_TRUE(write_all(end.get(), as_bytes(std::string(50, 'x')), soon()).has_value());
    const Deadline deadline = soon();
    while (group->totals().plain_bytes < 50)
        ASSERT_FALSE(deadline.passed());
}

TEST_F(PumpGroupTest, TheFirstFailureStopsAllOthers) {
    const auto group = PumpGroup::create().value();
    const UniqueFd listener = listen();
    std::atomic<unsigned> cancelled = 0;
    const PumpBody body = [&](unsigned channel, int, const stream::PumpRules& rules,
                              stream::PumpCounters&) -> Result<stream::PumpTotals> {
        if (channel == 2) return fail(Errc::corrupt, "a record was damaged");
        KZ_CHECK(until_cancelled(rules));
        ++cancelled;
        return fail(Errc::cancelled, "cancelled");
    };
    ASSERT_TRUE(group->connect_channels(socket_, 4, body, soon()).has_value());
    const auto joined = group->join();
    ASSERT_FALSE(joined.has_value());
    EXPECT_EQ(joined.error().code(), Errc::corrupt);
    EXPECT_EQ(joined.error().message(), "channel 2: a record was damaged");
    EXPECT_EQ(cancelled, 3U);
    EXPECT_TRUE(wait_readable(group->failed_fd(), Deadline::after(0ms)).has_value());
    ASSERT_TRUE(group->failure());
    EXPECT_EQ(group->failure()->message(), "channel 2: a record was damaged");
}

TEST_F(PumpGroupTest, AFailureAlsoEndsTheWaitForFurtherChannels) {
    const auto group = PumpGroup::create().value();
    group->accept_channels(
        listen(), 3,
        [](unsigned, int, const stream::PumpRules&, stream::PumpCounters&) -> Result<stream::PumpTotals> {
            return fail(Errc::no_space, "full");
        });
    const UniqueFd only = connect();
    const auto joined = group->join();
    ASSERT_FALSE(joined.has_value());
    EXPECT_EQ(joined.error().code(), Errc::no_space);
    EXPECT_EQ(joined.error().message(), "channel 0: full");
}

TEST_F(PumpGroupTest, WhatASenderStillSendsAfterAFailureIsTakenAndDropped) {
    auto group = PumpGroup::create().value();
    group->accept_channels(
        listen(), 2,
        [](unsigned, int, const stream::PumpRules&, stream::PumpCounters&) -> Result<stream::PumpTotals> {
            return fail(Errc::no_space, "full");
        });
    const UniqueFd first = connect();
    ASSERT_TRUE(wait_readable(group->failed_fd(), soon()).has_value());
    const UniqueFd second = connect();  // after the failure
    const Bytes much(64 * 1024 * 1024);
    for (const UniqueFd* end : {&first, &second})
        EXPECT_TRUE(write_all(end->get(), much, soon()).has_value());
    group.reset();
    EXPECT_FALSE(write_all(first.get(), much, soon()).has_value());
}

// A QEMU whose sockets are closed under it may hang: it is listened to until it has been told to stop.
TEST_F(PumpGroupTest, WhatComesAfterAFailureIsDroppedUntilTheJoin) {
    const auto group = PumpGroup::create().value();
    group->accept_channels(
        listen(), 2,
        [](unsigned, int, const stream::PumpRules&, stream::PumpCounters&) -> Result<stream::PumpTotals> {
            return fail(Errc::no_space, "full");
        });
    const UniqueFd early = connect();
    ASSERT_TRUE(wait_readable(group->failed_fd(), soon()).has_value());
    const UniqueFd late = connect();
    const Bytes much(32 << 20);
    EXPECT_TRUE(write_all(early.get(), much, soon()).has_value());
    EXPECT_TRUE(write_all(late.get(), much, soon()).has_value());
    const auto joined = group->join();
    ASSERT_FALSE(joined.has_value());
    EXPECT_EQ(joined.error().message(), "channel 0: full");
    EXPECT_FALSE(write_all(early.get(), much, soon()).has_value()) << "closed by now";
}

TEST_F(PumpGroupTest, CancelledBeforeAllChannelsCame) {
    const auto group = PumpGroup::create().value();
    group->accept_channels(listen(), 2, collecting());
    const UniqueFd only = connect();
    group->cancel();
    const auto joined = group->join();
    ASSERT_FALSE(joined.has_value());
    EXPECT_EQ(joined.error().code(), Errc::cancelled);
}

TEST_F(PumpGroupTest, CancelledAfterTheEndChangesNothing) {
    const auto group = PumpGroup::create().value();
    group->accept_channels(listen(), 1, collecting());
    connect().reset();
    ASSERT_TRUE(group->join().has_value());
    group->cancel();
    EXPECT_TRUE(group->join().has_value());
}

TEST_F(PumpGroupTest, NobodyListensThere) {
    const auto group = PumpGroup::create().value();
    const auto connected = group->connect_channels(socket_, 2, collecting(), soon());
    ASSERT_FALSE(connected.has_value());
    EXPECT_TRUE(connected.error().message().starts_with("connecting to QEMU: "))
        << connected.error().message();
}

TEST_F(PumpGroupTest, DestroyedWhileItWaitsAndWhileItPumps) {
    std::promise<void> reading;
    auto group = PumpGroup::create().value();
    group->accept_channels(listen(), 5,
                           [&](unsigned, int local_fd, const stream::PumpRules& rules,
                               stream::PumpCounters&) -> Result<stream::PumpTotals> {
                               reading.set_value();
                               KZ_CHECK(wait_readable(local_fd, soon(), rules.cancel_fd));
                               return stream::PumpTotals{};
                           });
    const UniqueFd silent = connect();
    reading.get_future().wait();
    auto destroyed = std::async(std::launch::async, [&] { group.reset(); });
    EXPECT_EQ(destroyed.wait_for(10s), std::future_status::ready);
}

}  // namespace
}  // namespace kz::migrate
