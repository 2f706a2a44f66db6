#include "image/page_table.h"

#include <algorithm>
#include <limits>

namespace kz::image {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMaxBlocks = 4096;
constexpr std::size_t kMaxParts = 16;
constexpr std::size_t kMaxName = 255;
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 44;
constexpr std::size_t kRunSize = 24;

struct Run {
    std::uint32_t block = 0;
    std::uint32_t count = 0;
    std::uint64_t page = 0;
    PagePlace place;

    // Whether the page comes right after the run, in memory and in the image.
    bool goes_on(std::uint32_t next_block, std::uint64_t next_page, PagePlace next) const {
        return count != 0 && block == next_block && page + count == next_page &&
               place.channel == next.channel && std::uint64_t{place.number} + count == next.number &&
               count != std::numeric_limits<std::uint32_t>::max();
    }
};

template <typename Take>
void for_each_run(const PageTable& table, Take take) {
    Run run;
    for (std::uint32_t block = 0; block < table.blocks().size(); ++block) {
        const std::uint64_t pages = table.blocks()[block].pages();
        for (std::uint64_t page = 0; page < pages; ++page) {
            const PagePlace place = table.place(block, page);
            if (place.channel == 0) continue;
            if (run.goes_on(block, page, place)) {
                ++run.count;
                continue;
            }
            if (run.count != 0) take(run);
            run = {block, 1, page, place};
        }
    }
    if (run.count != 0) take(run);
}

std::unexpected<Error> damaged() {
    return fail(Errc::corrupt, "the image's page table is damaged");
}

// Takes from the front of a view; nothing when there is not enough.
class Cursor {
  public:
    explicit Cursor(ByteView bytes) : bytes_(bytes) {}
    std::size_t left() const { return bytes_.size(); }
    template <typename T>
    std::optional<T> take() {
        if (bytes_.size() < sizeof(T)) return std::nullopt;
        const T value = load_le<T>(bytes_.data());
        bytes_ = bytes_.subspan(sizeof(T));
        return value;
    }
    std::optional<ByteView> take(std::uint64_t count) {
        if (count > bytes_.size()) return std::nullopt;
        const ByteView part = bytes_.first(count);
        bytes_ = bytes_.subspan(count);
        return part;
    }

  private:
    ByteView bytes_;
};

struct Counts {
    std::uint32_t blocks = 0;
    std::uint32_t parts = 0;
    std::uint64_t runs = 0;
};

Result<Counts> decode_head(Cursor& cursor) {
    const auto version = cursor.take<std::uint32_t>();
    const auto blocks = cursor.take<std::uint32_t>();
    const auto parts = cursor.take<std::uint32_t>();
    const auto zero = cursor.take<std::uint32_t>();
    const auto runs = cursor.take<std::uint64_t>();
    if (!runs || *zero != 0 || *blocks > kMaxBlocks || *parts > kMaxParts) return damaged();
    if (*version != kVersion) return fail(Errc::unsupported, "a page table of version {}", *version);
    return Counts{*blocks, *parts, *runs};
}

Result<std::vector<Bytes>> decode_parts(Cursor& cursor, std::uint32_t count) {
    std::vector<Bytes> parts;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto length = cursor.take<std::uint64_t>();
        const auto part = cursor.take(length.value_or(std::numeric_limits<std::uint64_t>::max()));
        if (!part) return damaged();
        parts.emplace_back(part->begin(), part->end());
    }
    return parts;
}

Result<std::vector<PageBlock>> decode_blocks(Cursor& cursor, std::uint32_t count,
                                             std::uint64_t memory_bytes) {
    std::vector<PageBlock> blocks;
    std::uint64_t all = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto bytes = cursor.take<std::uint64_t>();
        const auto length = cursor.take<std::uint32_t>();
        if (!length || *length > kMaxName) return damaged();
        const auto name = cursor.take(std::uint64_t{*length});
        if (!name || *bytes > memory_bytes || all > memory_bytes - *bytes) return damaged();
        all += *bytes;
        blocks.push_back({std::string(as_text(*name)), *bytes});
    }
    return blocks;
}

Result<void> decode_run(Cursor& cursor, const std::vector<std::uint64_t>& channel_pages, Run& last,
                        PageTable& table) {
    Run run;
    run.block = cursor.take<std::uint32_t>().value_or(0);
    run.count = cursor.take<std::uint32_t>().value_or(0);
    run.page = cursor.take<std::uint64_t>().value_or(0);
    run.place.channel = cursor.take<std::uint32_t>().value_or(0);
    run.place.number = cursor.take<std::uint32_t>().value_or(0);
    if (run.count == 0 || run.block >= table.blocks().size()) return damaged();
    const std::uint64_t pages = table.blocks()[run.block].pages();
    if (run.page > pages || run.count > pages - run.page) return damaged();
    if (run.place.channel == 0 || run.place.channel >= channel_pages.size()) return damaged();
    if (std::uint64_t{run.place.number} + run.count > channel_pages[run.place.channel]) return damaged();
    const bool follows = last.count == 0 || run.block > last.block ||
                         (run.block == last.block && run.page >= last.page + last.count);
    if (!follows) return damaged();
    for (std::uint32_t i = 0; i < run.count; ++i)
        table.put(run.block, run.page + i, {run.place.channel, run.place.number + i});
    last = run;
    return {};
}

}  // namespace

Result<PageTable> PageTable::create(std::vector<PageBlock> blocks) {
    PageTable table;
    std::uint64_t all = 0;
    if (blocks.empty() || blocks.size() > kMaxBlocks)
        return fail(Errc::invalid_argument, "memory of {} blocks", blocks.size());
    for (const PageBlock& block : blocks) {
        if (block.name.empty() || block.name.size() > kMaxName || block.bytes % kPageSize != 0 ||
            block.bytes > kMaxMemory || all > kMaxMemory - block.bytes)
            return fail(Errc::invalid_argument, "a block of memory of {} bytes", block.bytes);
        all += block.bytes;
    }
    for (const PageBlock& block : blocks)
        table.places_.emplace_back(block.pages());
    table.blocks_ = std::move(blocks);
    return table;
}

Bytes encode_page_index(const PageIndex& index) {
    Bytes runs;
    std::uint64_t count = 0;
    for_each_run(index.table, [&](const Run& run) {
        ++count;
        append_le<std::uint32_t>(runs, run.block);
        append_le<std::uint32_t>(runs, run.count);
        append_le<std::uint64_t>(runs, run.page);
        append_le<std::uint32_t>(runs, run.place.channel);
        append_le<std::uint32_t>(runs, run.place.number);
    });
    Bytes out;
    append_le<std::uint32_t>(out, kVersion);
    append_le<std::uint32_t>(out, static_cast<std::uint32_t>(index.table.blocks().size()));
    append_le<std::uint32_t>(out, static_cast<std::uint32_t>(index.parts.size()));
    append_le<std::uint32_t>(out, 0);
    append_le<std::uint64_t>(out, count);
    for (const Bytes& part : index.parts) {
        append_le<std::uint64_t>(out, part.size());
        out.insert(out.end(), part.begin(), part.end());
    }
    for (const PageBlock& block : index.table.blocks()) {
        append_le<std::uint64_t>(out, block.bytes);
        append_le<std::uint32_t>(out, static_cast<std::uint32_t>(block.name.size()));
        out.insert(out.end(), block.name.begin(), block.name.end());
    }
    out.insert(out.end(), runs.begin(), runs.end());
    return out;
}

Result<PageIndex> decode_page_index(ByteView bytes, std::uint64_t memory_bytes,
                                    const std::vector<std::uint64_t>& channel_pages) {
    Cursor cursor(bytes);
    KZ_TRY(const Counts counts, decode_head(cursor));
    KZ_TRY(std::vector<Bytes> parts, decode_parts(cursor, counts.parts));
    KZ_TRY(std::vector<PageBlock> blocks, decode_blocks(cursor, counts.blocks, memory_bytes));
    if (cursor.left() % kRunSize != 0 || cursor.left() / kRunSize != counts.runs) return damaged();
    Result<PageTable> table = PageTable::create(std::move(blocks));
    if (!table) return damaged();
    Run last;
    for (std::uint64_t i = 0; i < counts.runs; ++i)
        KZ_CHECK(decode_run(cursor, channel_pages, last, *table));
    return PageIndex{std::move(parts), std::move(*table)};
}

}  // namespace kz::image
