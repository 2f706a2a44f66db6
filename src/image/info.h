// ImageInfo: what a suspend image says about the machine in it. For src/image and src/monitor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/cipher.h"

namespace kz::image {

// The numbers are on disks: append only, 0 is never valid.
enum class Layout : std::uint8_t {
    channels = 1,  // the recorded channels of one migration, to be replayed
    pages = 2,     // memory by page (image/page_table.h), to be served in any order
};
std::string_view layout_name(Layout layout);

struct ImageInfo {
    std::string image_id;   // uuid text; made by ImageWriter
    std::string zone_uuid;  // uuid text
    std::string zone_name;
    std::uint64_t epoch = 0;  // of the zone's host data when it was suspended
    std::string machine_type;
    std::string qemu_version;
    std::string cpu_model;
    std::uint64_t memory_bytes = 0;
    std::uint32_t cpu_count = 0;
    std::vector<std::string> devices;  // all that the machine was made of, in a stable order
    std::uint64_t created_ms = 0;      // UTC, milliseconds since 1970
    std::uint32_t channel_count = 0;   // 1 to kMaxChannels (image/format.h)
    Layout layout = Layout::channels;
    // Set by ImageWriter.
    crypto::Cipher cipher = crypto::kDefaultCipher;
};

// What an image holds.
struct ImageTotals {
    std::uint64_t plain_bytes = 0;
    std::uint64_t sealed_bytes = 0;
    std::uint64_t records = 0;     // data records
    std::uint64_t file_bytes = 0;  // the whole image
};

}  // namespace kz::image
