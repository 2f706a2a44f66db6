// Operations on a zone that has no machine: what is refused before anything is done.
#include "monitor/operations.h"

#include <gtest/gtest.h>

#include "../support/temp_folder.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

class OperationsTest : public testing::Test {
  protected:
    void SetUp() override {
        const store::Registry registry = store::Registry::open(paths_).value();
        ASSERT_TRUE(registry.save_config(zone::Config("z1")).has_value());
        start_monitor();
    }
    void start_monitor() {
        operations_.reset();
        run_.reset();
        run_ = ZoneRun::open(paths_, "z1").value();
        run_->is_ready();
        operations_ = std::make_unique<Operations>(*run_);
    }
    Result<Json> handle(const Json& request) {
        Caller caller(ends_.first.get(), {});
        // As it comes from the socket.
        return operations_->handle(parse_json(render_json(request)).value(), caller);
    }
    void expect_refused(const Json& request, Errc code, const std::string& message) {
        const Result<Json> outcome = handle(request);
        ASSERT_FALSE(outcome.has_value()) << request.dump();
        EXPECT_EQ(outcome.error().code(), code) << request.dump();
        EXPECT_EQ(outcome.error().message(), message) << request.dump();
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    std::pair<UniqueFd, UniqueFd> ends_ = unix_socket_pair().value();
    std::unique_ptr<ZoneRun> run_;
    std::unique_ptr<Operations> operations_;
};

TEST_F(OperationsTest, AZoneWithoutAMachineIsNotRunning) {
    for (const char* name : {"boot", "halt", "reboot", "suspend", "migrate", "sing"})
        expect_refused({{"op", name}}, Errc::wrong_state, "not running");
    expect_refused({{"op", "shutdown"}, {"reboot", false}, {"patience", 1}}, Errc::wrong_state,
                   "not running");
}

TEST_F(OperationsTest, LimitsAreOfAMigrationThatIsUnderWay) {
    expect_refused({{"op", "limit-move"}, {"bandwidth_bytes", 1000}}, Errc::wrong_state,
                   "no live migration of the zone is under way");
    EXPECT_FALSE(handle({{"op", "limit-move"}}).has_value());
}

TEST(MoveLimits, CountAsLongAsTheyAreUsed) {
    MoveLimits limits;
    EXPECT_EQ(limits.set_bandwidth(5).error().code(), Errc::wrong_state);
    {
        const MoveLimits::Use use(limits, 1000);
        EXPECT_EQ(use.limiter().rate(), 1000U);
        EXPECT_TRUE(limits.set_bandwidth(5).has_value());
        EXPECT_EQ(use.limiter().rate(), 5U);
    }
    EXPECT_EQ(limits.set_bandwidth(7).error().code(), Errc::wrong_state);
    const MoveLimits::Use next(limits, 0);
    EXPECT_EQ(next.limiter().rate(), 0U) << "nothing stays from the one before";
}

TEST_F(OperationsTest, OneOperationAtATime) {
    const std::lock_guard other(run_->operation());
    for (const char* name : {"boot", "halt", "incoming-boot"})
        expect_refused({{"op", name}}, Errc::busy, "another operation on the zone is in progress");
    expect_refused({{"op", "shutdown"}, {"reboot", false}, {"patience", 1}}, Errc::busy,
                   "another operation on the zone is in progress");
    EXPECT_EQ(handle({{"op", "status"}}).value(), Json({{"busy", true}}));
}

TEST_F(OperationsTest, StatusIsAlwaysAnswered) {
    const Json status = handle({{"op", "status"}}).value();
    EXPECT_EQ(status["busy"], false);
    EXPECT_EQ(status["state"], "ready");
    EXPECT_EQ(status["aux"], "");
}

TEST_F(OperationsTest, NothingIsDoneForAMonitorThatEnds) {
    run_->finish();
    expect_refused({{"op", "halt"}}, Errc::wrong_state, "not running");
    expect_refused({{"op", "incoming-boot"}}, Errc::wrong_state, "not running");
}

TEST_F(OperationsTest, ShutdownNeedsItsFields) {
    expect_refused({{"op", "shutdown"}, {"patience", 1}}, Errc::corrupt,
                   "field 'reboot' is missing or not true or false");
    expect_refused({{"op", "shutdown"}, {"reboot", true}}, Errc::corrupt,
                   "field 'patience' is missing or not a whole number");
    expect_refused({{"op", 5}}, Errc::corrupt, "field 'op' is missing or not a text");
}

TEST_F(OperationsTest, StepsOfAMigrationThatNobodyBegan) {
    for (const char* name : {"incoming-loaded", "incoming-resume", "incoming-cancel", "incoming-lost"})
        expect_refused({{"op", name}}, Errc::wrong_state, "no migration to this host is under way");
}

// The monitor was started for this migration alone and ends with it.
TEST_F(OperationsTest, AMigrationWithImpossibleFiguresIsRefused) {
    const Json good{{"op", "incoming-boot"}, {"connections", 1},     {"cipher", "none"},
                    {"machine_type", "q35"}, {"migration_id", "00"}, {"accel", "tcg"}};
    struct Case {
        const char* key;
        Json value;
        Errc code;
        std::string message;
    };
    for (const Case& each :
         {Case{"connections", 0, Errc::protocol, "0 memory connections are not possible"},
          Case{"connections", migrate::kMaxChannels, Errc::protocol,
               fmt::format("{} memory connections are not possible", migrate::kMaxChannels)},
          Case{"cipher", "rot13", Errc::invalid_argument, "unknown cipher 'rot13'"},
          Case{"migration_id", nullptr, Errc::corrupt, "field 'migration_id' is missing or not a text"},
          Case{"machine_type", 5, Errc::corrupt, "field 'machine_type' is missing or not a text"}}) {
        Json request = good;
        request[each.key] = each.value;
        expect_refused(request, each.code, each.message);
        EXPECT_TRUE(run_->finished()) << each.key;
        start_monitor();
    }
}

}  // namespace
}  // namespace kz::monitor
