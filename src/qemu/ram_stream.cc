#include "qemu/ram_stream.h"

#include <algorithm>

#include "qemu/big_endian.h"

namespace kz::qemu {
namespace {

constexpr std::uint32_t kMagic = 0x5145564d;
constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kRamVersion = 4;
constexpr std::size_t kMaxMachineName = 255;
constexpr std::size_t kMaxCommand = 4096;

enum SectionType : Byte {
    kEnd = 0x00,
    kStart = 0x01,
    kPart = 0x02,
    kLast = 0x03,
    kDescription = 0x06,
    kConfiguration = 0x07,
    kCommand = 0x08,
    kFooter = 0x7e
};

constexpr std::uint64_t kFlags = kGuestPage - 1;
constexpr std::uint64_t kZero = 0x02;
constexpr std::uint64_t kBlockList = 0x04;
constexpr std::uint64_t kPage = 0x08;
constexpr std::uint64_t kEndOfSection = 0x10;
constexpr std::uint64_t kSameBlock = 0x20;

constexpr std::size_t kBuffer = 1 << 20;
// No item is longer, so a buffer with that much in it always gets on.
constexpr std::size_t kLongestItem = 8 << 10;

std::unexpected<Error> damaged(std::string_view what) {
    return fail(Errc::corrupt, "QEMU's stream is damaged ({})", what);
}
std::unexpected<Error> not_understood(std::string_view what, std::uint64_t value) {
    return fail(Errc::unsupported, "QEMU's stream has what is not understood ({} {:#x})", what, value);
}

// Where the devices end: before the end's byte, which only a description may follow.
Result<std::size_t> find_end(ByteView tail) {
    constexpr std::size_t kDescriptionHead = 6;
    if (tail.size() > kDescriptionHead) {
        for (std::size_t at = tail.size() - kDescriptionHead; at-- > 0;) {
            if (tail[at] != kEnd || tail[at + 1] != kDescription || tail[at + kDescriptionHead] != '{')
                continue;
            if (load_be<std::uint32_t>(&tail[at + 2]) == tail.size() - at - kDescriptionHead) return at;
        }
    }
    if (tail.empty() || tail.back() != kEnd) return damaged("it has no end");
    return tail.size() - 1;
}

}  // namespace

// Takes items from what has come; has() says whether there is enough.
class RamStreamParser::Cursor {
  public:
    explicit Cursor(ByteView bytes) : bytes_(bytes) {}
    bool has(std::size_t more) const { return bytes_.size() - at_ >= more; }
    template <typename T>
    T take() {
        const T value = load_be<T>(&bytes_[at_]);
        at_ += sizeof(T);
        return value;
    }
    Byte peek(std::size_t ahead) const { return bytes_[at_ + ahead]; }
    ByteView take(std::size_t count) {
        const ByteView part = bytes_.subspan(at_, count);
        at_ += count;
        return part;
    }
    ByteView taken() const { return bytes_.first(at_); }

  private:
    ByteView bytes_;
    std::size_t at_ = 0;
};

RamStreamParser::RamStreamParser(RamSink& sink) : sink_(sink), buffer_(kBuffer) {}

MutableBytes RamStreamParser::space() {
    if (buffer_.size() - end_ < kBuffer / 2 && begin_ != 0) {
        std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
        end_ -= begin_;
        begin_ = 0;
    }
    return MutableBytes(buffer_).subspan(end_);
}

void RamStreamParser::keep(Bytes& where, const Cursor& cursor) {
    where.insert(where.end(), cursor.taken().begin(), cursor.taken().end());
}

Result<void> RamStreamParser::commit(std::size_t size) {
    if (failed_) return fail(Errc::wrong_state, "QEMU's stream has failed");
    failed_ = true;
    end_ += size;
    while (begin_ != end_) {
        Cursor cursor(ByteView(buffer_).subspan(begin_, end_ - begin_));
        KZ_TRY(const bool whole, step(cursor));
        if (!whole) break;
        begin_ += cursor.taken().size();
    }
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ - begin_ > kLongestItem) return damaged("an item without end");
    failed_ = false;
    return {};
}

// One item; false, and nothing has changed, when it has not come whole.
Result<bool> RamStreamParser::step(Cursor& cursor) {
    switch (place_) {
        case Place::header:
            return file_header(cursor);
        case Place::configuration:
            return configuration(cursor);
        case Place::before_ram:
            return ram_start(cursor);
        case Place::block_list:
            return block_list(cursor);
        case Place::sections:
            return section(cursor);
        case Place::entries:
            return entry(cursor);
        case Place::tail:
            break;
    }
    cursor.take(end_ - begin_);
    keep(state_.tail, cursor);
    if (state_.tail.size() > kMaxMachineState) return damaged("too much machine state");
    return true;
}

Result<bool> RamStreamParser::file_header(Cursor& cursor) {
    if (!cursor.has(8)) return false;
    if (cursor.take<std::uint32_t>() != kMagic) return damaged("no magic");
    if (const auto version = cursor.take<std::uint32_t>(); version != kVersion)
        return not_understood("version", version);
    keep(state_.header, cursor);
    place_ = Place::configuration;
    return true;
}

Result<bool> RamStreamParser::configuration(Cursor& cursor) {
    if (!cursor.has(5)) return false;
    if (const Byte type = cursor.take<Byte>(); type != kConfiguration)
        return not_understood("configuration", type);
    const auto length = cursor.take<std::uint32_t>();
    if (length > kMaxMachineName) return damaged("machine type");
    if (!cursor.has(length)) return false;
    cursor.take(length);
    keep(state_.header, cursor);
    place_ = Place::before_ram;
    return true;
}

Result<bool> RamStreamParser::ram_start(Cursor& cursor) {
    if (!cursor.has(1)) return false;
    if (cursor.peek(0) == kCommand) return command(cursor);
    if (const Byte type = cursor.take<Byte>(); type != kStart) return not_understood("section", type);
    if (!cursor.has(5)) return false;
    const auto id = cursor.take<std::uint32_t>();
    const auto length = cursor.take<Byte>();
    if (!cursor.has(std::size_t{length} + 16)) return false;
    if (as_text(cursor.take(length)) != "ram")
        return fail(Errc::unsupported, "QEMU's stream begins without memory");
    cursor.take<std::uint32_t>();  // instance
    if (const auto version = cursor.take<std::uint32_t>(); version != kRamVersion)
        return not_understood("version of memory", version);
    const auto first = cursor.take<std::uint64_t>();
    if ((first & kFlags) != kBlockList) return not_understood("memory without blocks", first & kFlags);
    blocks_missing_ = first & ~kFlags;
    if (blocks_missing_ == 0 || blocks_missing_ > kMaxRamBlockBytes) return damaged("size of memory");
    state_.ram_section = id;
    keep(state_.setup, cursor);
    place_ = Place::block_list;
    return true;
}

Result<bool> RamStreamParser::block_list(Cursor& cursor) {
    if (!cursor.has(1)) return false;
    const auto length = cursor.take<Byte>();
    if (!cursor.has(std::size_t{length} + 8)) return false;
    RamBlock block{std::string(as_text(cursor.take(length))), cursor.take<std::uint64_t>()};
    if (block.name.empty() || block.name.find('\0') != std::string::npos) return damaged("name of a block");
    if (block.bytes == 0 || block.bytes > blocks_missing_) return damaged("size of a block");
    if (block.bytes % kGuestPage != 0) return not_understood("size of a block", block.bytes);
    if (std::ranges::find(blocks_, block.name, &RamBlock::name) != blocks_.end())
        return damaged("a block that is there twice");
    if (blocks_.size() == kMaxRamBlocks) return damaged("too many blocks");
    blocks_missing_ -= block.bytes;
    blocks_.push_back(std::move(block));
    keep(state_.setup, cursor);
    if (blocks_missing_ != 0) return true;
    start_section_ = true;
    place_ = Place::entries;
    KZ_CHECK(sink_.blocks(blocks_));
    return true;
}

Result<bool> RamStreamParser::section(Cursor& cursor) {
    if (!cursor.has(5)) return false;
    if (cursor.peek(0) == kCommand) return command(cursor);
    const Byte type = cursor.take<Byte>();
    if (type != kPart && type != kLast) return not_understood("section", type);
    if (cursor.take<std::uint32_t>() != state_.ram_section)
        return fail(Errc::unsupported, "QEMU's stream has sections of what is no memory");
    end_section_ = type == kLast;
    place_ = Place::entries;
    return true;
}

// What a source says to its destination on the way; an image has none.
Result<bool> RamStreamParser::command(Cursor& cursor) {
    if (!cursor.has(5)) return false;
    cursor.take<Byte>();
    const auto number = cursor.take<std::uint16_t>();
    const auto length = cursor.take<std::uint16_t>();
    if (length > kMaxCommand) return not_understood("command", number);
    if (!cursor.has(length)) return false;
    cursor.take(length);
    // A ping and the like, or the notice of the switch-over: nothing that would change how the rest is read.
    constexpr std::uint16_t kOpenReturnPath = 1;
    constexpr std::uint16_t kPing = 2;
    constexpr std::uint16_t kSwitchoverStart = 11;
    if (number != kOpenReturnPath && number != kPing && number != kSwitchoverStart)
        return not_understood("command", number);
    return true;
}

Result<bool> RamStreamParser::entry(Cursor& cursor) {
    if (!cursor.has(8)) return false;
    const auto word = cursor.take<std::uint64_t>();
    const std::uint64_t flags = word & kFlags;
    if (flags == kEndOfSection) return end_of_section(cursor);
    if ((flags & ~kSameBlock) != kZero && (flags & ~kSameBlock) != kPage)
        return not_understood("memory", flags);
    if (start_section_) return damaged("pages before the blocks' end");
    return page_entry(cursor, word & ~kFlags, flags);
}

Result<bool> RamStreamParser::end_of_section(Cursor& cursor) {
    if (!cursor.has(5)) return false;
    if (const Byte footer = cursor.take<Byte>(); footer != kFooter) return not_understood("footer", footer);
    if (cursor.take<std::uint32_t>() != state_.ram_section) return damaged("footer");
    if (start_section_) keep(state_.setup, cursor);
    start_section_ = false;
    place_ = end_section_ ? Place::tail : Place::sections;
    return true;
}

Result<bool> RamStreamParser::page_entry(Cursor& cursor, std::uint64_t offset, std::uint64_t flags) {
    if ((flags & kSameBlock) == 0) {
        if (!cursor.has(1)) return false;
        const auto length = cursor.take<Byte>();
        if (!cursor.has(length)) return false;
        KZ_CHECK(find_block(cursor.take(length)));
    } else if (!has_block_) {
        return damaged("a page of no block");
    }
    const bool zero = (flags & kZero) != 0;
    if (!cursor.has(zero ? 1 : kGuestPage)) return false;
    if (offset >= blocks_[block_].bytes) return damaged("a page beyond its block");
    if (!zero) {
        KZ_CHECK(sink_.page(block_, offset, cursor.take(kGuestPage)));
        return true;
    }
    if (const Byte fill = cursor.take<Byte>(); fill != 0) return not_understood("fill", fill);
    KZ_CHECK(sink_.zero_page(block_, offset));
    return true;
}

Result<void> RamStreamParser::find_block(ByteView name) {
    const auto found = std::ranges::find(blocks_, as_text(name), &RamBlock::name);
    if (found == blocks_.end()) return damaged("a page of an unknown block");
    block_ = static_cast<std::uint32_t>(found - blocks_.begin());
    has_block_ = true;
    return {};
}

Result<MachineState> RamStreamParser::finish() {
    if (failed_ || place_ != Place::tail || begin_ != end_) return damaged("it was cut off");
    failed_ = true;
    KZ_TRY(state_.devices, find_end(state_.tail));
    return std::move(state_);
}

}  // namespace kz::qemu
