// ConsoleHistory: the last 64 KiB that a zone wrote to its console, in a file that outlives the monitor. For
// monitor/console.h.
//
// Theory of operation. The file is mapped; what was appended is there after the monitor was killed, because
// the page cache keeps it. Positions count every byte that the console ever saw, so a client that comes back
// can ask for exactly what it missed.
//
// Layout, little-endian: magic "KZCONS01" (8 bytes), end position (u64), position before which there is
// nothing (u64), 40 bytes of zero, then 64 KiB in which the byte of position p stands at p modulo 64 KiB.
#pragma once

#include <string>

#include "base/bytes.h"
#include "os/paths.h"

namespace kz::monitor {

inline constexpr std::size_t kConsoleHistoryBytes = 64 * 1024;

class ConsoleHistory {
  public:
    // A file that is missing, of another size or without the magic begins anew at position 0.
    static Result<ConsoleHistory> open(const Path& file);
    ConsoleHistory(ConsoleHistory&& other) noexcept : map_(std::exchange(other.map_, nullptr)) {}
    ConsoleHistory& operator=(ConsoleHistory&&) = delete;
    ~ConsoleHistory();

    void append(ByteView bytes);
    // Position after the last byte.
    std::uint64_t end() const;
    // Position of the oldest byte kept.
    std::uint64_t begin() const;
    // At most `cap` bytes from `position` on, which is moved into begin()..end() first.
    Bytes read(std::uint64_t position, std::size_t cap) const;
    // Begins anew with what another host's console had: its last bytes, ending at position `end`.
    void restore(ByteView bytes, std::uint64_t end);

  private:
    explicit ConsoleHistory(Byte* map) : map_(map) {}
    Byte* map_;
};

}  // namespace kz::monitor
