#include "os/network_guard.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "bridge_namespace.h"
#include "os/announce.h"
#include "os/io.h"
#include "os/network.h"

namespace kz {
namespace {

constexpr std::size_t kVnetHeader = 10;
const std::string kBridge = "kzguard0";
const std::string kMac = "020820000001";
// Whom no bridge knows: frames to it go everywhere, and none of the kernel's own do.
const std::string kNobody = "020820fffffe";
const MacAddress kBinaryMac{2, 8, 0x20, 0, 0, 1};

// A frame to everybody: source, what follows its address, and zeros up to `size`.
Bytes frame(const std::string& source, const std::string& rest, std::size_t size = 60) {
    Bytes made = from_hex(kNobody + source + rest).value();
    made.resize(size);
    return made;
}
Bytes arp(const std::string& sender) {
    return frame(kMac, "08060001080006040001" + kMac + sender + "000000000000c0000201");
}
Bytes other(const std::string& kind, const std::string& source = kMac) {
    return frame(source, kind);
}

// What of the frames comes out at the other port: the last one is an experimental one that always does.
class Pair {
  public:
    explicit Pair(const TapOptions& options) : guarded_(create_tap(kBridge, options).value()) {}

    bool passes(const Bytes& sent) {
        send(sent);
        send(other("88b5"));
        const auto first = next();
        if (first == other("88b5")) return false;
        EXPECT_EQ(first, sent);
        EXPECT_EQ(next(), other("88b5"));
        return true;
    }
    void send(const Bytes& sent) {
        const auto done = send_through_tap(guarded_.fd.get(), sent);
        ASSERT_TRUE(done.has_value()) << done.error().message();
    }
    // The next frame with our destination that the other machine gets; nothing when none is there.
    std::optional<Bytes> next(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
        return next_of(far_, patience);
    }
    std::optional<Bytes> next_back(std::chrono::milliseconds patience) { return next_of(guarded_, patience); }
    void send_back(const Bytes& sent) { ASSERT_TRUE(send_through_tap(far_.fd.get(), sent).has_value()); }

  private:
    static std::optional<Bytes> next_of(const Tap& tap, std::chrono::milliseconds patience) {
        while (true) {
            Bytes packet(4096);
            const auto size = read_some(tap.fd.get(), packet, Deadline::after(patience));
            if (!size || *size < kVnetHeader + 18) return std::nullopt;
            Bytes received(packet.begin() + kVnetHeader, packet.begin() + static_cast<std::ptrdiff_t>(*size));
            // The kernel itself speaks on the bridge too: to multicast addresses.
            if (to_hex(received).starts_with(kNobody)) return received;
        }
    }
    Tap far_ = create_tap(kBridge, {}).value();
    Tap guarded_;
};

TEST(LinkProtectionTest, OnlyItsOwnSourceAddress) {
    with_bridge(kBridge, [] {
        Pair pair({.protection = {.source = kBinaryMac, .addresses = {}, .known_kinds = false}});
        EXPECT_TRUE(pair.passes(other("88b6")));
        for (const char* forged : {"020820000002", "030820000001", "120820000001", "000000000000"})
            EXPECT_FALSE(pair.passes(other("88b6", forged))) << forged;
    });
}

TEST(LinkProtectionTest, OnlyTheAddressesThatAreAllowed) {
    with_bridge(kBridge, [] {
        Pair pair({.protection = {.source = kBinaryMac,
                                  .addresses = {"192.0.2.10/24", "203.0.113.200", "2001:db8::a/64"},
                                  .known_kinds = false}});
        for (const char* allowed : {"c000020a", "cb0071c8", "00000000"}) {
            EXPECT_TRUE(pair.passes(arp(allowed))) << allowed;
        }
        for (const char* forged : {"c000020b", "cb0071c9", "ffffffff", "0a02000c"}) {
            EXPECT_FALSE(pair.passes(arp(forged))) << forged;
        }
        EXPECT_FALSE(pair.passes(frame(kMac, "8100000a8100000b0800"))) << "nobody looks behind two tags";
        EXPECT_FALSE(pair.passes(frame(kMac, "0800", 20))) << "too short to be one";
    });
}

TEST(LinkProtectionTest, OnlyKnownKindsOfFrames) {
    with_bridge(kBridge, [] {
        Pair pair({.protection = {.source = {}, .addresses = {}, .known_kinds = true}});
        pair.send(other("88cc"));
        pair.send(other("88b5"));
        // Of IP packets a bridge may want more than their kind: tests/e2e/link_protection_test.py sends true
        // ones.
        for (const char* kind : {"0806", "8035"}) {
            pair.send(other(kind));
            EXPECT_EQ(pair.next(), other(kind));
        }
    });
}

TEST(LinkProtectionTest, AVlanIsLookedAtBeforeItIsTagged) {
    with_bridge(kBridge, [] {
        Pair pair({.vlan = 10, .protection = {.source = kBinaryMac, .addresses = {}, .known_kinds = false}});
        pair.send(other("88b6", "020820000002"));
        pair.send(other("88b5"));
        Bytes tagged = frame(kMac, "8100000a88b5", 64);
        EXPECT_EQ(pair.next(), tagged);
    });
}

TEST(LinkProtectionTest, WhatIsNoAddressIsRefused) {
    with_bridge(kBridge, [] {
        const auto made = create_tap(
            kBridge, {.protection = {.source = {}, .addresses = {"10.0.0"}, .known_kinds = false}});
        ASSERT_FALSE(made.has_value());
        EXPECT_EQ(made.error().message(), "link-protection: '10.0.0' is not an address");
    });
}

constexpr std::size_t kSize = 1000;
constexpr std::size_t kBurst = (256 << 10) / kSize;
constexpr std::size_t kSent = kBurst + 40;
constexpr std::chrono::milliseconds kPatience{50};

// Frames that come at once: as many as the burst lets through, and then hardly any.
TEST(RateTest, ABurstAndThenNoMoreThanTheRate) {
    with_bridge(kBridge, [] {
        Pair pair({.bytes_per_second = 4'000});
        for (const bool back : {false, true}) {
            std::size_t came = 0;
            for (std::size_t i = 0; i < kSent; ++i) {
                const Bytes sent = frame(back ? "020820000009" : kMac, "88b5", kSize);
                back ? pair.send_back(sent) : pair.send(sent);
                came += (back ? pair.next_back(kPatience) : pair.next(kPatience)) ? 1 : 0;
            }
            EXPECT_GE(came, kBurst);
            EXPECT_LE(came, kSent - 20) << "one each quarter of a second";
        }
    });
}

}  // namespace
}  // namespace kz
