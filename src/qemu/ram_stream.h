// RamStream: takes QEMU's migration stream of one channel apart: the machine's memory by page, and all else
// as it is. For the monitor, which keeps it as an image that can be read in any order.
//
// Theory of operation
//
// A stream is, all numbers big-endian:
//
//   file header      u32 "QEVM", u32 version 3
//   configuration    u8 0x07, u32 length, the machine type's name
//   then sections:   u8 type, u32 section id, for start and full also {u8 length, name}, u32 instance,
//                    u32 version; what is in it; footer u8 0x7e, u32 section id
//                    types: 1 start, 2 part, 3 end (these are of the memory), 4 full (a device)
//   commands         u8 0x08, u16 command, u16 length, bytes: may stand between sections of the memory
//   end              u8 0, and then maybe a description: u8 0x06, u32 length, JSON
//
// What is in a section of the memory ("ram") is a run of entries, each a u64 of an offset (a multiple of
// 4096) and flags in the bits below:
//
//   0x04 block list  the offset is the size of all blocks; {u8 length, name, u64 length} of each block
//   0x02 zero page   [block], u8 0            0x08 page  [block], 4096 bytes
//   0x20             with either: of the same block as the entry before, be it in an earlier section; and
//                    [block] = {u8 length, name} is left out
//   0x10             the end of the section
//
// The devices after the memory's end section cannot be told from each other without knowing them; they are
// kept as one run of bytes. Features that would make the stream look otherwise (multifd, compressed pages,
// xbzrle) are never turned on for an image, and are refused.
//
// A stream of a guest that runs has some of its pages more than once: the last one counts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace kz::qemu {

inline constexpr std::size_t kGuestPage = 4096;
inline constexpr std::size_t kMaxRamBlocks = 4096;
// Of the names of blocks: what the format can hold.
inline constexpr std::size_t kMaxRamBlockName = 255;
inline constexpr std::uint64_t kMaxRamBlockBytes = std::uint64_t{1} << 46;
// Of all that is not memory; a machine of ours has some 20 KiB.
inline constexpr std::size_t kMaxMachineState = 64 << 20;

struct RamBlock {
    std::string name;
    std::uint64_t bytes = 0;  // a multiple of kGuestPage
};

// Where the pages go. An error ends the parsing.
class RamSink {
  public:
    virtual ~RamSink() = default;
    // Once, before any page.
    virtual Result<void> blocks(const std::vector<RamBlock>& blocks) = 0;
    // `block` is an index of blocks(); `offset` a multiple of kGuestPage below its size.
    virtual Result<void> page(std::uint32_t block, std::uint64_t offset, ByteView bytes) = 0;
    virtual Result<void> zero_page(std::uint32_t block, std::uint64_t offset) = 0;
};

// The stream without its pages.
struct MachineState {
    Bytes header;             // file header and configuration
    Bytes setup;              // the memory's start section, with the block list
    Bytes tail;               // after the memory's end section: devices, end, description
    std::size_t devices = 0;  // bytes of `tail` before the end
    std::uint32_t ram_section = 0;
};

// One stream, one thread. Bytes are put where they are parsed: space(), then commit().
class RamStreamParser {
  public:
    explicit RamStreamParser(RamSink& sink);

    // Never empty.
    MutableBytes space();
    // The first `size` bytes of space() are the stream's next. Errors: Errc::corrupt, Errc::unsupported
    // (something that QEMU may send but that is not understood), the sink's; nothing may follow one.
    Result<void> commit(std::size_t size);
    // The stream has ended. Errc::corrupt when it is not whole.
    Result<MachineState> finish();

  private:
    class Cursor;
    enum class Place { header = 1, configuration, before_ram, block_list, sections, entries, tail };

    Result<bool> step(Cursor& cursor);
    Result<bool> file_header(Cursor& cursor);
    Result<bool> configuration(Cursor& cursor);
    Result<bool> ram_start(Cursor& cursor);
    Result<bool> block_list(Cursor& cursor);
    Result<bool> section(Cursor& cursor);
    Result<bool> command(Cursor& cursor);
    Result<bool> entry(Cursor& cursor);
    Result<bool> end_of_section(Cursor& cursor);
    Result<bool> page_entry(Cursor& cursor, std::uint64_t offset, std::uint64_t flags);
    Result<void> find_block(ByteView name);
    void keep(Bytes& where, const Cursor& cursor);

    RamSink& sink_;
    Place place_ = Place::header;
    MachineState state_;
    std::vector<RamBlock> blocks_;
    std::uint64_t blocks_missing_ = 0;  // bytes that the list has not named yet
    std::uint32_t block_ = 0;           // of the entry before
    bool has_block_ = false;
    bool start_section_ = false;  // the end of the section that is read is kept
    bool end_section_ = false;    // ... begins the tail
    bool failed_ = false;
    Bytes buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace kz::qemu
