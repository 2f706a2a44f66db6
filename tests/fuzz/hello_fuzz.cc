// Arbitrary bytes as the first message of a connection. None may prove a secret that the input cannot know,
// and one that decodes encodes to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "stream/hello.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    if (size < stream::kHelloSize) return 0;
    const auto bytes = std::span<const Byte, stream::kHelloSize>(data, stream::kHelloSize);
    const auto hello = stream::decode_hello(bytes);
    if (!hello) return 0;
    if (!std::ranges::equal(stream::encode_hello(*hello), bytes)) std::abort();
    if (stream::verify_hello(*hello, Bytes(32, 0x5a))) std::abort();
    return 0;
}
