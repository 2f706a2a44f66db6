#include "stream/pump.h"

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

// guest -> near pump -> wire -> far pump -> sink, as in a migration.
class Pump : public testing::TestWithParam<Variant> {
  protected:
    struct Line {
        UniqueFd near;
        UniqueFd far;
    };
    static Line line() {
        auto [near, far] = unix_socket_pair().value();
        return {std::move(near), std::move(far)};
    }
    std::future<Result<PumpTotals>> start_seal(PumpRules rules = {},
                                               Compression compression = Compression::off) {
        return std::async(std::launch::async, [this, rules, compression] {
            RecordSealer sealer = RecordSealer::create(cipher_, keys_, compression, backend_).value();
            return pump_seal(guest_.far.get(), wire_.near.get(), sealer, rules, sent_);
        });
    }
    std::future<Result<PumpTotals>> start_open(PumpRules rules = {}) {
        return std::async(std::launch::async, [this, rules] {
            RecordOpener opener = RecordOpener::create(cipher_, keys_, backend_).value();
            return pump_open(wire_.far.get(), sink_.near.get(), opener, rules, received_);
        });
    }
    // More than all sockets on the way hold; ends when the pump's side of the guest's socket is closed.
    std::future<void> feed_until_refused() {
        return std::async(std::launch::async, [this] {
            const Bytes data(1'000'000);
            while (::send(guest_.near.get(), data.data(), data.size(), MSG_NOSIGNAL) > 0) {
            }
        });
    }
    std::future<Bytes> collect(std::size_t size) {
        return std::async(std::launch::async, [this, size] {
            Bytes bytes(size);
            EXPECT_TRUE(read_exact(sink_.far.get(), bytes, Deadline::after(30s)).has_value());
            return bytes;
        });
    }

    Cipher cipher_ = Cipher::aes_128_gcm;
    crypto::AeadBackend backend_ = crypto::AeadBackend::automatic;
    ChannelKeys keys_ = golden_keys(cipher_);
    Line guest_ = line();
    Line wire_ = line();
    Line sink_ = line();
    PumpCounters sent_;
    PumpCounters received_;
};

TEST_P(Pump, MovesAChannelToItsEnd) {
    cipher_ = GetParam().cipher;
    backend_ = GetParam().backend;
    keys_ = golden_keys(cipher_);
    const Bytes data = crypto::random_bytes(5'000'003).value();
    auto sealing = start_seal();
    auto opening = start_open();
    auto collecting = collect(data.size());
    ASSERT_TRUE(write_all(guest_.near.get(), data, Deadline::after(30s)).has_value());
    ::shutdown(guest_.near.get(), SHUT_WR);
    const auto sealed = sealing.get();
    const auto opened = opening.get();
    ASSERT_TRUE(sealed.has_value()) << sealed.error().message();
    ASSERT_TRUE(opened.has_value()) << opened.error().message();
    EXPECT_EQ(collecting.get(), data);
    EXPECT_EQ(sealed->plain_bytes, data.size());
    EXPECT_EQ(opened->plain_bytes, data.size());
    EXPECT_EQ(sealed->sealed_bytes, opened->sealed_bytes);
    EXPECT_EQ(sealed->records, opened->records);
    EXPECT_EQ(sent_.sealed_bytes, sealed->sealed_bytes);
    EXPECT_EQ(received_.plain_bytes, data.size());
    EXPECT_EQ(received_.records, opened->records);
}

INSTANTIATE_TEST_SUITE_P(Ciphers, Pump, testing::ValuesIn(all_variants()), variant_test_name);

using PumpFault = Pump;

class PumpOverTcp : public Pump {
  protected:
    static Line tcp_line() {
        const UniqueFd listener = tcp_listen("127.0.0.1", 0).value();
        UniqueFd near =
            tcp_connect("127.0.0.1", tcp_local_port(listener.get()).value(), Deadline::after(5s)).value();
        UniqueFd far = accept_connection(listener.get(), Deadline::after(5s)).value();
        return {std::move(near), std::move(far)};
    }
    void SetUp() override { wire_ = tcp_line(); }
};

// The pump asks TCP to be woken for whole records only; that must not make it wait for what never comes.
TEST_F(PumpOverTcp, RecordsThatArriveInPiecesThroughSmallBuffersAreDelivered) {
    set_socket_buffers(wire_.far.get(), 64 * 1024);
    Bytes stream;
    RecordSealer sealer = RecordSealer::create(cipher_, keys_, Compression::off).value();
    const std::vector<std::size_t> sizes = {kMaxPayload, 1, 70'000, kMaxPayload, 3};
    for (const std::size_t size : sizes) {
        const Bytes record = seal_one(sealer, pattern(size, size));
        stream.insert(stream.end(), record.begin(), record.end());
    }
    auto opening = start_open();
    auto collecting = collect(2 * kMaxPayload + 70'004);
    for (std::size_t at = 0; at < stream.size(); at += 1009) {
        const ByteView piece = ByteView(stream).subspan(at, std::min<std::size_t>(1009, stream.size() - at));
        ASSERT_TRUE(write_all(wire_.near.get(), piece, Deadline::after(30s)).has_value());
    }
    Bytes expected;
    for (const std::size_t size : sizes) {
        const Bytes part = pattern(size, size);
        expected.insert(expected.end(), part.begin(), part.end());
    }
    EXPECT_EQ(collecting.get(), expected) << "all of it, while the channel is still open";
    ASSERT_TRUE(write_all(wire_.near.get(), seal_end(sealer), Deadline::after(5s)).has_value());
    EXPECT_EQ(opening.get()->records, sizes.size());
}

TEST_F(PumpOverTcp, ACutInsideARecordIsNoticedAtOnce) {
    auto opening = start_open();
    RecordSealer sealer = RecordSealer::create(cipher_, keys_, Compression::off).value();
    const Bytes record = seal_one(sealer, pattern(kMaxPayload, 0));
    ASSERT_TRUE(
        write_all(wire_.near.get(), ByteView(record).first(100'000), Deadline::after(5s)).has_value());
    wire_.near.reset();
    EXPECT_EQ(opening.get().error().code(), Errc::corrupt);
}

TEST_F(PumpOverTcp, APeerThatDoesNotReadIsNotTakenForASlowLink) {
    auto sealing = start_seal({.output_stall = 2s}, Compression::adaptive);
    const Bytes data(40'000'000, 0x41);
    auto feeding = std::async(std::launch::async, [&] {
        EXPECT_TRUE(write_all(guest_.near.get(), data, Deadline::after(30s)).has_value());
        guest_.near.reset();
    });
    // The link is loopback; who reads takes 50 MB/s.
    RateLimiter reader(50'000'000);
    Bytes sink(256 * 1024);
    while (true) {
        const auto got = read_some(wire_.far.get(), sink, Deadline::after(30s));
        ASSERT_TRUE(got.has_value());
        if (*got == 0 || sealing.wait_for(0s) == std::future_status::ready) break;
        ASSERT_TRUE(reader.acquire(*got).has_value());
    }
    const auto sealed = sealing.get();
    ASSERT_TRUE(sealed.has_value()) << sealed.error().message();
    // A window or two may be misjudged while the connection is young or this machine busy.
    EXPECT_GT(sealed->sealed_bytes, data.size() / 2) << "compressing gives the peer more to do";
}

TEST_F(PumpFault, CompressionSavesBytes) {
    auto sealing = start_seal({}, Compression::zstd);
    auto opening = start_open();
    auto collecting = collect(1'000'000);
    ASSERT_TRUE(write_all(guest_.near.get(), Bytes(1'000'000, 0), Deadline::after(30s)).has_value());
    guest_.near.reset();
    EXPECT_LT(sealing.get()->sealed_bytes, 100'000U);
    EXPECT_EQ(opening.get()->plain_bytes, 1'000'000U);
    EXPECT_EQ(collecting.get(), Bytes(1'000'000, 0));
}

TEST_F(PumpFault, TheLimiterLimitsAndCountsAsTheLink) {
    RateLimiter limiter(10'000'000);
    const auto start = std::chrono::steady_clock::now();
    auto sealing = start_seal({.limiter = &limiter}, Compression::adaptive);
    auto opening = start_open();
    Bytes data(20'000'000, 0x41);  // compressible, but not zeros
    auto collecting = collect(data.size());
    ASSERT_TRUE(write_all(guest_.near.get(), data, Deadline::after(30s)).has_value());
    guest_.near.reset();
    const auto sealed = sealing.get();
    ASSERT_TRUE(sealed.has_value()) << sealed.error().message();
    EXPECT_TRUE(opening.get().has_value());
    EXPECT_EQ(collecting.get(), data);
    EXPECT_LT(sealed->sealed_bytes, 10'000'000U) << "a slow link is what compression is for";
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_GT(took.count(), static_cast<double>(sealed->sealed_bytes - 500'000) / 10e6);
}

TEST_F(PumpFault, CancelEndsAPumpThatWaitsForTheLimiter) {
    RateLimiter limiter(1);
    ASSERT_TRUE(limiter.acquire(1'000'000).has_value());
    const EventFd cancel = EventFd::create().value();
    auto sealing = start_seal({.cancel_fd = cancel.fd(), .limiter = &limiter});
    ASSERT_TRUE(write_all(guest_.near.get(), Bytes(1000), Deadline::after(5s)).has_value());
    EXPECT_EQ(sealing.wait_for(20ms), std::future_status::timeout);
    cancel.signal();
    EXPECT_EQ(sealing.get().error().code(), Errc::cancelled);
}

TEST_F(PumpFault, CancelEndsPumpsThatWaitForInput) {
    const EventFd cancel = EventFd::create().value();
    auto sealing = start_seal({.cancel_fd = cancel.fd()});
    auto opening = start_open({.cancel_fd = cancel.fd()});
    EXPECT_EQ(sealing.wait_for(20ms), std::future_status::timeout);
    cancel.signal();
    EXPECT_EQ(sealing.get().error().code(), Errc::cancelled);
    EXPECT_EQ(opening.get().error().code(), Errc::cancelled);
}

TEST_F(PumpFault, CancelEndsAPumpWhoseOutputIsFull) {
    const EventFd cancel = EventFd::create().value();
    auto sealing = start_seal({.cancel_fd = cancel.fd()});
    auto feeding = feed_until_refused();
    ASSERT_TRUE(wait_readable(wire_.far.get(), Deadline::after(30s)).has_value());
    EXPECT_EQ(sealing.wait_for(20ms), std::future_status::timeout) << "nobody reads the wire";
    cancel.signal();
    EXPECT_EQ(sealing.get().error().code(), Errc::cancelled);
    guest_.far.reset();
    feeding.wait();
}

TEST_F(PumpFault, CancelEndsAPumpThatIsNeverIdle) {
    const EventFd cancel = EventFd::create().value();
    cancel.signal();
    ASSERT_TRUE(write_all(guest_.near.get(), Bytes(1000), Deadline::after(5s)).has_value());
    EXPECT_EQ(start_seal({.cancel_fd = cancel.fd()}).get().error().code(), Errc::cancelled);
}

TEST_F(PumpFault, AStalledPeerRunsIntoTheTimeout) {
    auto sealing = start_seal({.output_stall = 50ms});
    auto feeding = feed_until_refused();
    EXPECT_EQ(sealing.get().error().code(), Errc::timeout);
    EXPECT_EQ(start_open({.input_stall = 50ms, .output_stall = 50ms}).get().error().code(), Errc::timeout);
    guest_.far.reset();
    feeding.wait();
}

TEST_F(PumpFault, ASilentInputRunsIntoTheTimeoutOnlyWhenThereIsOne) {
    EXPECT_EQ(start_open({.input_stall = 30ms}).get().error().code(), Errc::timeout);
}

TEST_F(PumpFault, APeerThatHasGoneIsNoticedWithoutInput) {
    auto sealing = start_seal();
    wire_.far.reset();
    EXPECT_EQ(sealing.get().error().code(), Errc::unavailable);
}

TEST_F(PumpFault, APeerThatGoesWhileDataFlowsIsAnErrorAndNoSignal) {
    auto sealing = start_seal();
    auto feeding = feed_until_refused();
    Bytes some(1000);
    ASSERT_TRUE(read_exact(wire_.far.get(), some, Deadline::after(30s)).has_value());
    wire_.far.reset();
    EXPECT_EQ(sealing.get().error().code(), Errc::unavailable);
    guest_.far.reset();
    feeding.wait();
}

TEST_F(PumpFault, ASinkThatHasGoneIsAnError) {
    auto opening = start_open();
    sink_.far.reset();
    RecordSealer sealer = RecordSealer::create(cipher_, keys_, Compression::off).value();
    ASSERT_TRUE(write_all(wire_.near.get(), seal_one(sealer, Bytes(100)), Deadline::after(5s)).has_value());
    EXPECT_EQ(opening.get().error().code(), Errc::unavailable);
}

TEST_F(PumpFault, ACutWireDeliversWholeRecordsAndThenAnError) {
    auto opening = start_open();
    RecordSealer sealer = RecordSealer::create(cipher_, keys_, Compression::off).value();
    Bytes wire = seal_one(sealer, pattern(100, 0));
    const Bytes second = seal_one(sealer, pattern(100, 1));
    wire.insert(wire.end(), second.begin(), second.end() - 1);
    ASSERT_TRUE(write_all(wire_.near.get(), wire, Deadline::after(5s)).has_value());
    wire_.near.reset();
    EXPECT_EQ(opening.get().error().code(), Errc::corrupt);
    sink_.near.reset();
    Bytes got(1000);
    EXPECT_EQ(read_some(sink_.far.get(), got, Deadline::after(5s)).value(), 100U);
    EXPECT_EQ(read_some(sink_.far.get(), got, Deadline::after(5s)).value(), 0U);
}

TEST_F(PumpFault, PumpsTwoWaysOverOnePairOfSockets) {
    const ChannelKeys back =
        derive_channel_keys(counting(32, 0), counting(16, 32), "golden", cipher_, 3, Direction::backward)
            .value();
    PumpCounters back_sent, back_received;
    auto forward_in = start_seal();
    auto forward_out = start_open();
    auto back_in = std::async(std::launch::async, [&] {
        RecordSealer sealer = RecordSealer::create(cipher_, back, Compression::off).value();
        return pump_seal(sink_.near.get(), wire_.far.get(), sealer, {}, back_sent);
    });
    auto back_out = std::async(std::launch::async, [&] {
        RecordOpener opener = RecordOpener::create(cipher_, back).value();
        return pump_open(wire_.near.get(), guest_.far.get(), opener, {}, back_received);
    });
    ASSERT_TRUE(write_all(guest_.near.get(), as_bytes("question"), Deadline::after(5s)).has_value());
    Bytes question(8), answer(6);
    ASSERT_TRUE(read_exact(sink_.far.get(), question, Deadline::after(20s)).has_value());
    ASSERT_TRUE(write_all(sink_.far.get(), as_bytes("answer"), Deadline::after(5s)).has_value());
    ASSERT_TRUE(read_exact(guest_.near.get(), answer, Deadline::after(20s)).has_value());
    EXPECT_EQ(as_text(question), "question");
    EXPECT_EQ(as_text(answer), "answer");
    ::shutdown(guest_.near.get(), SHUT_WR);
    ::shutdown(sink_.far.get(), SHUT_WR);
    for (auto* pump : {&forward_in, &forward_out, &back_in, &back_out})
        EXPECT_TRUE(pump->get().has_value());
}

}  // namespace
}  // namespace kz::stream
