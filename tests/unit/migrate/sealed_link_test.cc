#include "migrate/sealed_link.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <future>

#include "os/io.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;
using Side = SealedLink::Side;
using Opened = Result<std::unique_ptr<SealedLink>>;

Deadline soon() {
    return Deadline::after(20s);
}

struct Ends {
    ChannelConnection source;
    ChannelConnection destination;
    // Copies that look at what is on the wire or put something on it.
    UniqueFd to_destination;
};

Ends connect(std::array<Byte, 16> nonce) {
    auto [near, far] = unix_socket_pair().value();
    UniqueFd copy(::dup(near.get()));
    return {{std::move(near), 0, nonce}, {std::move(far), 0, nonce}, std::move(copy)};
}

class SealedLinkTest : public testing::TestWithParam<crypto::Cipher> {
  protected:
    std::future<Opened> open(ChannelConnection connection, Side side) {
        return std::async(std::launch::async, [this, side, own = std::move(connection)]() mutable {
            return SealedLink::open(std::move(own), session_, GetParam(), side, soon());
        });
    }
    Session session_ = Session::generate().value();
};

TEST_P(SealedLinkTest, WordsAndThenTwoWays) {
    Ends ends = connect({1, 2, 3});
    auto opening = open(std::move(ends.destination), Side::destination);
    const Opened source = open(std::move(ends.source), Side::source).get();
    const Opened destination = opening.get();
    ASSERT_TRUE(source && destination);
    ASSERT_TRUE((*source)->say(kWordResume, soon()));
    EXPECT_EQ((*destination)->hear(soon()).value(), kWordResume);
    ASSERT_TRUE((*destination)->say(kWordReady, soon()));
    EXPECT_EQ((*source)->hear(soon()).value(), kWordReady);

    auto [qemu_here, local_here] = unix_socket_pair().value();
    auto [qemu_there, local_there] = unix_socket_pair().value();
    stream::PumpCounters out, in, there_out, there_in;
    auto here = std::async(std::launch::async,
                           [&, fd = local_here.get()] { return (*source)->carry(fd, {}, {out, in}); });
    auto there = std::async(std::launch::async, [&, fd = local_there.get()] {
        return (*destination)->carry(fd, {}, {there_out, there_in});
    });
    Bytes heard(7);
    ASSERT_TRUE(write_all(qemu_here.get(), as_bytes("memory!"), soon()));
    ASSERT_TRUE(read_exact(qemu_there.get(), heard, soon()));
    EXPECT_EQ(as_text(heard), "memory!");
    ASSERT_TRUE(write_all(qemu_there.get(), as_bytes("request"), soon()));
    ASSERT_TRUE(read_exact(qemu_here.get(), heard, soon()));
    EXPECT_EQ(as_text(heard), "request");
    ::shutdown(qemu_here.get(), SHUT_WR);
    ::shutdown(qemu_there.get(), SHUT_WR);
    EXPECT_TRUE(here.get());
    EXPECT_TRUE(there.get());
}

INSTANTIATE_TEST_SUITE_P(Ciphers, SealedLinkTest, testing::ValuesIn(crypto::all_ciphers()),
                         [](const auto& tested) {
                             std::string name(crypto::cipher_name(tested.param));
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

class SealedLinkFault : public SealedLinkTest {};

// What was said over one connection is not understood on another, though its hello is the same: the
// destination has put in something of its own.
TEST_P(SealedLinkFault, ARecordedConnectionCannotBePlayedAgain) {
    Ends first = connect({9});
    const int wire = first.destination.fd.get();
    auto opening = open(std::move(first.source), Side::source);
    Bytes fresh(16, 7);
    ASSERT_TRUE(write_all(wire, fresh, soon()));
    const Opened source = opening.get();
    ASSERT_TRUE(source);
    ASSERT_TRUE((*source)->say(kWordResume, soon()));
    Bytes recorded(16 + kWordResume.size() + 16);
    ASSERT_TRUE(read_exact(wire, recorded, soon()));

    Ends again = connect({9});
    const Opened destination = open(std::move(again.destination), Side::destination).get();
    ASSERT_TRUE(destination);
    ASSERT_TRUE(write_all(again.to_destination.get(), recorded, soon()));
    EXPECT_EQ((*destination)->hear(soon()).error().code(), Errc::corrupt);
}

TEST_P(SealedLinkFault, SilenceAndTooMuchAreErrors) {
    Ends ends = connect({4});
    auto opening = open(std::move(ends.destination), Side::destination);
    const Opened source = open(std::move(ends.source), Side::source).get();
    const Opened destination = opening.get();
    ASSERT_TRUE(source && destination);
    EXPECT_EQ((*destination)->hear(Deadline::after(50ms)).error().code(), Errc::timeout);
    ASSERT_TRUE((*source)->say(std::string(5000, 'x'), soon()));
    EXPECT_EQ((*destination)->hear(soon()).value().size(), 1000U) << "a reason is cut, not refused";
}

INSTANTIATE_TEST_SUITE_P(Gcm, SealedLinkFault, testing::Values(crypto::Cipher::aes_128_gcm),
                         [](const auto&) { return std::string("aes_128_gcm"); });

TEST(RecoverySession, IsAnotherOneAndTheSameForBothSides) {
    const Session session = Session::generate().value();
    const Session one = recovery_session(session).value();
    const Session other = recovery_session(Session::from_json(session.to_json()).value()).value();
    EXPECT_EQ(one.to_json(), other.to_json());
    EXPECT_NE(one.id, session.id);
    EXPECT_NE(to_hex(one.secret.view()), to_hex(session.secret.view()));
    EXPECT_EQ(one.port, session.port);
}

}  // namespace
}  // namespace kz::migrate
