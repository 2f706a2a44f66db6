// What the monitor keeps in an image of layout `pages` beside the memory, and the whole of it given back to
// QEMU at once. For the monitor's own files.
#pragma once

#include "image/page_reader.h"
#include "qemu/ram_stream.h"
#include "stream/pump.h"

namespace kz::monitor {

// The opaque parts of the image: file header and configuration; the memory's start section; the rest; and
// {u64 bytes of devices, u32 memory's section}, little-endian.
std::vector<Bytes> parts_of(qemu::MachineState state);
// Errc::corrupt when the parts are not those.
Result<qemu::MachineState> machine_state_of(const std::vector<Bytes>& parts);

std::vector<qemu::RamBlock> ram_blocks_of(const image::PageTable& table);

// How many threads open an image's records ahead.
unsigned opening_threads();

// A migration stream as QEMU reads it before anything runs: all of the memory, then the devices. For
// migrate::PumpGroup.
Result<stream::PumpTotals> replay_pages(const image::PageReader& reader, int plain_fd,
                                        const stream::PumpRules& rules, stream::PumpCounters& counters);

}  // namespace kz::monitor
