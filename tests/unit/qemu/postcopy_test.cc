#include "qemu/postcopy.h"

#include <algorithm>

#include "ram_stream_fixture.h"

namespace kz::qemu {
namespace {

MachineState recorded() {
    StreamMaker tail;
    tail.put(as_bytes("devices")).end("{}");
    return {.header = StreamMaker().header().bytes(),
            .setup = StreamMaker().setup().bytes(),
            .tail = tail.bytes(),
            .devices = 7,
            .ram_section = StreamMaker::kSection};
}

TEST(Postcopy, PreludeIsWhatQemuReads) {
    StreamMaker expected;
    expected.header();
    expected.u8(8).u16(1).u16(0);
    expected.u8(8).u16(2).u16(4).u32(1);
    expected.u8(8).u16(3).u16(16).u64(4096).u64(4096);
    expected.setup();
    for (const RamBlock& block : two_blocks())
        expected.u8(8).u16(6).u16(25).u8(0).name(block.name).u8(0).u64(0).u64(block.bytes);
    expected.u8(8).u16(7).u16(4).u32(5 + 7 + 5);
    expected.u8(8).u16(4).u16(0).put(as_bytes("devices")).u8(8).u16(5).u16(0);
    EXPECT_EQ(postcopy_prelude(recorded(), two_blocks()).value(), expected.bytes());
}

TEST(Postcopy, DevicesThatAreTooMuch) {
    MachineState state = recorded();
    state.tail = Bytes(20 << 20);
    state.devices = state.tail.size() - 1;
    EXPECT_EQ(postcopy_prelude(state, two_blocks()).error().code(), Errc::unsupported);
}

// What is sent is a stream that our own parser reads.
TEST(Postcopy, SectionsCarryPages) {
    RamSections sections(two_blocks(), StreamMaker::kSection);
    Bytes stream = recorded().header;
    const Bytes setup = recorded().setup;
    stream.insert(stream.end(), setup.begin(), setup.end());
    sections.begin(stream);
    sections.page(stream, 0, 4096, page_of(1));
    sections.page(stream, 0, 8192, page_of(2));
    sections.zero_page(stream, 1, 4096);
    sections.page(stream, 0, 0, page_of(3));
    sections.end(stream);
    sections.begin(stream);
    sections.page(stream, 0, 3 * 4096, page_of(4));
    sections.end(stream);
    sections.last(stream);
    stream.push_back(kEndOfStream);
    MemoryModel memory;
    ASSERT_TRUE(parse(stream, memory));
    EXPECT_EQ(memory.copies, 4);
    EXPECT_EQ(memory.zeros, 1);
    EXPECT_EQ(memory.pages().at({0, 0}), page_of(3));
    EXPECT_EQ(memory.pages().at({0, 3 * 4096}), page_of(4));
}

Bytes wanted_pages() {
    StreamMaker maker;
    maker.u16(2).u16(4).u32(1);
    maker.u16(3).u16(12 + 1 + 6).u64(4096).u32(8192).name("pc.rom").put({});
    return maker.bytes();
}

TEST(ReturnPath, RequestsHoweverTheyAreCut) {
    StreamMaker maker;
    maker.u16(2).u16(4).u32(1);
    maker.u16(3).u16(12 + 1 + 6).u64(4096).u32(4096).name("pc.rom");
    maker.u16(4).u16(12).u64(0).u32(8192);
    maker.u16(1).u16(4).u32(0);
    for (const std::size_t step : {std::size_t{1}, std::size_t{5}, maker.size()}) {
        ReturnPath path(two_blocks());
        std::vector<ReturnMessage> all;
        for (std::size_t at = 0; at < maker.size(); at += step) {
            const auto some =
                path.feed(ByteView(maker.bytes()).subspan(at, std::min(step, maker.size() - at)));
            ASSERT_TRUE(some) << some.error().message();
            all.insert(all.end(), some->begin(), some->end());
        }
        ASSERT_EQ(all.size(), 4U);
        EXPECT_EQ(all[0].kind, ReturnMessage::Kind::other);
        EXPECT_EQ(all[1].kind, ReturnMessage::Kind::pages);
        EXPECT_EQ(all[1].block, 1U);
        EXPECT_EQ(all[1].offset, 4096U);
        EXPECT_EQ(all[2].block, 1U);
        EXPECT_EQ(all[2].bytes, 8192U);
        EXPECT_EQ(all[3].kind, ReturnMessage::Kind::shut);
        EXPECT_EQ(all[3].value, 0U);
    }
}

TEST(ReturnPath, RefusesWhatDoesNotFit) {
    const auto refused = [](const Bytes& bytes) {
        ReturnPath path(two_blocks());
        const auto read = path.feed(bytes);
        // The first error is final.
        return !read && read.error().code() == Errc::protocol && !path.feed({});
    };
    EXPECT_TRUE(refused(wanted_pages()));  // beyond the block
    EXPECT_TRUE(refused(StreamMaker().u16(9).u16(0).bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(2).u16(9999).bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(4).u16(12).u64(0).u32(4096).bytes()));  // of no block
    EXPECT_TRUE(refused(StreamMaker().u16(3).u16(17).u64(0).u32(4096).name("disk").bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(3).u16(19).u64(1).u32(4096).name("pc.ram").bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(3).u16(19).u64(0).u32(100).name("pc.ram").bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(3).u16(19).u64(1ULL << 63).u32(4096).name("pc.ram").bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(3).u16(20).u64(0).u32(4096).name("pc.ram").u8(0).bytes()));
    EXPECT_TRUE(refused(StreamMaker().u16(1).u16(0).bytes()));
}

}  // namespace
}  // namespace kz::qemu
