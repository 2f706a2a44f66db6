#include "qemu/migration.h"

#include <gmock/gmock.h>

#include <future>

#include "fake_qemu.h"

namespace kz::qemu {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

class MigrationTest : public testing::Test {
  protected:
    Result<MigrationState> query(std::string_view answer) {
        auto state = std::async(std::launch::async, [this] { return query_migration(*qmp_); });
        // On one line, as QEMU would.
        qemu_.answer(qemu_.hear(), json::parse(answer).dump());
        return state.get();
    }
    FakeQemu qemu_;
    std::unique_ptr<Qmp> qmp_ = qemu_.attach();
};

TEST_F(MigrationTest, OutgoingSetsEveryCapabilityAndLimit) {
    auto done = std::async(std::launch::async, [this] {
        return set_up_outgoing(*qmp_, {.channels = 4,
                                       .max_bytes_per_second = 1000,
                                       .downtime_limit = milliseconds(250),
                                       .pause_before_switchover = true});
    });
    const json capabilities = qemu_.hear();
    qemu_.answer(capabilities);
    const json channels = qemu_.hear();
    qemu_.answer(channels);
    const json limits = qemu_.hear();
    qemu_.answer(limits);
    ASSERT_TRUE(done.get());
    EXPECT_EQ(capabilities["execute"], "migrate-set-capabilities");
    EXPECT_EQ(capabilities["arguments"]["capabilities"], json::parse(R"([
        {"capability": "events", "state": true}, {"capability": "multifd", "state": true},
        {"capability": "pause-before-switchover", "state": true},
        {"capability": "auto-converge", "state": false}, {"capability": "postcopy-ram", "state": false}])"));
    EXPECT_EQ(channels["arguments"], json::parse(R"({"multifd-channels": 4})"));
    EXPECT_EQ(limits["arguments"], json::parse(R"({"max-bandwidth": 1000, "downtime-limit": 250})"));
}

TEST_F(MigrationTest, NoMigrationYet) {
    EXPECT_EQ(query("{}")->status, MigrationStatus::none);
}

TEST_F(MigrationTest, ActiveOne) {
    const auto state =
        query(R"({"status": "active", "expected-downtime": 9223372036854775807, "total-time": 1500,
        "cpu-throttle-percentage": 20, "ram": {"dirty-pages-rate": 7, "dirty-sync-count": 3, "duplicate": 11,
        "mbps": 305.5, "multifd-bytes": 99, "page-size": 4096, "remaining": 5, "total": 34086912,
        "transferred": 569311}})");
    ASSERT_TRUE(state);
    EXPECT_EQ(state->status, MigrationStatus::active);
    EXPECT_EQ(state->transferred, 569311U);
    EXPECT_EQ(state->remaining, 5U);
    EXPECT_EQ(state->total, 34086912U);
    EXPECT_EQ(state->dirty_pages_per_second, 7U);
    EXPECT_EQ(state->iteration, 3U);
    EXPECT_EQ(state->zero_pages, 11U);
    EXPECT_EQ(state->multifd_bytes, 99U);
    EXPECT_EQ(state->throttle_percent, 20U);
    EXPECT_DOUBLE_EQ(state->megabits_per_second, 305.5);
    EXPECT_EQ(state->total_time, milliseconds(1500));
    EXPECT_EQ(state->expected_downtime, std::chrono::hours(24));
}

TEST_F(MigrationTest, StrangeAnswersAreNoCrash) {
    EXPECT_EQ(query("[]").error().code(), Errc::protocol);
    EXPECT_EQ(query(R"({"status": 7})")->status, MigrationStatus::unknown);
    EXPECT_EQ(query(R"({"status": "postcopy-recover-setup"})")->status, MigrationStatus::unknown);
    const auto odd = query(R"({"status": "active", "ram": {"total": -1, "mbps": "fast", "page-size": 0}})");
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->total, 0U);
    EXPECT_EQ(odd->page_size, 4096U);
    EXPECT_EQ(query(R"({"status": "active", "ram": 3})")->transferred, 0U);
}

TEST_F(MigrationTest, StatusNamesAreThoseOfQemu) {
    EXPECT_EQ(migration_status_name(MigrationStatus::pre_switchover), "pre-switchover");
    EXPECT_EQ(migration_status_name(MigrationStatus::unknown), "unknown");
    EXPECT_TRUE(migration_ended(MigrationStatus::failed));
    EXPECT_FALSE(migration_ended(MigrationStatus::cancelling));
}

TEST_F(MigrationTest, EventWakesTheWaitAndTheRunStateIsAwaited) {
    auto end = std::async(std::launch::async, [this] { return wait_for_end(*qmp_, soon()); });
    qemu_.answer(qemu_.hear(), R"({"status": "active"})");
    qemu_.say(R"({"event": "MIGRATION", "data": {"status": "completed"}})");
    // The next question comes at once, or half a second later without the event; both are right.
    qemu_.answer(qemu_.hear(), R"({"status": "completed", "downtime": 12})");
    for (const char* run_state : {"finish-migrate", "finish-migrate", "postmigrate"}) {
        const json command = qemu_.hear();
        EXPECT_EQ(command["execute"], "query-status");
        qemu_.answer(command, fmt::format(R"({{"status": "{}"}})", run_state));
    }
    const auto state = end.get();
    ASSERT_TRUE(state) << state.error().message();
    EXPECT_EQ(state->downtime, milliseconds(12));
}

TEST_F(MigrationTest, FailureTellsQemusReason) {
    auto end = std::async(std::launch::async, [this] { return wait_for_end(*qmp_, soon()); });
    qemu_.answer(qemu_.hear(),
                 R"({"status": "failed", "error-desc": "Unable to write to socket: Broken pipe"})");
    qemu_.answer(qemu_.hear(), R"({"status": "running"})");
    const auto state = end.get();
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().message(), "migration failed: Unable to write to socket: Broken pipe");
}

TEST_F(MigrationTest, LostConnectionEndsTheWait) {
    auto end = std::async(std::launch::async, [this] { return wait_for_end(*qmp_, Deadline::never()); });
    qemu_.answer(qemu_.hear(), R"({"status": "active"})");
    qemu_.hang_up();
    EXPECT_EQ(end.get().error().code(), Errc::unavailable);
}

}  // namespace
}  // namespace kz::qemu
