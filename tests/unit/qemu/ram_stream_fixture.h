// Migration streams as QEMU writes them, made by hand. For the tests of qemu/ram_stream.h and
// qemu/postcopy.h.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "qemu/big_endian.h"
#include "qemu/ram_stream.h"

namespace kz::qemu {

inline const std::vector<RamBlock>& two_blocks() {
    static const std::vector<RamBlock> kBlocks{{"pc.ram", 16 * kGuestPage}, {"pc.rom", 2 * kGuestPage}};
    return kBlocks;
}

inline Bytes page_of(Byte fill) {
    return Bytes(kGuestPage, fill);
}

// Puts a stream together, piece by piece.
class StreamMaker {
  public:
    StreamMaker& u8(std::uint8_t value) { return put(Bytes{value}); }
    StreamMaker& u16(std::uint16_t value) { return number(value); }
    StreamMaker& u32(std::uint32_t value) { return number(value); }
    StreamMaker& u64(std::uint64_t value) { return number(value); }
    StreamMaker& put(ByteView bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    StreamMaker& name(std::string_view text) {
        return u8(static_cast<std::uint8_t>(text.size())).put(as_bytes(text));
    }

    StreamMaker& header() { return u32(0x5145564d).u32(3).u8(7).u32(10).put(as_bytes("pc-q35-7.2")); }
    StreamMaker& footer() { return u64(0x10).u8(0x7e).u32(kSection); }
    StreamMaker& setup(const std::vector<RamBlock>& blocks = two_blocks()) {
        std::uint64_t all = 0;
        for (const RamBlock& block : blocks)
            all += block.bytes;
        u8(1).u32(kSection).name("ram").u32(0).u32(4).u64(all | 0x04);
        for (const RamBlock& block : blocks)
            name(block.name).u64(block.bytes);
        return footer();
    }
    StreamMaker& part() { return u8(2).u32(kSection); }
    StreamMaker& last() { return u8(3).u32(kSection); }
    StreamMaker& page(std::string_view block, std::uint64_t number, Byte fill) {
        return u64(number * kGuestPage | 0x08).name(block).put(page_of(fill));
    }
    StreamMaker& page(std::uint64_t number, Byte fill) {
        return u64(number * kGuestPage | 0x28).put(page_of(fill));
    }
    StreamMaker& zero(std::string_view block, std::uint64_t number) {
        return u64(number * kGuestPage | 0x02).name(block).u8(0);
    }
    StreamMaker& zero(std::uint64_t number) { return u64(number * kGuestPage | 0x22).u8(0); }
    StreamMaker& devices(ByteView bytes) { return put(bytes); }
    StreamMaker& end(std::string_view description) {
        u8(0);
        if (description.empty()) return *this;
        return u8(6).u32(static_cast<std::uint32_t>(description.size())).put(as_bytes(description));
    }

    const Bytes& bytes() const { return bytes_; }
    std::size_t size() const { return bytes_.size(); }

    static constexpr std::uint32_t kSection = 2;

  private:
    template <typename T>
    StreamMaker& number(T value) {
        append_be<T>(bytes_, value);
        return *this;
    }
    Bytes bytes_;
};

// The memory that a stream describes: of each page the last fill; zeros where none came.
class MemoryModel : public RamSink {
  public:
    Result<void> blocks(const std::vector<RamBlock>& blocks) override {
        EXPECT_TRUE(blocks_.empty());
        blocks_ = blocks;
        return {};
    }
    Result<void> page(std::uint32_t block, std::uint64_t offset, ByteView bytes) override {
        EXPECT_EQ(bytes.size(), kGuestPage);
        EXPECT_LT(block, blocks_.size());
        EXPECT_LT(offset, blocks_[block].bytes);
        pages_[{block, offset}] = Bytes(bytes.begin(), bytes.end());
        ++copies;
        return {};
    }
    Result<void> zero_page(std::uint32_t block, std::uint64_t offset) override {
        EXPECT_LT(offset, blocks_[block].bytes);
        pages_.erase({block, offset});
        ++zeros;
        return {};
    }
    const std::vector<RamBlock>& list() const { return blocks_; }
    const std::map<std::pair<std::uint32_t, std::uint64_t>, Bytes>& pages() const { return pages_; }
    int copies = 0;
    int zeros = 0;

  private:
    std::vector<RamBlock> blocks_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, Bytes> pages_;
};

// In pieces of `step` bytes.
inline Result<MachineState> parse(ByteView stream, RamSink& sink, std::size_t step = SIZE_MAX) {
    RamStreamParser parser(sink);
    while (!stream.empty()) {
        const MutableBytes space = parser.space();
        const std::size_t part = std::min({space.size(), stream.size(), step});
        std::copy_n(stream.begin(), part, space.begin());
        KZ_CHECK(parser.commit(part));
        stream = stream.subspan(part);
    }
    return parser.finish();
}

}  // namespace kz::qemu
