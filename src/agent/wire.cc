#include "agent/wire.h"

#include <array>

namespace kz::agent {
namespace {

constexpr char kMark = '\xff';
// A run of so many is a mark: no frame can hold it outside its payload.
constexpr std::size_t kShortestMark = 24;
constexpr std::size_t kCrcOffset = 12;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    constexpr std::uint32_t kPolynomial = 0x82f63b78;
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value & 1) != 0 ? (value >> 1) ^ kPolynomial : value >> 1;
        table[i] = value;
    }
    return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

void store32(char* out, std::uint32_t value) {
    for (int i = 0; i < 4; ++i)
        out[i] = static_cast<char>(value >> (8 * i));
}

std::uint32_t load32(const char* in) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
        value |= std::uint32_t{static_cast<std::uint8_t>(in[i])} << (8 * i);
    return value;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
    std::uint32_t crc = ~before;
    for (const char c : bytes)
        crc = kCrcTable[(crc ^ static_cast<std::uint8_t>(c)) & 0xff] ^ (crc >> 8);
    return ~crc;
}

void append_frame(std::string& out, FrameType type, std::uint32_t session, std::uint8_t stream,
                  std::string_view payload) {
    std::array<char, kHeaderSize> header{'K', 'z', static_cast<char>(type), static_cast<char>(stream)};
    store32(header.data() + 4, session);
    store32(header.data() + 8, static_cast<std::uint32_t>(payload.size()));
    const std::uint32_t crc = crc32c(payload, crc32c({header.data(), kCrcOffset}));
    store32(header.data() + kCrcOffset, crc);
    out.append(header.data(), header.size());
    out.append(payload);
}

void append_mark(std::string& out) {
    out.append(kMarkSize, kMark);
}

void mask(std::string& payload, std::uint64_t nonce) {
    for (std::size_t i = 0; i < payload.size(); ++i)
        payload[i] = static_cast<char>(static_cast<std::uint8_t>(payload[i]) ^
                                       static_cast<std::uint8_t>(nonce >> (8 * (i % 8))));
}

FrameReader::Event FrameReader::lose() {
    aligned_ = false;
    run_ = 0;
    return Event::lost;
}

// True when a mark has passed and something else follows it.
bool FrameReader::find_mark() {
    std::size_t at = 0;
    for (; at < buffer_.size(); ++at) {
        if (buffer_[at] == kMark) {
            ++run_;
            continue;
        }
        if (run_ >= kShortestMark) break;
        run_ = 0;
    }
    buffer_.erase(0, at);
    aligned_ = !buffer_.empty();
    return aligned_;
}

FrameReader::Event FrameReader::next(Frame& frame) {
    if (!aligned_ && !find_mark()) return Event::none;
    if (buffer_.empty()) return Event::none;
    if (buffer_[0] != 'K') return lose();
    if (buffer_.size() < kHeaderSize) return Event::none;
    const auto type = static_cast<std::uint8_t>(buffer_[2]);
    const auto stream = static_cast<std::uint8_t>(buffer_[3]);
    const std::uint32_t length = load32(buffer_.data() + 8);
    if (buffer_[1] != 'z' || type == 0 || type > kLastFrameType || stream >= kStreams || length > kMaxPayload)
        return lose();
    if (buffer_.size() < kHeaderSize + length) return Event::none;
    const std::string_view whole(buffer_);
    const std::string_view payload = whole.substr(kHeaderSize, length);
    if (crc32c(payload, crc32c(whole.substr(0, kCrcOffset))) != load32(buffer_.data() + kCrcOffset))
        return lose();
    frame.type = static_cast<FrameType>(type);
    frame.stream = stream;
    frame.session = load32(buffer_.data() + 4);
    frame.payload.assign(payload);
    buffer_.erase(0, kHeaderSize + length);
    return Event::frame;
}

}  // namespace kz::agent
