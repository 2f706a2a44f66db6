// Arbitrary bytes as QEMU's migration stream, as its return path, and as the page table of an image.
#include <algorithm>
#include <cstdlib>

#include "image/page_table.h"
#include "qemu/postcopy.h"
#include "qemu/ram_stream.h"

using namespace kz;

namespace {

// Holds the parser to what it promises.
class CheckingSink final : public qemu::RamSink {
    Result<void> blocks(const std::vector<qemu::RamBlock>& blocks) override {
        if (!blocks_.empty() || blocks.empty()) std::abort();
        blocks_ = blocks;
        return {};
    }
    Result<void> page(std::uint32_t block, std::uint64_t offset, ByteView bytes) override {
        if (bytes.size() != qemu::kGuestPage) std::abort();
        return zero_page(block, offset);
    }
    Result<void> zero_page(std::uint32_t block, std::uint64_t offset) override {
        if (block >= blocks_.size() || offset % qemu::kGuestPage != 0 || offset >= blocks_[block].bytes)
            std::abort();
        return {};
    }
    std::vector<qemu::RamBlock> blocks_;
};

void use_stream(ByteView bytes, std::size_t step) {
    CheckingSink sink;
    qemu::RamStreamParser parser(sink);
    while (!bytes.empty()) {
        const MutableBytes space = parser.space();
        const std::size_t part = std::min({space.size(), bytes.size(), step});
        std::copy_n(bytes.begin(), part, space.begin());
        if (!parser.commit(part)) return;
        bytes = bytes.subspan(part);
    }
    const auto state = parser.finish();
    if (state && state->devices >= state->tail.size()) std::abort();
}

void use_return_path(ByteView bytes) {
    const std::vector<qemu::RamBlock> blocks{{"pc.ram", 1 << 20}, {"r", 8192}};
    qemu::ReturnPath path(blocks);
    const auto messages = path.feed(bytes);
    if (!messages) return;
    for (const qemu::ReturnMessage& message : *messages) {
        if (message.kind != qemu::ReturnMessage::Kind::pages) continue;
        if (message.block >= 2 || message.offset + message.bytes > blocks[message.block].bytes) std::abort();
    }
}

void use_page_table(ByteView bytes) {
    const auto index = image::decode_page_index(bytes, 1 << 24, {0, 5000, 3});
    if (index && !std::ranges::equal(image::encode_page_index(*index), bytes)) {
        // The same table may be written with other runs; but what was written again must mean the same.
        const auto again = image::decode_page_index(image::encode_page_index(*index), 1 << 24, {0, 5000, 3});
        if (!again || again->parts != index->parts) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    const ByteView bytes(data, size);
    use_stream(bytes, SIZE_MAX);
    use_stream(bytes, 5);
    use_return_path(bytes);
    use_page_table(bytes);
    return 0;
}
