#include "stream/governor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace kz::stream {
namespace {

using namespace std::chrono_literals;

// A sender with a processor, a link and a peer, all in plain bytes per second; compressing costs the first
// and relieves the second.
struct Line {
    double seal = 2e9;
    double link = 1e8;
    double lz4 = 1e9, lz4_ratio = 0.6;
    double zstd = 4e8, zstd_ratio = 0.4;
    double peer = 1e12;

    CompressionGovernor governor = {};
    std::map<Codec, std::size_t> records = {};

    void send_for(std::chrono::duration<double> span) {
        constexpr double kRecord = 262'144;
        for (std::chrono::duration<double> spent{}; spent < span;) {
            const Codec codec = governor.codec();
            ++records[codec];
            const double ratio = codec == Codec::lz4 ? lz4_ratio : codec == Codec::zstd ? zstd_ratio : 1;
            double work = kRecord / seal;
            if (codec == Codec::lz4) work += kRecord / lz4;
            if (codec == Codec::zstd) work += kRecord / zstd;
            const double on_link = kRecord * ratio / link, at_peer = kRecord / peer;
            const double total = std::max({work, on_link, at_peer});
            const bool by_link = on_link >= at_peer;
            const auto wait =
                std::chrono::ceil<std::chrono::nanoseconds>(std::chrono::duration<double>(total - work));
            governor.record(
                {.plain = static_cast<std::size_t>(kRecord),
                 .work = std::chrono::ceil<std::chrono::nanoseconds>(std::chrono::duration<double>(work)),
                 .link_wait = by_link ? wait : 0ns,
                 .peer_wait = by_link ? 0ns : wait});
            spent += std::chrono::duration<double>(total);
        }
    }
    // Of the records that are sent from now on for `span`, how large a part has used `codec`?
    double share_of(Codec codec, std::chrono::duration<double> span) {
        records.clear();
        send_for(span);
        std::size_t all = 0;
        for (const auto& [used, count] : records)
            all += count;
        return static_cast<double>(records[codec]) / static_cast<double>(all);
    }
};

TEST(Governor, BeginsWithoutCompression) {
    EXPECT_EQ(CompressionGovernor().codec(), Codec::none);
}

TEST(Governor, NeverCompressesWhileTheProcessorLimits) {
    Line line{.link = 1e10};
    EXPECT_EQ(line.share_of(Codec::none, 20s), 1.0);
}

TEST(Governor, ASlowLinkGetsTheStrongestCodecWithinASecond) {
    Line line{.link = 2e7};
    line.send_for(1s);
    EXPECT_EQ(line.share_of(Codec::zstd, 20s), 1.0);
}

TEST(Governor, ALinkThatZstdCannotFillGetsLz4) {
    // zstd would move 333 MB/s, lz4 667, nothing 500.
    Line line{.link = 5e8, .lz4_ratio = 0.5};
    line.send_for(1s);
    EXPECT_GT(line.share_of(Codec::lz4, 60s), 0.85);
}

TEST(Governor, WhatIsSlowerThanNothingIsGivenUpForLongerAndLonger) {
    // Compressing at 1 GB/s on a link of 900 MB/s: a loss, whatever it saves.
    Line line{.seal = 3e9, .link = 9e8, .lz4 = 8e8, .zstd = 3e8};
    line.send_for(10s);
    EXPECT_GT(line.share_of(Codec::none, 60s), 0.98);
}

TEST(Governor, APeerThatDoesNotKeepUpIsNotHelpedByCompression) {
    Line line{.link = 1e10, .peer = 2e8};
    EXPECT_EQ(line.share_of(Codec::none, 20s), 1.0);
}

TEST(Governor, FollowsALinkThatChanges) {
    Line line{.link = 2e7};
    line.send_for(5s);
    EXPECT_EQ(line.governor.codec(), Codec::zstd);
    line.link = 1e10;
    line.send_for(10s);
    EXPECT_GT(line.share_of(Codec::none, 20s), 0.95) << "the link is fast now";
    line.link = 2e7;
    line.send_for(5s);
    EXPECT_GT(line.share_of(Codec::zstd, 20s), 0.95) << "and slow again";
}

TEST(Governor, IncompressibleDataCostsOneProbeARecordAtMost) {
    // At every step the same: raw records, and a link that limits.
    Line line{.link = 1e8, .lz4 = 1e12, .lz4_ratio = 1, .zstd = 1e12, .zstd_ratio = 1};
    line.send_for(5s);
    const auto moved = line.records[Codec::none] + line.records[Codec::lz4] + line.records[Codec::zstd];
    EXPECT_NEAR(static_cast<double>(moved) * 262'144 / 5, 1e8, 1e6) << "the link stays full";
}

}  // namespace
}  // namespace kz::stream
