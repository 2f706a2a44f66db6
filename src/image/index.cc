#include "image/index.h"

#include "stream/record.h"

namespace kz::image {
namespace {

constexpr std::size_t kEntrySize = 24;
constexpr std::size_t kChannelHeadSize = 16;

std::unexpected<Error> damaged() {
    return fail(Errc::corrupt, "the image's index is damaged");
}

// Takes bytes from the front of a view.
class Cursor {
  public:
    explicit Cursor(ByteView bytes) : bytes_(bytes) {}
    std::size_t left() const { return bytes_.size(); }
    template <typename T>
    T take() {
        const T value = load_le<T>(bytes_.data());
        bytes_ = bytes_.subspan(sizeof(T));
        return value;
    }

  private:
    ByteView bytes_;
};

bool fits(const IndexEntry& entry, bool is_final, const IndexBounds& bounds) {
    // A compressed record is shorter than its plain bytes would be, never longer.
    const std::size_t largest = stream::sealed_size(bounds.cipher, entry.plain_length);
    if (entry.plain_length > stream::kMaxPayload || entry.sealed_length > largest) return false;
    if (entry.sealed_length < stream::sealed_size(bounds.cipher, 0)) return false;
    if (is_final != (entry.plain_length == 0)) return false;
    return entry.file_offset >= kBlock && entry.file_offset <= bounds.records_end &&
           entry.sealed_length <= bounds.records_end - entry.file_offset;
}

Result<std::vector<IndexEntry>> decode_channel(Cursor& cursor, std::uint32_t number,
                                               const IndexBounds& bounds) {
    if (cursor.left() < kChannelHeadSize) return damaged();
    if (cursor.take<std::uint32_t>() != number || cursor.take<std::uint32_t>() != 0) return damaged();
    const auto count = cursor.take<std::uint64_t>();
    if (count == 0 || count > cursor.left() / kEntrySize || count > stream::kMaxRecords) return damaged();
    std::vector<IndexEntry> entries(count);
    std::uint64_t plain_offset = 0;
    for (std::size_t i = 0; i < count; ++i) {
        IndexEntry& entry = entries[i];
        entry.file_offset = cursor.take<std::uint64_t>();
        entry.plain_offset = cursor.take<std::uint64_t>();
        entry.plain_length = cursor.take<std::uint32_t>();
        entry.sealed_length = cursor.take<std::uint32_t>();
        if (entry.plain_offset != plain_offset || !fits(entry, i + 1 == count, bounds)) return damaged();
        plain_offset += entry.plain_length;
    }
    return entries;
}

}  // namespace

Bytes encode_index(const Index& index) {
    Bytes out;
    append_le<std::uint32_t>(out, static_cast<std::uint32_t>(index.size()));
    for (std::size_t number = 0; number < index.size(); ++number) {
        append_le<std::uint32_t>(out, static_cast<std::uint32_t>(number));
        append_le<std::uint32_t>(out, 0);
        append_le<std::uint64_t>(out, index[number].size());
        for (const IndexEntry& entry : index[number]) {
            append_le<std::uint64_t>(out, entry.file_offset);
            append_le<std::uint64_t>(out, entry.plain_offset);
            append_le<std::uint32_t>(out, entry.plain_length);
            append_le<std::uint32_t>(out, entry.sealed_length);
        }
    }
    return out;
}

Result<Index> decode_index(ByteView bytes, const IndexBounds& bounds) {
    Cursor cursor(bytes);
    if (cursor.left() < sizeof(std::uint32_t) || cursor.take<std::uint32_t>() != bounds.channel_count)
        return damaged();
    Index index;
    for (std::uint32_t number = 0; number < bounds.channel_count; ++number) {
        KZ_TRY(std::vector<IndexEntry> entries, decode_channel(cursor, number, bounds));
        index.push_back(std::move(entries));
    }
    if (cursor.left() != 0) return damaged();
    return index;
}

}  // namespace kz::image
