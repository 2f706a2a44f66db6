#include "cli/migrate_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz::cli {
namespace {

using testing::HasSubstr;

Result<MigrateArguments> read(std::vector<std::string> words) {
    words.insert(words.begin(), "migrate");
    return read_migrate_arguments(words);
}

TEST(MigrateArgumentsTest, WhatIsNotSaid) {
    const MigrateArguments arguments = read({"node2"}).value();
    EXPECT_EQ(arguments.options.destination, "node2");
    EXPECT_EQ(arguments.options.type, "auto");
    EXPECT_EQ(arguments.options.max_pause_ms, 300U);
    EXPECT_EQ(arguments.options.deadline_s, 0U);
    EXPECT_EQ(arguments.options.on_deadline, "cancel");
    EXPECT_EQ(arguments.options.bandwidth_bytes, 0U);
    EXPECT_EQ(arguments.options.connections, 0U);
    EXPECT_FALSE(arguments.options.post_copy || arguments.options.tunnel || arguments.options.dry_run ||
                 arguments.json || arguments.quiet || arguments.verbose || arguments.boot_writable);
}

TEST(MigrateArgumentsTest, EveryOption) {
    const std::string key = "SHA256:" + std::string(43, 'A');
    const MigrateArguments arguments =
        read({"-nqvw", "-c", "none", "-t", "live", "--max-pause", "50", "--deadline=600", "--on-deadline",
              "force", "--bandwidth", "1Gbit", "--connections", "4", "--json", "--fingerprint", key,
              "--tunnel", "ssh://root@node2"})
            .value();
    EXPECT_TRUE(arguments.options.dry_run && arguments.quiet && arguments.verbose && arguments.boot_writable);
    EXPECT_TRUE(arguments.json && arguments.options.tunnel);
    EXPECT_EQ(arguments.options.cipher, "none");
    EXPECT_EQ(arguments.options.type, "live");
    EXPECT_EQ(arguments.options.max_pause_ms, 50U);
    EXPECT_EQ(arguments.options.deadline_s, 600U);
    EXPECT_EQ(arguments.options.on_deadline, "force");
    EXPECT_EQ(arguments.options.bandwidth_bytes, 125'000'000U);
    EXPECT_EQ(arguments.options.connections, 4U);
    EXPECT_EQ(arguments.options.host_fingerprint, key);
    EXPECT_EQ(arguments.options.destination, "ssh://root@node2");
    EXPECT_TRUE(read({"--accept-new", "h"}).value().options.accept_new_host_key);
}

TEST(MigrateArgumentsTest, PostCopyGoesOverOneConnection) {
    EXPECT_TRUE(read({"--post-copy", "h"}).value().options.post_copy);
    EXPECT_TRUE(read({"--post-copy", "--connections", "1", "h"}).value().options.post_copy);
    EXPECT_EQ(read({"--post-copy", "--connections", "2", "h"}).error().code(), Errc::invalid_argument);
}

TEST(MigrateArgumentsTest, BandwidthOfTheOneThatRuns) {
    EXPECT_EQ(read({"--set-bandwidth", "2M"}).value().set_bandwidth, 2U << 20U);
    EXPECT_EQ(read({"--set-bandwidth=none"}).value().set_bandwidth, 0U);
    EXPECT_EQ(read({"node2"}).value().set_bandwidth, std::nullopt);
}

struct Wrong {
    std::vector<std::string> words;
    const char* reason;
};

class WrongArguments : public testing::TestWithParam<Wrong> {};

TEST_P(WrongArguments, AreRefusedWithAReason) {
    const auto arguments = read(GetParam().words);
    ASSERT_FALSE(arguments.has_value());
    EXPECT_EQ(arguments.error().code(), Errc::invalid_argument);
    EXPECT_THAT(arguments.error().message(), HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongArguments,
    testing::Values(Wrong{{}, ""}, Wrong{{"a", "b"}, ""}, Wrong{{"-Q", "h"}, ""}, Wrong{{"h", "-t"}, ""},
                    Wrong{{"--max-pause", "0", "h"}, "--max-pause is a number from 1 to 60000, not '0'"},
                    Wrong{{"--max-pause", "60001", "h"}, "not '60001'"},
                    Wrong{{"--deadline", "soon", "h"}, "--deadline is a number from 1 to"},
                    Wrong{{"--deadline", "9", "--on-deadline", "panic", "h"}, "one of cancel, force"},
                    Wrong{{"--on-deadline", "force", "h"}, "needs a --deadline"},
                    Wrong{{"--bandwidth", "fast", "h"}, "'fast' is not a rate"},
                    Wrong{{"--set-bandwidth", "fast"}, "'fast' is not a rate"},
                    Wrong{{"--set-bandwidth", "1M", "h"}, "stands alone"},
                    Wrong{{"-v", "--set-bandwidth", "1M"}, "stands alone"},
                    Wrong{{"--connections", "0", "h"}, "--connections is a number from 1 to 255"},
                    Wrong{{"-t", "hot", "h"}, "-t is one of auto, live, warm, cold"},
                    Wrong{{"--fingerprint", "SHA256:x", "h"}, "'SHA256:x'"},
                    Wrong{{"--accept-new", "--fingerprint", "SHA256:" + std::string(43, 'A'), "h"},
                          "exclude each other"}));

}  // namespace
}  // namespace kz::cli
