#include "qemu/ram_stream.h"

#include "ram_stream_fixture.h"

namespace kz::qemu {
namespace {

const Bytes kDevices{4, 0, 0, 0, 9, 0, 6, 0, 0, 0, 1, 7};
constexpr std::string_view kDescription = R"({"page_size": 4096})";

// A guest that ran: page 3 comes twice, page 5 becomes zeros, and a block is carried over from an earlier
// section.
Bytes whole_stream() {
    StreamMaker maker;
    maker.header().setup();
    maker.part().page("pc.ram", 3, 0x31).page(4, 0x41).zero(7).page("pc.rom", 1, 0x11).footer();
    maker.u8(8).u16(11).u16(0);
    maker.part().page("pc.ram", 5, 0x51).page(3, 0x32).footer();
    maker.last().zero(5).footer();
    maker.devices(kDevices).end(kDescription);
    return maker.bytes();
}

std::string error_of(const Bytes& stream) {
    MemoryModel memory;
    const auto state = parse(stream, memory);
    return state ? "parsed" : std::string(errc_name(state.error().code()));
}

TEST(RamStream, IsTakenApartHoweverItIsCut) {
    const Bytes stream = whole_stream();
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, stream.size()}) {
        MemoryModel memory;
        const auto state = parse(stream, memory, step);
        ASSERT_TRUE(state) << state.error().message();
        EXPECT_EQ(memory.list().size(), 2U);
        EXPECT_EQ(memory.list()[1].name, "pc.rom");
        EXPECT_EQ(memory.copies, 5);
        EXPECT_EQ(memory.zeros, 2);
        ASSERT_EQ(memory.pages().size(), 3U);
        EXPECT_EQ(memory.pages().at({0, 3 * kGuestPage}), page_of(0x32));
        EXPECT_EQ(memory.pages().at({0, 4 * kGuestPage}), page_of(0x41));
        EXPECT_EQ(memory.pages().at({1, kGuestPage}), page_of(0x11));
        EXPECT_EQ(state->header, StreamMaker().header().bytes());
        EXPECT_EQ(state->setup, StreamMaker().setup().bytes());
        EXPECT_EQ(
            Bytes(state->tail.begin(), state->tail.begin() + static_cast<std::ptrdiff_t>(state->devices)),
            kDevices);
        EXPECT_EQ(state->tail.size(), kDevices.size() + 6 + kDescription.size());
        EXPECT_EQ(state->ram_section, StreamMaker::kSection);
    }
}

TEST(RamStream, NeedsNoDescription) {
    StreamMaker maker;
    maker.header().setup().last().footer().devices(kDevices).end("");
    MemoryModel memory;
    const auto state = parse(maker.bytes(), memory);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->devices, kDevices.size());
}

TEST(RamStream, CutAnywhereIsAnError) {
    const Bytes stream = whole_stream();
    // From here on what is missing is the machine's own state, whose parts cannot be told apart.
    const std::size_t tail = kDevices.size() + 6 + kDescription.size();
    for (std::size_t size = 0; size <= stream.size() - tail; size += size < 200 ? 1 : 97) {
        MemoryModel memory;
        EXPECT_FALSE(parse(ByteView(stream).first(size), memory)) << size;
    }
}

TEST(RamStream, RefusesWhatIsNotUnderstood) {
    const auto with = [](auto change) {
        StreamMaker maker;
        change(maker);
        maker.last().footer().devices(kDevices).end("");
        return error_of(maker.bytes());
    };
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup(); }), "parsed");
    EXPECT_EQ(with([](StreamMaker& m) { m.u32(1).u32(3).setup(); }), "corrupt");
    EXPECT_EQ(with([](StreamMaker& m) { m.u32(0x5145564d).u32(4); }), "unsupported");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().u8(1).u32(2).name("block").u32(0).u32(4).u64(0); }),
              "unsupported");
    // A block of a size that is no number of pages; one that is there twice; none at all.
    EXPECT_EQ(
        with([](StreamMaker& m) { m.header().setup({{"pc.ram", 8192}, {"x", 4096 + 512}, {"y", 3584}}); }),
        "unsupported");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup({{"pc.ram", 8192}, {"pc.ram", 8192}}); }),
              "corrupt");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup({}); }), "corrupt");
    // Compressed pages, an unknown block, a page beyond its block, a page of no block, a fill, pages in the
    // first section, another section's footer.
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().part().u64(0x100).name("pc.ram"); }),
              "unsupported");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().part().page("pc.vga", 0, 1).footer(); }),
              "corrupt");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().part().page("pc.rom", 2, 1).footer(); }),
              "corrupt");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().part().page(1, 1).footer(); }), "corrupt");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().part().u64(2).name("pc.ram").u8(1); }),
              "unsupported");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().part().u64(0x10).u8(0x7e).u32(3); }), "corrupt");
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().u8(2).u32(7); }), "unsupported");
    // A package within the stream is that of another kind of migration.
    EXPECT_EQ(with([](StreamMaker& m) { m.header().setup().u8(8).u16(7).u16(4).u32(1); }), "unsupported");
}

TEST(RamStream, SinkEndsIt) {
    class Full : public MemoryModel {
        Result<void> page(std::uint32_t, std::uint64_t, ByteView) override {
            return fail(Errc::no_space, "full");
        }
    } full;
    const auto state = parse(whole_stream(), full);
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code(), Errc::no_space);
}

}  // namespace
}  // namespace kz::qemu
