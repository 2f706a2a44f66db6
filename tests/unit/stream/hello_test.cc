#include "stream/hello.h"

#include "stream_fixture.h"

namespace kz::stream {
namespace {

SessionId session_of(int first) {
    SessionId session;
    std::ranges::copy(counting(session.size(), first), session.begin());
    return session;
}

std::span<const Byte, kHelloSize> whole(const Bytes& bytes) {
    return ByteView(bytes).first<kHelloSize>();
}

TEST(Hello, GoldenBytes) {
    const Bytes golden = read_golden("hello.bin");
    ASSERT_EQ(golden.size(), kHelloSize);
    const Hello hello = decode_hello(whole(golden)).value();
    EXPECT_EQ(hello.session, session_of(0xa0));
    EXPECT_EQ(hello.channel, 7U);
    EXPECT_TRUE(verify_hello(hello, counting(32, 0)).has_value());
    const auto encoded = encode_hello(hello);
    EXPECT_EQ(Bytes(encoded.begin(), encoded.end()), golden);
}

TEST(Hello, OneFlippedBitAnywhereIsRefused) {
    const Bytes golden = read_golden("hello.bin");
    for (std::size_t bit = 0; bit < golden.size() * 8; ++bit) {
        Bytes bad = golden;
        bad[bit / 8] ^= static_cast<Byte>(1 << bit % 8);
        const auto hello = decode_hello(whole(bad));
        EXPECT_FALSE(hello.has_value() && verify_hello(*hello, counting(32, 0)).has_value()) << bit;
    }
}

TEST(Hello, SaysWhatIsWrong) {
    Bytes bytes = read_golden("hello.bin");
    EXPECT_EQ(verify_hello(decode_hello(whole(bytes)).value(), counting(32, 1)).error().code(),
              Errc::permission);
    bytes[28] = 2;
    EXPECT_EQ(decode_hello(whole(bytes)).error().message(), "stream protocol version 2");
    EXPECT_EQ(decode_hello(whole(bytes)).error().code(), Errc::unsupported);
    bytes[0] = 'G';
    EXPECT_EQ(decode_hello(whole(bytes)).error().code(), Errc::protocol);
}

TEST(Hello, EachOneHasItsOwnNonce) {
    const Hello a = make_hello(session_of(1), 0, counting(32, 0)).value();
    const Hello b = make_hello(session_of(1), 0, counting(32, 0)).value();
    EXPECT_NE(a.nonce, b.nonce);
    EXPECT_TRUE(verify_hello(a, counting(32, 0)).has_value());
}

}  // namespace
}  // namespace kz::stream
