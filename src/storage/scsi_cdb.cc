#include "storage/scsi_cdb.h"

#include "storage/scsi_bytes.h"

namespace kz::storage {
namespace {

constexpr Byte kFua = 0x08;

Cdb with_opcode(Byte opcode, std::size_t size) {
    Cdb cdb;
    cdb.bytes[0] = opcode;
    cdb.size = size;
    return cdb;
}

// READ, WRITE and SYNCHRONIZE CACHE have the same two layouts.
Cdb block_command(Byte opcode_10, Byte opcode_16, std::uint64_t lba, std::uint32_t blocks, Byte flags) {
    const bool small = lba <= UINT32_MAX && blocks <= UINT16_MAX;
    Cdb cdb = with_opcode(small ? opcode_10 : opcode_16, small ? 10 : 16);
    Byte* raw = cdb.bytes.data();
    raw[1] = flags;
    if (small) {
        store_be(raw + 2, static_cast<std::uint32_t>(lba));
        store_be(raw + 7, static_cast<std::uint16_t>(blocks));
    } else {
        store_be(raw + 2, lba);
        store_be(raw + 10, blocks);
    }
    return cdb;
}

}  // namespace

Cdb cdb_test_unit_ready() {
    return with_opcode(0x00, 6);
}

Cdb cdb_inquiry(std::uint16_t allocation) {
    Cdb cdb = with_opcode(0x12, 6);
    store_be(cdb.bytes.data() + 3, allocation);
    return cdb;
}

Cdb cdb_inquiry(VpdPage page, std::uint16_t allocation) {
    Cdb cdb = cdb_inquiry(allocation);
    cdb.bytes[1] = 0x01;
    cdb.bytes[2] = static_cast<Byte>(page);
    return cdb;
}

Cdb cdb_report_luns(std::uint32_t allocation) {
    Cdb cdb = with_opcode(0xa0, 12);
    store_be(cdb.bytes.data() + 6, allocation);
    return cdb;
}

Cdb cdb_read_capacity_10() {
    return with_opcode(0x25, 10);
}

Cdb cdb_read_capacity_16(std::uint32_t allocation) {
    Cdb cdb = with_opcode(0x9e, 16);
    cdb.bytes[1] = 0x10;  // service action
    store_be(cdb.bytes.data() + 10, allocation);
    return cdb;
}

Cdb cdb_mode_sense_caching(Byte allocation) {
    Cdb cdb = with_opcode(0x1a, 6);
    cdb.bytes[1] = 0x08;  // no block descriptors
    cdb.bytes[2] = 0x08;  // the caching page, current values
    cdb.bytes[4] = allocation;
    return cdb;
}

Cdb cdb_report_supported(ScsiOpcode opcode, std::uint32_t allocation) {
    Cdb cdb = with_opcode(0xa3, 12);
    cdb.bytes[1] = 0x0c;  // service action
    cdb.bytes[2] = 0x01;  // one command, by its operation code
    cdb.bytes[3] = static_cast<Byte>(opcode);
    store_be(cdb.bytes.data() + 6, allocation);
    return cdb;
}

Cdb cdb_read(std::uint64_t lba, std::uint32_t blocks, bool fua) {
    return block_command(0x28, 0x88, lba, blocks, fua ? kFua : 0);
}

Cdb cdb_write(std::uint64_t lba, std::uint32_t blocks, bool fua) {
    return block_command(0x2a, static_cast<Byte>(ScsiOpcode::write_16), lba, blocks, fua ? kFua : 0);
}

Cdb cdb_synchronize_cache(std::uint64_t lba, std::uint32_t blocks) {
    return block_command(0x35, 0x91, lba, blocks, 0);
}

Cdb cdb_compare_and_write(std::uint64_t lba, Byte blocks, bool fua) {
    Cdb cdb = with_opcode(static_cast<Byte>(ScsiOpcode::compare_and_write), 16);
    cdb.bytes[1] = fua ? kFua : 0;
    store_be(cdb.bytes.data() + 2, lba);
    cdb.bytes[13] = blocks;
    return cdb;
}

}  // namespace kz::storage
