#include <map>

#include "image/format.h"
#include "image/page_prefetch.h"
#include "image/page_reader.h"
#include "image/page_writer.h"
#include "image_fixture.h"

namespace kz::image {
namespace {

const std::vector<PageBlock> kBlocks{{"pc.ram", 700 * kPageSize}, {"pc.bios", 3 * kPageSize}};
const std::vector<Bytes> kParts{Bytes{1, 2, 3}, Bytes{}, Bytes(300'000, 9)};

using Key = std::pair<std::uint32_t, std::uint64_t>;
using Memory = std::map<Key, Bytes>;

Bytes page_bytes(std::uint64_t seed) {
    return content(kPageSize, static_cast<std::uint32_t>(seed));
}

ImageInfo paged(std::uint32_t channels) {
    ImageInfo info = ant1(channels);
    info.layout = Layout::pages;
    return info;
}

// Every second page of the first block, in two passes of which the second changes every tenth and makes some
// zeros.
Memory write_passes(PageWriter& writer) {
    Memory memory;
    const auto put = [&](std::uint32_t block, std::uint64_t page, std::uint64_t seed) {
        memory[{block, page}] = page_bytes(seed);
        EXPECT_TRUE(writer.put(block, page, memory[{block, page}]).has_value());
    };
    for (std::uint64_t page = 0; page < 700; page += 2)
        put(0, page, page);
    put(1, 2, 77);
    for (std::uint64_t page = 0; page < 700; page += 10)
        put(0, page, page + 100'000);
    for (std::uint64_t page = 6; page < 700; page += 70) {
        EXPECT_TRUE(writer.put_zeros(0, page).has_value());
        memory.erase({0, page});
    }
    return memory;
}

struct Written {
    Bytes image;
    Memory memory;
};

Written write_pages(std::uint32_t channels) {
    auto bytes = std::make_shared<MemoryBytes>();
    auto writer = ImageWriter::create(std::make_unique<MemoryMedium>(bytes), paged(channels), key_of_ant1(),
                                      crypto::kDefaultCipher);
    EXPECT_TRUE(writer.has_value());
    auto pages = PageWriter::create(*writer, kBlocks);
    EXPECT_TRUE(pages.has_value());
    Memory memory = write_passes(**pages);
    EXPECT_TRUE((*pages)->finish(kParts).has_value());
    EXPECT_TRUE(writer->finish().has_value());
    return {bytes->bytes, std::move(memory)};
}

void add_group(const PageReader& reader, std::size_t group, const Bytes& bytes, Memory& memory) {
    const auto pages = reader.pages_of(group);
    ASSERT_EQ(bytes.size(), pages.size() * kPageSize);
    for (std::size_t i = 0; i < pages.size(); ++i) {
        if (!pages[i].exists()) continue;
        const ByteView page = ByteView(bytes).subspan(i * kPageSize, kPageSize);
        EXPECT_TRUE(memory.try_emplace({pages[i].block, pages[i].page}, page.begin(), page.end()).second);
    }
}

TEST(PageImage, LastCopyOfEachPageCounts) {
    for (const std::uint32_t channels : {2U, 5U}) {
        const Written written = write_pages(channels);
        const auto image = ImageReader::open(medium_of(written.image), key_of_ant1());
        ASSERT_TRUE(image) << image.error().message();
        EXPECT_EQ(image->info().layout, Layout::pages);
        const auto reader = PageReader::open(*image);
        ASSERT_TRUE(reader) << reader.error().message();
        EXPECT_EQ(reader->parts(), kParts);
        ASSERT_EQ(reader->table().blocks().size(), 2U);
        EXPECT_EQ(reader->table().blocks()[1].name, "pc.bios");
        PageReader::Source source = reader->source();
        Memory memory;
        for (const std::size_t group : reader->in_order_of_memory())
            add_group(*reader, group, source.read(group).value(), memory);
        EXPECT_EQ(memory, written.memory);
        EXPECT_EQ(reader->table().place(0, 1), PagePlace{});
        EXPECT_EQ(reader->table().place(0, 6), PagePlace{});
    }
}

TEST(PageImage, EachGroupIsOneRecord) {
    const Written written = write_pages(3);
    const auto image = ImageReader::open(medium_of(written.image), key_of_ant1());
    const auto reader = PageReader::open(*image);
    ASSERT_TRUE(reader);
    for (std::uint32_t block = 0; block < 2; ++block) {
        for (std::uint64_t page = 0; page < kBlocks[block].pages(); ++page) {
            const PagePlace place = reader->table().place(block, page);
            if (place.channel == 0) continue;
            const auto pages = reader->pages_of(reader->group_of(place));
            EXPECT_LE(pages.size(), kGroupPages);
            EXPECT_EQ(pages[place.number % kGroupPages].page, page);
        }
    }
    EXPECT_EQ(image->totals().records, reader->groups() + 2);  // and two of channel 0
}

TEST(PageImage, PrefetchGivesAllThatIsWanted) {
    const Written written = write_pages(4);
    const auto image = ImageReader::open(medium_of(written.image), key_of_ant1());
    const auto reader = PageReader::open(*image);
    for (const unsigned threads : {1U, 4U}) {
        const auto prefetch = PagePrefetch::create(*reader, reader->in_order_of_memory(), threads);
        ASSERT_TRUE(prefetch);
        Memory memory;
        while (!(*prefetch)->drained()) {
            ASSERT_TRUE(wait_readable((*prefetch)->fd(), Deadline::after(std::chrono::seconds(20))));
            if (const auto group = (*prefetch)->take())
                add_group(*reader, group->number, group->bytes.value(), memory);
        }
        EXPECT_EQ(memory, written.memory);
        EXPECT_FALSE((*prefetch)->take());
    }
}

TEST(PageImage, PrefetchLeavesOutWhatIsSkipped) {
    const Written written = write_pages(2);
    const auto image = ImageReader::open(medium_of(written.image), key_of_ant1());
    const auto reader = PageReader::open(*image);
    const auto prefetch = PagePrefetch::create(*reader, reader->in_order_of_memory(), 1);
    for (std::size_t group = 0; group < reader->groups(); ++group)
        (*prefetch)->skip(group);
    while (!(*prefetch)->drained()) {
        ASSERT_TRUE(wait_readable((*prefetch)->fd(), Deadline::after(std::chrono::seconds(20))));
        (void)(*prefetch)->take();
    }
}

TEST(PageImage, DamageIsFoundWhereItIsRead) {
    Written written = write_pages(2);
    // The first record of the pages comes right behind the header.
    written.image[kBlock + 1000] ^= 1;
    const auto image = ImageReader::open(medium_of(written.image), key_of_ant1());
    const auto reader = PageReader::open(*image);
    ASSERT_TRUE(reader);
    PageReader::Source source = reader->source();
    EXPECT_EQ(source.read(0).error().code(), Errc::corrupt);
    EXPECT_TRUE(source.read(1));
    EXPECT_EQ(source.read(0).error().code(), Errc::corrupt);
    EXPECT_EQ(image->verify_all().error().code(), Errc::corrupt);
}

TEST(PageImage, WriterRefusesWhatDoesNotExist) {
    auto bytes = std::make_shared<MemoryBytes>();
    auto writer = ImageWriter::create(std::make_unique<MemoryMedium>(bytes), paged(2), key_of_ant1(),
                                      crypto::kDefaultCipher);
    const auto pages = PageWriter::create(*writer, kBlocks);
    EXPECT_EQ((*pages)->put(2, 0, page_bytes(1)).error().code(), Errc::invalid_argument);
    EXPECT_EQ((*pages)->put(1, 3, page_bytes(1)).error().code(), Errc::invalid_argument);
    EXPECT_EQ((*pages)->put(1, 0, Bytes(100)).error().code(), Errc::invalid_argument);
    EXPECT_EQ((*pages)->put_zeros(0, 700).error().code(), Errc::invalid_argument);
    auto channels = ImageWriter::create(std::make_unique<MemoryMedium>(bytes), ant1(2), key_of_ant1(),
                                        crypto::kDefaultCipher);
    EXPECT_EQ(PageWriter::create(*channels, kBlocks).error().code(), Errc::invalid_argument);
}

TEST(PageTable, IndexSurvivesAndDamageDoesNot) {
    PageTable table = PageTable::create(kBlocks).value();
    for (std::uint32_t page = 0; page < 500; page += page % 50 == 9 ? 3 : 1)
        table.put(0, page, {1, page});
    table.put(1, 1, {2, 0});
    const std::vector<std::uint64_t> channels{0, 500, 1};
    const Bytes bytes = encode_page_index({kParts, table});
    const auto index = decode_page_index(bytes, 1 << 24, channels);
    ASSERT_TRUE(index);
    EXPECT_EQ(encode_page_index(*index), bytes);
    EXPECT_EQ(index->table.place(0, 3), (PagePlace{1, 3}));
    EXPECT_FALSE(decode_page_index(bytes, 1 << 20, channels));     // more memory than the header says
    EXPECT_FALSE(decode_page_index(bytes, 1 << 24, {0, 499, 1}));  // a page beyond its channel
    EXPECT_FALSE(decode_page_index(bytes, 1 << 24, {0, 500}));     // of no channel
    for (std::size_t size = 0; size < bytes.size(); size += size < 100 ? 1 : 997)
        EXPECT_FALSE(decode_page_index(ByteView(bytes).first(size), 1 << 24, channels)) << size;
    Bytes doubled = bytes;
    doubled.insert(doubled.end(), bytes.end() - 24, bytes.end());
    store_le<std::uint64_t>(&doubled[16], load_le<std::uint64_t>(&bytes[16]) + 1);
    EXPECT_FALSE(decode_page_index(doubled, 1 << 24, channels));  // runs that overlap
}

}  // namespace
}  // namespace kz::image
