#include "migrate/session_wire.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/text.h"

namespace kz::migrate {
namespace {

// Bytes that an implementation other than this one has made (data/README).
Bytes golden(const std::string& name) {
    std::ifstream file(std::string(KZ_TEST_DATA) + "/" + name);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    return from_hex(trim(text)).value();
}

SessionId counting_id() {
    SessionId id;
    for (std::size_t i = 0; i < id.size(); ++i)
        id[i] = static_cast<Byte>(i);
    return id;
}

Secret key_of(Byte value, std::size_t size = kProofKeySize) {
    return Secret(Bytes(size, value));
}

TEST(SessionWire, ARegistrationHasTheGoldenBytes) {
    const auto bytes =
        encode_registration({.id = counting_id(), .proof_key = key_of(0x42), .connections = 3}).value();
    EXPECT_EQ(to_hex(bytes.view()), to_hex(golden("registration.hex")));
    const auto back = decode_registration(bytes.view()).value();
    EXPECT_EQ(back.id, counting_id());
    EXPECT_EQ(back.connections, 3U);
    EXPECT_TRUE(equal_in_constant_time(back.proof_key.view(), key_of(0x42).view()));
}

TEST(SessionWire, AnAnswerHasTheGoldenBytes) {
    HelloBytes hello;
    for (std::size_t i = 0; i < hello.size(); ++i)
        hello[i] = static_cast<Byte>(0xff - i);
    const auto answer = make_answer(hello, counting_id(), key_of(0x42).view()).value();
    EXPECT_EQ(to_hex(answer), to_hex(golden("answer.hex")));
}

TEST(SessionWire, AnswersDependOnKeySessionAndHello) {
    const HelloBytes hello{};
    const auto base = make_answer(hello, counting_id(), key_of(1).view()).value();
    EXPECT_NE(make_answer(hello, counting_id(), key_of(2).view()).value(), base);
    EXPECT_NE(make_answer(hello, SessionId{}, key_of(1).view()).value(), base);
    HelloBytes other{};
    other[40] = 1;
    EXPECT_NE(make_answer(other, counting_id(), key_of(1).view()).value(), base);
}

TEST(SessionWire, WrongRegistrationsAreRefused) {
    const auto encode = [](std::size_t key_size, unsigned connections) {
        return encode_registration({.id = {}, .proof_key = key_of(1, key_size), .connections = connections});
    };
    EXPECT_EQ(encode(31, 1).error().code(), Errc::invalid_argument);
    EXPECT_EQ(encode(32, 0).error().code(), Errc::invalid_argument);
    EXPECT_EQ(encode(32, kMaxChannels + 1).error().code(), Errc::invalid_argument);

    Bytes bytes = golden("registration.hex");
    EXPECT_EQ(decode_registration(ByteView(bytes).first(59)).error().code(), Errc::protocol);
    EXPECT_EQ(decode_registration({}).error().code(), Errc::protocol);
    Bytes version = bytes;
    version[4] = 2;
    EXPECT_EQ(decode_registration(version).error().code(), Errc::unsupported);
    Bytes crowd = bytes;
    crowd[10] = 1;
    EXPECT_EQ(decode_registration(crowd).error().code(), Errc::invalid_argument);
    bytes[0] = 'k';
    EXPECT_EQ(decode_registration(bytes).error().code(), Errc::protocol);
}

}  // namespace
}  // namespace kz::migrate
