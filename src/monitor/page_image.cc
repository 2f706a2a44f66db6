#include "monitor/page_image.h"

#include <algorithm>
#include <thread>

#include "image/page_prefetch.h"
#include "qemu/postcopy.h"

namespace kz::monitor {
namespace {

constexpr std::size_t kParts = 4;
constexpr std::size_t kNumbers = 12;
constexpr unsigned kMaxOpeningThreads = 4;

void add_live_pages(const image::PageReader& reader, const image::PagePrefetch::Group& group,
                    qemu::RamSections& sections, Bytes& out) {
    const auto pages = reader.pages_of(group.number);
    sections.begin(out);
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (!pages[i].exists()) continue;
        sections.page(out, pages[i].block, std::uint64_t{pages[i].page} * image::kPageSize,
                      ByteView(*group.bytes).subspan(i * image::kPageSize, image::kPageSize));
    }
    sections.end(out);
}

}  // namespace

std::vector<Bytes> parts_of(qemu::MachineState state) {
    Bytes numbers;
    append_le<std::uint64_t>(numbers, state.devices);
    append_le<std::uint32_t>(numbers, state.ram_section);
    std::vector<Bytes> parts;
    parts.push_back(std::move(state.header));
    parts.push_back(std::move(state.setup));
    parts.push_back(std::move(state.tail));
    parts.push_back(std::move(numbers));
    return parts;
}

Result<qemu::MachineState> machine_state_of(const std::vector<Bytes>& parts) {
    if (parts.size() != kParts || parts[3].size() != kNumbers)
        return fail(Errc::corrupt, "the image's machine state is damaged");
    qemu::MachineState state{.header = parts[0],
                             .setup = parts[1],
                             .tail = parts[2],
                             .devices = load_le<std::uint64_t>(parts[3].data()),
                             .ram_section = load_le<std::uint32_t>(parts[3].data() + 8)};
    if (state.devices >= state.tail.size())
        return fail(Errc::corrupt, "the image's machine state is damaged (devices)");
    return state;
}

std::vector<qemu::RamBlock> ram_blocks_of(const image::PageTable& table) {
    std::vector<qemu::RamBlock> blocks;
    for (const image::PageBlock& block : table.blocks())
        blocks.push_back({block.name, block.bytes});
    return blocks;
}

unsigned opening_threads() {
    return std::clamp(std::thread::hardware_concurrency(), 1U, kMaxOpeningThreads);
}

Result<stream::PumpTotals> replay_pages(const image::PageReader& reader, int plain_fd,
                                        const stream::PumpRules& rules, stream::PumpCounters& counters) {
    KZ_TRY(const qemu::MachineState state, machine_state_of(reader.parts()));
    KZ_TRY(const std::unique_ptr<image::PagePrefetch> prefetch,
           image::PagePrefetch::create(reader, reader.in_order_of_memory(), opening_threads()));
    qemu::RamSections sections(ram_blocks_of(reader.table()), state.ram_section);
    stream::PumpTotals totals;
    const auto send = [&](ByteView bytes) -> Result<void> {
        totals.plain_bytes += bytes.size();
        counters.plain_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
        return write_all(plain_fd, bytes, Deadline::never(), rules.cancel_fd);
    };
    KZ_CHECK(send(state.header));
    KZ_CHECK(send(state.setup));
    Bytes out;
    while (!prefetch->drained()) {
        KZ_CHECK(wait_readable(prefetch->fd(), Deadline::never(), rules.cancel_fd));
        const std::optional<image::PagePrefetch::Group> group = prefetch->take();
        if (!group) continue;
        if (!group->bytes) return std::unexpected(group->bytes.error());
        out.clear();
        add_live_pages(reader, *group, sections, out);
        KZ_CHECK(send(out));
        ++totals.records;
    }
    out.clear();
    sections.last(out);
    KZ_CHECK(send(out));
    KZ_CHECK(send(state.tail));
    return totals;
}

}  // namespace kz::monitor
