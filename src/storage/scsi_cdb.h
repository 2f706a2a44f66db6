// SCSI command descriptor blocks (SPC-4, SBC-3): what is sent to a disk. Internal to storage.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace kz::storage {

struct Cdb {
    std::array<Byte, 16> bytes{};
    std::size_t size = 16;
};

// Vital product data pages.
enum class VpdPage : Byte { supported = 0x00, serial = 0x80, identification = 0x83, block_limits = 0xb0 };

enum class ScsiOpcode : Byte { write_16 = 0x8a, compare_and_write = 0x89 };

Cdb cdb_test_unit_ready();
Cdb cdb_inquiry(std::uint16_t allocation);
Cdb cdb_inquiry(VpdPage page, std::uint16_t allocation);
Cdb cdb_report_luns(std::uint32_t allocation);
Cdb cdb_read_capacity_10();
Cdb cdb_read_capacity_16(std::uint32_t allocation);
// The header and the caching page, without block descriptors.
Cdb cdb_mode_sense_caching(Byte allocation);
// Whether one operation code is supported.
Cdb cdb_report_supported(ScsiOpcode opcode, std::uint32_t allocation);

// The forms of 10 bytes where they reach (every disk has them), else those of 16.
Cdb cdb_read(std::uint64_t lba, std::uint32_t blocks, bool fua);
Cdb cdb_write(std::uint64_t lba, std::uint32_t blocks, bool fua);
Cdb cdb_synchronize_cache(std::uint64_t lba, std::uint32_t blocks);
Cdb cdb_compare_and_write(std::uint64_t lba, Byte blocks, bool fua);

}  // namespace kz::storage
