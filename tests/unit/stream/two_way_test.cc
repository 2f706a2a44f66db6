#include "stream/two_way.h"

#include <sys/socket.h>

#include <future>

#include "crypto/random.h"
#include "os/io.h"
#include "os/socket.h"
#include "stream_fixture.h"

namespace kz::stream {
namespace {

using namespace std::chrono_literals;
using crypto::Cipher;

struct Pair {
    UniqueFd near;
    UniqueFd far;
};

Pair local_pair() {
    auto [near, far] = unix_socket_pair().value();
    return {std::move(near), std::move(far)};
}

Pair tcp_pair() {
    const UniqueFd listener = tcp_listen("127.0.0.1", 0).value();
    UniqueFd near =
        tcp_connect("127.0.0.1", tcp_local_port(listener.get()).value(), Deadline::after(5s)).value();
    UniqueFd far = accept_connection(listener.get(), Deadline::after(5s)).value();
    return {std::move(near), std::move(far)};
}

// One host: its QEMU, the local socket between, and a pump on the wire.
struct Side {
    explicit Side(Direction says) : direction(says) {}

    ChannelKeys keys(Direction which) const {
        return derive_channel_keys(counting(32, 0), counting(32, 32), "two ways", cipher, 0, which).value();
    }
    std::future<Result<void>> start(int wire, PumpRules rules = {}) {
        return std::async(std::launch::async, [this, wire, rules] {
            const Direction hears =
                direction == Direction::forward ? Direction::backward : Direction::forward;
            RecordSealer sealer = RecordSealer::create(cipher, keys(direction), Compression::off).value();
            RecordOpener opener = RecordOpener::create(cipher, keys(hears)).value();
            return pump_both_ways(local.far.get(), wire, sealer, opener, rules, {sealed, opened});
        });
    }
    void say(ByteView bytes) {
        ASSERT_TRUE(write_all(local.near.get(), bytes, Deadline::after(30s)).has_value());
    }
    Bytes hear(std::size_t size) {
        Bytes bytes(size);
        EXPECT_TRUE(read_exact(local.near.get(), bytes, Deadline::after(30s)).has_value());
        return bytes;
    }
    bool hears_the_end() {
        Bytes byte(1);
        const auto got = read_some(local.near.get(), byte, Deadline::after(10s));
        return got && *got == 0;
    }

    Direction direction;
    Cipher cipher = Cipher::aes_128_gcm;
    Pair local = local_pair();
    PumpCounters sealed;
    PumpCounters opened;
};

class TwoWay : public testing::Test {
  protected:
    Side source_{Direction::forward};
    Side target_{Direction::backward};
    Pair wire_ = tcp_pair();
};

TEST_F(TwoWay, BothSpeakAtOnceAndEndOneAfterTheOther) {
    auto there = target_.start(wire_.far.get());
    auto here = source_.start(wire_.near.get());
    const Bytes memory = crypto::random_bytes(3'000'001).value();
    auto sending = std::async(std::launch::async, [&] { source_.say(memory); });
    const Bytes request = counting(12, 0);
    for (int round = 0; round < 50; ++round) {
        target_.say(request);
        EXPECT_EQ(source_.hear(request.size()), request);
    }
    EXPECT_EQ(target_.hear(memory.size()), memory);
    sending.get();
    ::shutdown(target_.local.near.get(), SHUT_WR);
    EXPECT_TRUE(source_.hears_the_end());
    source_.say(request);
    EXPECT_EQ(target_.hear(request.size()), request) << "the other direction is still open";
    ::shutdown(source_.local.near.get(), SHUT_WR);
    EXPECT_TRUE(target_.hears_the_end());
    EXPECT_TRUE(here.get().has_value());
    EXPECT_TRUE(there.get().has_value());
    EXPECT_EQ(source_.sealed.plain_bytes, memory.size() + request.size());
    EXPECT_EQ(target_.opened.plain_bytes, memory.size() + request.size());
    EXPECT_EQ(target_.sealed.plain_bytes, 50 * request.size());
    EXPECT_EQ(source_.opened.plain_bytes, 50 * request.size());
}

TEST_F(TwoWay, ACutWireEndsBothHalvesAndLeavesTheLocalSocketsOpen) {
    auto there = target_.start(wire_.far.get());
    auto here = source_.start(wire_.near.get());
    target_.say(counting(12, 0));
    source_.hear(12);
    ::shutdown(wire_.far.get(), SHUT_RDWR);
    EXPECT_FALSE(here.get().has_value());
    EXPECT_FALSE(there.get().has_value());
    for (const Side* side : {&source_, &target_}) {
        Bytes byte(1);
        EXPECT_EQ(read_some(side->local.near.get(), byte, Deadline::after(0s)).error().code(), Errc::timeout);
    }
}

TEST_F(TwoWay, OneDirectionsKeysDoNotOpenTheOther) {
    target_.direction = Direction::forward;  // expects what it seals itself
    auto there = target_.start(wire_.far.get());
    auto here = source_.start(wire_.near.get());
    source_.say(counting(100, 0));
    EXPECT_EQ(there.get().error().code(), Errc::corrupt);
    EXPECT_FALSE(here.get().has_value());
    EXPECT_EQ(target_.opened.plain_bytes, 0U);
}

TEST_F(TwoWay, CancelEndsBoth) {
    const EventFd cancel = EventFd::create().value();
    auto here = source_.start(wire_.near.get(), {.cancel_fd = cancel.fd()});
    EXPECT_EQ(here.wait_for(50ms), std::future_status::timeout);
    cancel.signal();
    EXPECT_EQ(here.get().error().code(), Errc::cancelled);
    Bytes byte(1);
    EXPECT_EQ(read_some(wire_.far.get(), byte, Deadline::after(5s)).value(), 0U)
        << "the other host hears of it";
}

TEST_F(TwoWay, APeerThatVanishesMidRecordIsAnError) {
    auto there = target_.start(wire_.far.get());
    RecordSealer sealer =
        RecordSealer::create(source_.cipher, source_.keys(Direction::forward), Compression::off).value();
    const Bytes record = seal_one(sealer, pattern(100'000, 0));
    ASSERT_TRUE(write_all(wire_.near.get(), ByteView(record).first(60'000), Deadline::after(5s)).has_value());
    wire_.near.reset();
    EXPECT_FALSE(there.get().has_value());
    EXPECT_EQ(target_.opened.plain_bytes, 0U);
}

}  // namespace
}  // namespace kz::stream
