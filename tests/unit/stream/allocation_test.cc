// A record must cost no memory allocation: channels run at several GB/s while a guest waits. Counts the calls
// of malloc of this program; sanitizers bring an allocator of their own, and there the test is skipped aloud.
#include <cstdlib>

#include "stream_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KZ_COUNTS_ALLOCATIONS 0
#else
#define KZ_COUNTS_ALLOCATIONS 1
#endif

namespace {

thread_local std::size_t allocations = 0;

}  // namespace

#if KZ_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);

void* malloc(std::size_t size) {
    ++allocations;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
    ++allocations;
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
    ++allocations;
    return __libc_realloc(old, size);
}
}
#endif

namespace kz::stream {
namespace {

class Allocation : public testing::TestWithParam<Variant> {};

TEST_P(Allocation, NoneForEachRecord) {
    if (!KZ_COUNTS_ALLOCATIONS) GTEST_SKIP() << "the sanitizer owns malloc";
    for (const Compression compression :
         {Compression::off, Compression::zstd, Compression::lz4, Compression::adaptive}) {
        const ChannelKeys keys = golden_keys(GetParam().cipher);
        RecordSealer sealer =
            RecordSealer::create(GetParam().cipher, keys, compression, GetParam().backend).value();
        RecordOpener opener = RecordOpener::create(GetParam().cipher, keys, GetParam().backend).value();
        std::size_t opened = 0;
        const auto one_record = [&](std::size_t size) {
            std::ranges::fill(sealer.space().first(size), static_cast<Byte>(size));
            const auto record = sealer.seal(size);
            std::ranges::copy(*record, opener.space().begin());
            opener.commit(record->size());
            const auto plain = opener.next();
            opened += (*plain)->bytes.size();
        };
        one_record(kMaxPayload);
        const std::size_t before = allocations;
        for (std::size_t i = 1; i <= 50; ++i)
            one_record(i * 5000);
        EXPECT_EQ(allocations - before, 0U);
        EXPECT_EQ(opened, kMaxPayload + 50 * 51 / 2 * 5000);
    }
}

INSTANTIATE_TEST_SUITE_P(Ciphers, Allocation, testing::ValuesIn(all_variants()), variant_test_name);

}  // namespace
}  // namespace kz::stream
