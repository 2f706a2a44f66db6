#include "qemu/postcopy.h"

#include <algorithm>

#include "qemu/big_endian.h"

namespace kz::qemu {
namespace {

enum Command : std::uint16_t {
    kOpenReturnPath = 1,
    kPing = 2,
    kAdvise = 3,
    kListen = 4,
    kRun = 5,
    kDiscard = 6,
    kPackaged = 7
};

constexpr Byte kCommandType = 0x08;
constexpr Byte kPartType = 0x02;
constexpr Byte kLastType = 0x03;
constexpr Byte kFooter = 0x7e;
constexpr std::uint64_t kZero = 0x02;
constexpr std::uint64_t kPage = 0x08;
constexpr std::uint64_t kEndOfSection = 0x10;
constexpr std::uint64_t kSameBlock = 0x20;
// QEMU's own limit is 4 GiB in newer versions, 16 MiB in older ones.
constexpr std::size_t kMaxPackage = 16 << 20;

void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void command(Bytes& out, Command number, ByteView body = {}) {
    out.push_back(kCommandType);
    append_be<std::uint16_t>(out, number);
    append_be<std::uint16_t>(out, static_cast<std::uint16_t>(body.size()));
    append(out, body);
}

void discard(Bytes& out, const RamBlock& block) {
    Bytes body;
    body.push_back(0);
    body.push_back(static_cast<Byte>(block.name.size()));
    append(body, as_bytes(block.name));
    body.push_back(0);
    append_be<std::uint64_t>(body, 0);
    append_be<std::uint64_t>(body, block.bytes);
    command(out, kDiscard, body);
}

}  // namespace

Result<void> set_up_postcopy_incoming(Qmp& qmp) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [name, on] : {std::pair{"events", true}, {"multifd", false}, {"postcopy-ram", true}})
        list.push_back({{"capability", name}, {"state", on}});
    KZ_CHECK(qmp.execute("migrate-set-capabilities", {{"capabilities", std::move(list)}}));
    return {};
}

Result<Bytes> postcopy_prelude(const MachineState& state, const std::vector<RamBlock>& blocks) {
    Bytes out = state.header;
    Bytes number;
    append_be<std::uint32_t>(number, 1);
    Bytes advice;
    append_be<std::uint64_t>(advice, kGuestPage);
    append_be<std::uint64_t>(advice, kGuestPage);
    command(out, kOpenReturnPath);
    command(out, kPing, number);
    command(out, kAdvise, advice);
    append(out, state.setup);
    for (const RamBlock& block : blocks)
        discard(out, block);
    Bytes package;
    command(package, kListen);
    append(package, ByteView(state.tail).first(state.devices));
    command(package, kRun);
    if (package.size() > kMaxPackage)
        return fail(Errc::unsupported, "the machine's devices have {} bytes of state", state.devices);
    Bytes length;
    append_be<std::uint32_t>(length, static_cast<std::uint32_t>(package.size()));
    command(out, kPackaged, length);
    append(out, package);
    return out;
}

void RamSections::begin(Bytes& out) {
    out.push_back(kPartType);
    append_be<std::uint32_t>(out, section_);
    last_block_ = UINT32_MAX;
}

void RamSections::entry(Bytes& out, std::uint32_t block, std::uint64_t offset, std::uint64_t flags) {
    const bool same = block == std::exchange(last_block_, block);
    append_be<std::uint64_t>(out, offset | flags | (same ? kSameBlock : 0));
    if (same) return;
    out.push_back(static_cast<Byte>(blocks_[block].name.size()));
    append(out, as_bytes(blocks_[block].name));
}

void RamSections::page(Bytes& out, std::uint32_t block, std::uint64_t offset, ByteView bytes) {
    entry(out, block, offset, kPage);
    append(out, bytes);
}

void RamSections::zero_page(Bytes& out, std::uint32_t block, std::uint64_t offset) {
    entry(out, block, offset, kZero);
    out.push_back(0);
}

void RamSections::end(Bytes& out) const {
    append_be<std::uint64_t>(out, kEndOfSection);
    out.push_back(kFooter);
    append_be<std::uint32_t>(out, section_);
}

void RamSections::last(Bytes& out) const {
    out.push_back(kLastType);
    append_be<std::uint32_t>(out, section_);
    end(out);
}

Result<std::vector<ReturnMessage>> ReturnPath::feed(ByteView bytes) {
    constexpr std::size_t kHead = 4;
    constexpr std::size_t kMaxBody = 512;
    if (failed_) return fail(Errc::protocol, "QEMU's return path has failed");
    failed_ = true;
    append(pending_, bytes);
    std::vector<ReturnMessage> messages;
    ByteView left = pending_;
    while (left.size() >= kHead) {
        const auto type = load_be<std::uint16_t>(left.data());
        const auto length = load_be<std::uint16_t>(left.data() + 2);
        if (length > kMaxBody) return fail(Errc::protocol, "QEMU answers with {} bytes", length);
        if (left.size() < kHead + length) break;
        KZ_TRY(const ReturnMessage read, message(type, left.subspan(kHead, length)));
        messages.push_back(read);
        left = left.subspan(kHead + length);
    }
    pending_ = Bytes(left.begin(), left.end());
    failed_ = false;
    return messages;
}

Result<ReturnMessage> ReturnPath::message(std::uint16_t type, ByteView body) {
    constexpr std::uint16_t kShut = 1;
    constexpr std::uint16_t kPong = 2;
    constexpr std::uint16_t kPagesOfBlock = 3;
    constexpr std::uint16_t kPages = 4;
    switch (type) {
        case kShut:
            if (body.size() != 4) return fail(Errc::protocol, "QEMU's shut has {} bytes", body.size());
            return ReturnMessage{.kind = ReturnMessage::Kind::shut,
                                 .value = load_be<std::uint32_t>(body.data())};
        case kPong:
            return ReturnMessage{};
        case kPagesOfBlock:
            return pages(body, true);
        case kPages:
            return pages(body, false);
        default:
            return fail(Errc::protocol, "QEMU answers what is not understood ({})", type);
    }
}

Result<ReturnMessage> ReturnPath::pages(ByteView body, bool named) {
    constexpr std::size_t kFixed = 12;
    const std::size_t name_length = named && body.size() > kFixed ? body[kFixed] : 0;
    if (body.size() != kFixed + (named ? 1 + name_length : 0))
        return fail(Errc::protocol, "QEMU asks for pages with {} bytes", body.size());
    if (named) {
        const auto found = std::ranges::find(blocks_, as_text(body.subspan(kFixed + 1)), &RamBlock::name);
        if (found == blocks_.end()) return fail(Errc::protocol, "QEMU asks for pages of an unknown block");
        block_ = static_cast<std::uint32_t>(found - blocks_.begin());
    }
    if (!block_) return fail(Errc::protocol, "QEMU asks for pages of no block");
    const auto offset = load_be<std::uint64_t>(body.data());
    const auto bytes = load_be<std::uint32_t>(body.data() + 8);
    const std::uint64_t size = blocks_[*block_].bytes;
    if (offset % kGuestPage != 0 || bytes % kGuestPage != 0 || offset > size || bytes > size - offset)
        return fail(Errc::protocol, "QEMU asks for {} bytes at {} of a block of {}", bytes, offset, size);
    return ReturnMessage{
        .kind = ReturnMessage::Kind::pages, .value = 0, .block = *block_, .offset = offset, .bytes = bytes};
}

}  // namespace kz::qemu
