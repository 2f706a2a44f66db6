#include "client/locked_zone.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "../support/temp_folder.h"
#include "os/uuid.h"
#include "store/runtime.h"

namespace kz::client {
namespace {

using zone::State;

class LockedZoneTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(registry_.save_config(zone::Config("z1")).has_value()); }

    void put(State state, const std::string& reason = {}) {
        store::ZoneRecord record;
        record.uuid = "u1";
        record.state = std::min(state, State::installed);
        record.reason = reason;
        ASSERT_TRUE(registry_.put_record("z1", record).has_value());
        if (state < State::ready) return;
        store::RuntimeRecord runtime;
        runtime.zone_id = 1;
        runtime.state = state;
        runtime.monitor = identify_process(::getpid()).value();
        ASSERT_TRUE(store::save_runtime(paths_, "z1", runtime).has_value());
    }
    LockedZone take() const { return LockedZone::take(registry_, "z1").value(); }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    store::Registry registry_ = store::Registry::open(paths_).value();
};

TEST_F(LockedZoneTest, HoldsTheLockWhileItLives) {
    EXPECT_FALSE(registry_.locked("z1"));
    {
        const LockedZone locked = take();
        EXPECT_TRUE(registry_.locked("z1"));
        EXPECT_EQ(locked.status().name, "z1");
        EXPECT_EQ(locked.status().state, State::configured);
    }
    EXPECT_FALSE(registry_.locked("z1"));
}

TEST_F(LockedZoneTest, AZoneThatIsNotThere) {
    const auto locked = LockedZone::take(registry_, "none");
    ASSERT_FALSE(locked.has_value());
    EXPECT_EQ(locked.error().code(), Errc::not_found);
    EXPECT_EQ(locked.error().message(), "No such zone configured");
}

struct Refusal {
    State state;
    const char* operation;
    const char* message;
};

class WrongStateTest : public LockedZoneTest, public testing::WithParamInterface<Refusal> {};

TEST_P(WrongStateTest, TheOriginalsWords) {
    put(GetParam().state);
    const std::unexpected<Error> refusal = take().wrong_state(GetParam().operation);
    EXPECT_EQ(refusal.error().code(), Errc::wrong_state);
    EXPECT_EQ(refusal.error().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    States, WrongStateTest,
    testing::Values(Refusal{State::configured, "boot", "must be installed before boot."},
                    Refusal{State::configured, "ready", "must be installed before ready."},
                    Refusal{State::configured, "detach", "must be installed before detach."},
                    Refusal{State::configured, "uninstall", "is already in state 'configured'."},
                    Refusal{State::configured, "halt", "not running"},
                    Refusal{State::configured, "suspend", "not running"},
                    Refusal{State::configured, "mark", "mark operation is invalid for configured zones."},
                    Refusal{State::incomplete, "boot", "zone is incomplete; uninstall required."},
                    Refusal{State::incomplete, "install", "zone is incomplete; uninstall required."},
                    Refusal{State::incomplete, "attach", "zone is incomplete; uninstall required."},
                    Refusal{State::incomplete, "halt", "zone is incomplete; uninstall required."},
                    Refusal{State::unavailable, "boot", "boot operation is invalid for unavailable zones."},
                    Refusal{State::unavailable, "halt", "halt operation is invalid for unavailable zones."},
                    Refusal{State::installed, "install", "is already installed."},
                    Refusal{State::installed, "attach", "is already installed."},
                    Refusal{State::installed, "halt", "not running"},
                    Refusal{State::installed, "shutdown", "not running"},
                    Refusal{State::installed, "reboot", "not running"},
                    Refusal{State::installed, "suspend", "not running"},
                    Refusal{State::installed, "rename", "rename operation is invalid for installed zones."},
                    Refusal{State::ready, "suspend", "suspend operation is invalid for ready zones."},
                    Refusal{State::running, "boot", "boot operation is invalid for running zones."},
                    Refusal{State::running, "uninstall", "uninstall operation is invalid for running zones."},
                    Refusal{State::running, "install", "install operation is invalid for running zones."},
                    Refusal{State::running, "detach", "detach operation is invalid for running zones."},
                    Refusal{State::shutting_down, "halt",
                            "halt operation is invalid for shutting_down zones."}));

TEST_F(LockedZoneTest, AnUnavailableZoneSaysWhy) {
    put(State::unavailable, "the disk is gone");
    const std::unexpected<Error> refusal = take().wrong_state("boot");
    EXPECT_EQ(refusal.error().code(), Errc::unavailable);
    EXPECT_EQ(refusal.error().message(),
              "boot operation is invalid for unavailable zones.\nthe disk is gone");
}

TEST_F(LockedZoneTest, PutStateReplacesStateReasonAndAuxOnly) {
    store::ZoneRecord record;
    record.uuid = "u1";
    record.state = State::unavailable;
    record.reason = "why";
    record.aux = {zone::Aux::suspended};
    record.other["later"] = 5;
    ASSERT_TRUE(registry_.put_record("z1", record).has_value());
    LockedZone locked = take();
    ASSERT_TRUE(locked.put_state(State::installed).has_value());
    EXPECT_EQ(locked.status().state, State::installed);
    record.state = State::installed;
    record.reason.clear();
    record.aux.clear();
    EXPECT_EQ(registry_.record("z1").value(), record);
    ASSERT_TRUE(locked.put_state(State::unavailable, "again", {zone::Aux::suspended}).has_value());
    EXPECT_EQ(registry_.record("z1")->reason, "again");
    EXPECT_TRUE(registry_.record("z1")->aux.contains(zone::Aux::suspended));
}

TEST_F(LockedZoneTest, AStateOfAMachineIsNotRecorded) {
    LockedZone locked = take();
    EXPECT_FALSE(locked.put_state(State::running).has_value());
    EXPECT_EQ(locked.status().state, State::configured);
    EXPECT_EQ(registry_.record("z1").value(), store::ZoneRecord{});
}

TEST_F(LockedZoneTest, TheUuidIsMadeOnce) {
    const std::string made = take().ensure_uuid().value();
    EXPECT_TRUE(is_uuid(made));
    EXPECT_EQ(registry_.record("z1")->uuid, made);
    EXPECT_EQ(take().ensure_uuid().value(), made);
    LockedZone locked = take();
    ASSERT_TRUE(locked.put_uuid("").has_value());
    EXPECT_NE(locked.ensure_uuid().value(), made) << "after an uninstall it is another zone";
}

}  // namespace
}  // namespace kz::client
