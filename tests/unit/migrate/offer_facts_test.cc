#include "migrate/offer_facts.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "storage/suri.h"

namespace kz::migrate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A volume in memory that counts what is read.
class MemoryVolume : public storage::Volume {
  public:
    explicit MemoryVolume(std::size_t bytes) : content(bytes) {}
    const storage::Suri& suri() const override { return suri_; }
    std::uint64_t size_bytes() const override { return content.size(); }
    Result<void> read(std::uint64_t offset, MutableBytes out) override {
        ++reads;
        if (fails) return fail(Errc::io, "as asked");
        if (offset + out.size() > content.size()) return fail(Errc::invalid_argument, "beyond the end");
        std::ranges::copy(ByteView(content).subspan(offset, out.size()), out.begin());
        return {};
    }
    Result<void> write_durable(std::uint64_t, ByteView) override { return fail(Errc::unsupported, "no"); }
    Result<storage::VolumeBacking> backing() override { return fail(Errc::unsupported, "no"); }

    Bytes content;
    int reads = 0;
    bool fails = false;

  private:
    storage::Suri suri_ = storage::Suri::parse("file:///memory").value();
};

TEST(Samples, AreBlocksOfTheVolumeThatGrow) {
    for (const std::uint64_t bytes :
         {0ULL, 4095ULL, 4096ULL, 5000ULL, 1ULL << 18, (1ULL << 18) + 4096, 7ULL << 20, 1ULL << 40}) {
        const auto offsets = sample_offsets(bytes);
        EXPECT_LE(offsets.size(), kMaxSamples);
        EXPECT_TRUE(std::ranges::is_sorted(offsets, std::less_equal()));
        for (const std::uint64_t offset : offsets) {
            EXPECT_EQ(offset % 4096, 0U);
            EXPECT_LE(offset + 4096, bytes);
        }
    }
    EXPECT_THAT(sample_offsets(4095), IsEmpty());
    EXPECT_THAT(sample_offsets(5000), ElementsAre(0));
    const auto large = sample_offsets(1ULL << 40);
    EXPECT_EQ(large.size(), kMaxSamples);
    // Superblocks at the front, copies of tables at the end.
    EXPECT_EQ(large[31], 124U << 10);
    EXPECT_EQ(large.back(), (1ULL << 40) - 4096);
}

TEST(Samples, EachChangeOfASampledBlockShows) {
    MemoryVolume volume(4 << 20);
    const Samples before = read_samples(volume, volume.size_bytes()).value();
    EXPECT_LE(volume.reads, 18);
    const auto offsets = sample_offsets(volume.size_bytes());
    ASSERT_EQ(before.size(), offsets.size());
    for (unsigned place = 0; place < offsets.size(); ++place) {
        volume.content[offsets[place] + 4095] ^= 1;
        const Samples after = read_samples(volume, volume.size_bytes()).value();
        EXPECT_THAT(differing_samples(before, after), ElementsAre(place));
        volume.content[offsets[place] + 4095] ^= 1;
    }
}

TEST(Samples, NothingBehindTheEndIsRead) {
    MemoryVolume volume(1 << 20);
    volume.content.back() = 7;
    MemoryVolume blank(1 << 20);
    EXPECT_EQ(read_samples(volume, (1 << 20) - 4096).value(), read_samples(blank, (1 << 20) - 4096).value());
    EXPECT_NE(read_samples(volume, 1 << 20).value(), read_samples(blank, 1 << 20).value());
}

TEST(Samples, AVolumeThatDoesNotReadIsAnError) {
    MemoryVolume volume(1 << 20);
    volume.fails = true;
    const auto samples = read_samples(volume, 1 << 20);
    ASSERT_FALSE(samples);
    EXPECT_EQ(samples.error().code(), Errc::io);
}

TEST(SourceFacts, WhatIsNotMeantIsRefused) {
    const Json good = SourceFacts{}.to_json();
    ASSERT_TRUE(SourceFacts::from_json(good));
    const auto refused = [&](const char* key, const Json& value) {
        Json json = good;
        json[key] = value;
        const auto read = SourceFacts::from_json(json);
        EXPECT_TRUE(!read && read.error().code() == Errc::protocol) << key << " = " << value.dump();
    };
    refused("kzones_version", std::string(65, '1'));
    refused("qemu_version", nullptr);
    refused("image_id", 5);
    refused("epoch", -1);
    refused("heartbeat", "1");
    refused("bridged", {70000U});
    refused("bridged", "all");
    refused("cpu", Json::object());
    refused("cpu", {{"fullest", {5}}, {"lacking", Json::object()}});
    refused("cpu", {{"fullest", Json(std::vector<std::string>(4097, "x"))}, {"lacking", Json::object()}});
    refused("cpu", {{"fullest", Json::array()}, {"lacking", {{"Nehalem", "all"}}}});
    refused("disks", Json(std::vector<Json>(65, Json::object())));
    refused("disks", {Json::object()});
    refused("disks", {{{"id", 0U}, {"bytes", 1U}, {"samples", "12345"}}});
    refused("disks", {{{"id", 0U}, {"bytes", 1U}, {"samples", "zzzzzzzzzzzzzzzz"}}});
    refused("disks", {{{"id", 0U}, {"bytes", 1U}, {"samples", std::string(65 * 16, '0')}}});
    refused("disks", {{{"id", 65536U}, {"bytes", 1U}, {"samples", ""}}});
}

TEST(SourceFacts, FeaturesAreSortedWhateverTheOrder) {
    Json json = SourceFacts{}.to_json();
    json["cpu"] = {{"fullest", {"sse2", "avx"}}, {"lacking", {{"Nehalem", {"popcnt", "pni"}}}}};
    const SourceFacts facts = SourceFacts::from_json(json).value();
    EXPECT_THAT(facts.cpu.fullest, ElementsAre("avx", "sse2"));
    EXPECT_THAT(facts.cpu.lacking.at("Nehalem"), ElementsAre("pni", "popcnt"));
}

TEST(PlainText, CannotSteerATerminal) {
    EXPECT_EQ(plain_text("a\nb\tc\x1b[31m\x7f", 100), "a b c?[31m?");
    EXPECT_EQ(plain_text("abc", 2), "ab");
}

}  // namespace
}  // namespace kz::migrate
