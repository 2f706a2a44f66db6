#include "store/settings.h"

#include <gtest/gtest.h>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "store/host.h"

namespace kz::store {
namespace {

using namespace std::chrono_literals;

std::string error_of(std::string_view text) {
    const Result<Settings> settings = parse_settings(text, "settings");
    return settings ? "" : settings.error().message();
}

TEST(Settings, DefaultsWithoutAFile) {
    const test::TempFolder folder;
    const Settings settings = load_settings(HostPaths(folder.path())).value();
    EXPECT_EQ(settings, Settings{});
    EXPECT_EQ(settings.lease.renew, 5s);
    EXPECT_EQ(settings.lease.takeover, 40s);
    EXPECT_EQ(settings.storage_timeout, 10s);
    EXPECT_TRUE(settings.lease.check().has_value());
}

TEST(Settings, AreReadFromTheFile) {
    const test::TempFolder folder;
    const HostPaths paths(folder.path());
    ASSERT_TRUE(make_directories(paths.etc_zones(), 0755).has_value());
    ASSERT_TRUE(write_file_atomic(paths.etc_zones() / "settings",
                                  "# timings of the lab\n\nlease.renew=200ms # fast\n lease.pause = 1s\n"
                                  "lease.fence = 2 s\nlease.takeover = 1min\nlease.claim-wait = 500ms\n"
                                  "lease.claim-fresh = 100ms\nstorage.timeout = 900ms",
                                  0644)
                    .has_value());
    const Settings settings = load_settings(paths).value();
    EXPECT_EQ(settings.lease, (storage::LeaseTimings{.renew = 200ms,
                                                     .pause = 1s,
                                                     .fence = 2s,
                                                     .takeover = 60s,
                                                     .claim_wait = 500ms,
                                                     .claim_fresh = 100ms}));
    EXPECT_EQ(storage_access(paths)->operation_timeout, 900ms);
}

TEST(Settings, ErrorsNameTheLine) {
    EXPECT_EQ(error_of("\nlease.fast = 5s"), "settings:2: there is no setting 'lease.fast'");
    EXPECT_EQ(error_of("lease.renew"), "settings:1: 'lease.renew' is not of the form name = value");
    EXPECT_EQ(error_of("lease.renew = 5s\nlease.renew = 5s"), "settings:2: lease.renew is set twice");
    for (const char* bad : {"", "5", "s", "-5s", "1.5s", "5h", "5ss"}) {
        EXPECT_EQ(
            error_of(std::string("lease.renew = ") + bad),
            fmt::format("settings:1: lease.renew: '{}' is not a duration; write for example 200ms, 5s or "
                        "2min",
                        bad));
    }
    EXPECT_EQ(error_of("lease.renew = 0s"), "settings:1: lease.renew: '0s' is no time at all");
    EXPECT_EQ(error_of("lease.renew = 61min"), "settings:1: lease.renew: '61min' is longer than an hour");
    EXPECT_EQ(
        error_of("lease.renew = 99999999999999999999s"),
        "settings:1: lease.renew: '99999999999999999999s' is not a duration; write for example 200ms, 5s or "
        "2min");
}

TEST(Settings, ContradictionsNameBoth) {
    EXPECT_EQ(error_of("lease.renew = 7s"),
              "settings: lease.pause (20s) must be at least 3 times lease.renew (7s)");
    EXPECT_EQ(error_of("lease.pause = 30s"),
              "settings: lease.pause (30s) must be shorter than lease.fence (30s)");
    EXPECT_EQ(error_of("lease.takeover = 30s"),
              "settings: lease.fence (30s) must be shorter than lease.takeover (30s)");
    EXPECT_EQ(error_of("lease.claim-fresh = 1001ms"),
              "settings: lease.claim-wait (2s) must be at least 2 times lease.claim-fresh (1001ms)");
    EXPECT_EQ(error_of("lease.claim-wait = 40s"),
              "settings: lease.claim-wait (40s) must be shorter than lease.takeover (40s)");
    EXPECT_EQ(error_of("storage.timeout = 20s"),
              "settings: storage.timeout (20s) must be shorter than lease.pause (20s)");
}

}  // namespace
}  // namespace kz::store
