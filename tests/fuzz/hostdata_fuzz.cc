// Arbitrary bytes as a slot of host data, and arbitrary text as its body. Bytes that no holder of the key
// made are never authentic; a body that is accepted survives being written and read again.
#include <cstdlib>

#include "storage/host_data_slot.h"

using namespace kz;

namespace {

void check_body(std::string_view body) {
    const auto data = storage::parse_host_data(body);
    if (!data) return;
    const auto again = storage::parse_host_data(storage::render_host_data(*data));
    // Text that is not UTF-8 is refused by the parser, so that nothing is replaced on the way.
    if (!again || !(*again == *data)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* bytes, std::size_t size) {
    const ByteView input(bytes, size);
    const auto key = storage::host_data_key(Secret(Bytes(16, 0x5a)));
    if (!key) std::abort();
    if (storage::slot_bytes_needed(input) > storage::kSlotBytes) std::abort();
    const auto slot = storage::decode_slot(input, &*key);
    if (!slot || slot->authentic) std::abort();
    check_body(slot->body);
    check_body(as_text(input));
    if (size > storage::kMaxBodyBytes) return 0;
    // The way through the checksums, which a fuzzer does not find by itself.
    const auto encoded = storage::encode_slot(1, as_text(input), *key);
    if (!encoded) std::abort();
    const auto decoded = storage::decode_slot(*encoded, &*key);
    if (!decoded || !decoded->authentic || decoded->body != as_text(input)) std::abort();
    return 0;
}
