// Post-copy: the words that the source of a post-copy migration and QEMU, its destination, say to each other,
// so that a source need not be QEMU. For the monitor, which serves memory from an image.
//
// Theory of operation. What goes to QEMU is a migration stream as in qemu/ram_stream.h, big-endian:
//
//   file header, configuration                              as they were recorded
//   commands: open return path; ping; post-copy advise {u64 page sizes, u64 page size}
//   the memory's start section                              as it was recorded
//   for each block a command: discard {u8 0, u8 length, name, u8 0, u64 first byte, u64 bytes}: what a fresh
//                    machine has put there at its start is in the way
//   command: packaged {u32 length}, and that many bytes: {command listen; the devices; command run}
//   part sections of memory, one or more pages each, in any order
//   the memory's end section, and the end
//
// From `listen` on QEMU asks for pages that are touched and missing; devices already touch some while they
// are loaded, so pages must be sent from the moment at which the package is. `run` does not start the guest
// of a machine that was started stopped: its run state becomes "paused", and `cont` does.
//
// What QEMU sends back are messages {u16 type, u16 length, bytes}: 1 shut {u32 0 when all went well}, 2 pong
// {u32}, 3 pages {u64 offset, u32 bytes, u8 length, block's name}, 4 pages of the block named last {u64
// offset, u32 bytes}.
//
// A page is sent once. QEMU keeps one that it has, and drops a second copy; but it must never be given the
// memory of another moment, so the source must not change a page after it was sent.
#pragma once

#include "qemu/qmp.h"
#include "qemu/ram_stream.h"

namespace kz::qemu {

// For a machine that waits for migrate-incoming: it will be given memory while it runs. Fails when QEMU or
// its host cannot do that, with QEMU's words.
Result<void> set_up_postcopy_incoming(Qmp& qmp);

// Everything up to the package's end. Errors: Errc::unsupported when the devices are too much for a package.
Result<Bytes> postcopy_prelude(const MachineState& state, const std::vector<RamBlock>& blocks);

// Builds part sections: begin(), any number of pages, end().
class RamSections {
  public:
    RamSections(std::vector<RamBlock> blocks, std::uint32_t section)
        : blocks_(std::move(blocks)), section_(section) {}

    void begin(Bytes& out);
    // `block` must exist; offset: a multiple of kGuestPage in it; bytes: kGuestPage.
    void page(Bytes& out, std::uint32_t block, std::uint64_t offset, ByteView bytes);
    void zero_page(Bytes& out, std::uint32_t block, std::uint64_t offset);
    void end(Bytes& out) const;
    // The memory's end section.
    void last(Bytes& out) const;

    const std::vector<RamBlock>& blocks() const { return blocks_; }

  private:
    void entry(Bytes& out, std::uint32_t block, std::uint64_t offset, std::uint64_t flags);

    std::vector<RamBlock> blocks_;
    std::uint32_t section_;
    std::uint32_t last_block_ = UINT32_MAX;
};

// What ends a stream whose destination already runs.
inline constexpr Byte kEndOfStream = 0;

struct ReturnMessage {
    enum class Kind { pages = 1, shut, other };
    Kind kind = Kind::other;
    std::uint32_t value = 0;  // of shut: 0 when QEMU has everything
    // Of pages: whole pages within the block.
    std::uint32_t block = 0;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};

// Takes the return path apart, however it is cut into reads. QEMU is not trusted: every message that does not
// fit is Errc::protocol, after which nothing more is taken.
class ReturnPath {
  public:
    explicit ReturnPath(std::vector<RamBlock> blocks) : blocks_(std::move(blocks)) {}
    Result<std::vector<ReturnMessage>> feed(ByteView bytes);

  private:
    Result<ReturnMessage> message(std::uint16_t type, ByteView body);
    Result<ReturnMessage> pages(ByteView body, bool named);

    std::vector<RamBlock> blocks_;
    Bytes pending_;
    std::optional<std::uint32_t> block_;  // named last
    bool failed_ = false;
};

}  // namespace kz::qemu
