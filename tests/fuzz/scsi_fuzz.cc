// Arbitrary bytes as each answer of a SCSI disk, the first byte chooses which. Whatever is accepted is within
// the caps and printable.
#include <algorithm>
#include <cstdlib>

#include "storage/scsi_data.h"

using namespace kz;
using namespace kz::storage;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

void check_text(const std::string& text, std::size_t most) {
    check(text.size() <= most);
    check(std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; }));
}

void check_names(ByteView data) {
    const auto names = decode_names(data);
    if (!names) return;
    check(names->size() <= 256);
    for (const std::string& name : *names) {
        check_text(name, 260);
        check(std::ranges::count(*names, name) == 1);
    }
}

void check_luns(ByteView data) {
    const auto list = decode_luns(data);
    if (!list) return;
    check(list->luns.size() + list->left_out <= kMaxLuns && list->needed <= 8 + 8 * kMaxLuns);
    check(std::ranges::is_sorted(list->luns));
    check(list->luns.empty() || list->luns.back() < 16384);
}

void check_capacity(const Result<Capacity>& capacity) {
    if (!capacity) return;
    check(capacity->blocks != 0 && capacity->block_bytes >= 512 && capacity->block_bytes <= 4096);
    check(capacity->bytes() / capacity->block_bytes == capacity->blocks);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    if (size == 0) return 0;
    const ByteView data(bytes + 1, size - 1);
    switch (bytes[0] % 9) {
        case 0:
            if (const auto inquiry = decode_inquiry(data)) {
                check_text(inquiry->vendor, 8);
                check_text(inquiry->product, 16);
                check(inquiry->present || !inquiry->disk);
            }
            break;
        case 1:
            if (const auto pages = decode_vpd_pages(data)) check(pages->size() <= data.size());
            break;
        case 2:
            if (const auto serial = decode_serial(data)) check_text(*serial, 255);
            break;
        case 3:
            check_names(data);
            break;
        case 4:
            static_cast<void>(decode_block_limits(data));
            break;
        case 5:
            check_luns(data);
            break;
        case 6:
            check_capacity(decode_capacity_10(data));
            check_capacity(decode_capacity_16(data));
            break;
        case 7:
            static_cast<void>(decode_mode(data));
            static_cast<void>(decode_supported(data));
            break;
        case 8:
            check(decode_sense(data).key <= static_cast<SenseKey>(0x0f));
            break;
    }
    return 0;
}
