#include "agent/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>

#include "agent/messages.h"

namespace kz::agent {
namespace {

using Event = FrameReader::Event;
constexpr std::uint64_t kNonce = 0x1122334455667788;

std::string golden() {
    std::ifstream file(std::string(KZ_TEST_DATA) + "/frames.bin", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string masked(std::string text) {
    mask(text, kNonce);
    return text;
}

// What make_golden.py wrote by the description.
std::string encoded() {
    std::string out;
    append_mark(out);
    append_frame(out, FrameType::hello, 0, 0, encode(Hello{1, kNonce, true, 1'700'000'000'123'456'789}));
    append_frame(out, FrameType::welcome, 0, 0, encode(Welcome{1, kNonce, "kz-agent 0.1.0"}));
    append_frame(out, FrameType::announce, 0, 0, {});
    append_frame(out, FrameType::open, 7, 0,
                 encode(Open{OpenKind::command, "root", "", {24, 80}, "uname -a"}));
    append_frame(out, FrameType::opened, 7, 0, encode_text("pts/3"));
    append_frame(out, FrameType::failed, 8, 0, encode_text("no user 'x' in the zone"));
    append_frame(out, FrameType::data, 7, 0, masked("what goes in"));
    append_frame(out, FrameType::end, 7, 2, {});
    append_frame(out, FrameType::credit, 7, 1, encode_number(32768));
    append_frame(out, FrameType::resize, 7, 0, encode(WindowSize{50, 132}));
    append_frame(out, FrameType::signal, 7, 0, "\x0f");
    append_frame(out, FrameType::exited, 7, 0, encode(Exited{true, 9}));
    append_frame(out, FrameType::close, 7, 0, {});
    append_frame(out, FrameType::call, 3, 0, encode(Call{Operation::set_clock, 1'700'000'000'000'000'000}));
    append_frame(out, FrameType::answer, 3, 0, encode(Answer{22, 5, "Invalid argument"}));
    append_frame(out, FrameType::notice, 0, 0,
                 encode(Notice{true, {{"eth0", "192.0.2.1/24"}, {"eth1", "2001:db8::1/64"}}}));
    return out;
}

std::vector<Frame> all_frames(FrameReader& reader) {
    std::vector<Frame> frames;
    Frame frame;
    while (reader.next(frame) == Event::frame)
        frames.push_back(frame);
    return frames;
}

TEST(Wire, BytesAreThoseDescribed) {
    EXPECT_EQ(encoded(), golden());
}

TEST(Wire, ChecksumIsCrc32c) {
    EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
    EXPECT_EQ(crc32c("6789", crc32c("12345")), 0xe3069283U);
}

TEST(Wire, EveryFrameIsReadWhateverThePieces) {
    const std::string bytes = golden();
    FrameReader whole;
    whole.feed(bytes);
    const std::vector<Frame> frames = all_frames(whole);
    ASSERT_EQ(frames.size(), 16U);
    FrameReader pieces;
    std::vector<Frame> again;
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
        pieces.feed(std::string_view(bytes).substr(at, 7));
        for (Frame& frame : all_frames(pieces))
            again.push_back(std::move(frame));
    }
    EXPECT_EQ(again, frames);
}

TEST(Wire, NothingIsBelievedBeforeAMark) {
    std::string bytes;
    append_frame(bytes, FrameType::announce, 0, 0, {});
    FrameReader reader;
    reader.feed(bytes);
    Frame frame;
    EXPECT_EQ(reader.next(frame), Event::none);
    FrameReader aligned(/*aligned=*/true);
    aligned.feed(bytes);
    EXPECT_EQ(aligned.next(frame), Event::frame);
}

// The middle of anything, then a new connection: what was begun is lost, what follows the mark is not.
TEST(Wire, MarkEndsWhateverWasBegun) {
    std::string begun;
    append_frame(begun, FrameType::data, 1, 0, std::string(kMaxPayload, 'x'));
    std::string fresh;
    append_mark(fresh);
    append_frame(fresh, FrameType::hello, 0, 0, encode(Hello{1, kNonce, false, 0}));
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16},
                                  std::size_t{17}, begun.size() / 2, begun.size() - 1}) {
        FrameReader reader(/*aligned=*/true);
        reader.feed(begun.substr(0, cut) + fresh);
        Frame frame;
        EXPECT_EQ(reader.next(frame), Event::lost) << cut;
        EXPECT_EQ(reader.next(frame), Event::frame) << cut;
        EXPECT_EQ(frame.type, FrameType::hello) << cut;
    }
}

// Masked data that holds a whole mark and a hello looks like neither.
TEST(Wire, PassengersCannotForgeAHello) {
    std::string forged;
    forged.append(64, '\xff');
    append_frame(forged, FrameType::hello, 0, 0, encode(Hello{1, 1, false, 0}));
    std::string bytes;
    append_frame(bytes, FrameType::data, 1, 0, masked(forged));
    FrameReader starting;  // an agent that has just started, in the middle of it
    starting.feed(bytes.substr(kHeaderSize));
    Frame frame;
    EXPECT_EQ(starting.next(frame), Event::none);
}

TEST(Wire, DamageIsFound) {
    std::string good;
    append_frame(good, FrameType::credit, 5, 1, encode_number(77));
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
        FrameReader reader(/*aligned=*/true);
        // A length that has grown waits for more.
        reader.feed(bad + std::string(kMaxFrame, 'x'));
        Frame frame;
        EXPECT_EQ(reader.next(frame), Event::lost) << bit;
    }
}

TEST(Wire, LongestFrame) {
    const std::string payload(kMaxPayload, '\xff');
    std::string bytes;
    append_frame(bytes, FrameType::data, 1, 1, payload);
    FrameReader reader(/*aligned=*/true);
    reader.feed(bytes);
    Frame frame;
    ASSERT_EQ(reader.next(frame), Event::frame);
    EXPECT_EQ(frame.payload, payload);
    bytes.clear();
    append_frame(bytes, FrameType::data, 1, 1, payload + "x");
    reader.feed(bytes);
    EXPECT_EQ(reader.next(frame), Event::lost);
}

}  // namespace
}  // namespace kz::agent
