// Arbitrary bytes as a stream of records, for every cipher. The first byte chooses the cipher, the second how
// the stream is cut into reads. Under a key that the input cannot know nothing may ever be delivered; with
// `none`, where everything behind the tag is reached, what is delivered is within its limits.
#include <algorithm>
#include <cstdlib>

#include "stream/opener.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    if (size < 2) return 0;
    const auto cipher = crypto::all_ciphers()[data[0] % crypto::all_ciphers().size()];
    const std::size_t step = std::size_t{data[1]} + 1;
    ByteView stream(data + 2, size - 2);
    stream::ChannelKeys keys{Secret(Bytes(crypto::cipher_key_size(cipher), 0x5a)), {}};
    auto opener = stream::RecordOpener::create(cipher, keys);
    if (!opener) std::abort();
    while (true) {
        const auto next = opener->next();
        if (!next) {
            if (opener->next() || opener->end_of_input()) std::abort();
            return 0;
        }
        if (*next) {
            const std::size_t delivered = (*next)->bytes.size();
            if (cipher != crypto::Cipher::none || delivered == 0 || delivered > stream::kMaxPayload)
                std::abort();
            continue;
        }
        if (stream.empty()) return 0;
        const MutableBytes space = opener->space();
        if (space.empty()) std::abort();
        const std::size_t part = std::min({step, stream.size(), space.size()});
        std::ranges::copy(stream.first(part), space.begin());
        opener->commit(part);
        stream = stream.subspan(part);
    }
}
