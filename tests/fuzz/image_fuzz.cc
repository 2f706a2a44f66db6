// Arbitrary bytes as a suspend image. A fuzzer cannot make a MAC fit, so the input is first taken as it is,
// and then again with digests and MACs put right: what a holder of the key could write must not harm the
// reader either. The last part of the input is taken as a bare index.
#include <algorithm>
#include <cstdlib>

#include "../unit/image/memory_medium.h"
#include "crypto/hash.h"
#include "image/format.h"
#include "image/index.h"
#include "image/reader.h"

using namespace kz;

namespace {

const Bytes kKey(32, 0xa1);

void use(Bytes bytes) {
    const auto reader = image::ImageReader::open(image::medium_of(std::move(bytes)), kKey);
    if (!reader) return;
    (void)reader->verify_all();
    (void)reader->read(0, reader->totals().plain_bytes / 2, 100);
}

void put_right(Bytes& bytes) {
    if (bytes.size() < 2 * image::kBlock) return;
    Byte* header = bytes.data();
    const auto digest = crypto::sha256({header, 4032});
    std::ranges::copy(digest, header + 4032);
    image::Salt salt;
    std::copy_n(header + 24, salt.size(), salt.begin());
    const auto key = image::derive_mac_key(kKey, salt);
    if (!key) std::abort();
    for (Byte* block : {header, bytes.data() + bytes.size() - image::kBlock}) {
        const auto mac = crypto::hmac_sha256(key->view(), {block, 4064});
        if (!mac) std::abort();
        std::ranges::copy(*mac, block + 4064);
    }
}

void use_index(ByteView bytes) {
    const image::IndexBounds bounds{
        .cipher = crypto::Cipher::aes_128_gcm, .channel_count = 2, .records_end = 1 << 20};
    const auto index = image::decode_index(bytes, bounds);
    if (index && !std::ranges::equal(image::encode_index(*index), bytes)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    Bytes bytes(data, data + size);
    use_index(ByteView(bytes).subspan(size - std::min<std::size_t>(size, 200)));
    use(bytes);
    put_right(bytes);
    use(std::move(bytes));
    return 0;
}
