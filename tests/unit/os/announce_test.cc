#include "os/announce.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <thread>

#include "os/file.h"
#include "os/io.h"
#include "os/network.h"

namespace kz {
namespace {

constexpr MacAddress kMac{0x02, 0x08, 0x20, 0x79, 0x29, 0x56};

// Both frames were made, and their checksum computed, by another program.
TEST(AnnounceTest, GratuitousArp) {
    const Result<Bytes> frame = announcement_of(kMac, "10.77.0.101/24");
    ASSERT_TRUE(frame.has_value());
    EXPECT_EQ(to_hex(*frame),
              "ffffffffffff020820792956080600010800060400010208207929560a4d00650000000000000a4d0065"
              "000000000000000000000000000000000000");
}

TEST(AnnounceTest, UnsolicitedNeighbourAdvertisement) {
    const Result<Bytes> frame = announcement_of(kMac, "2001:db8::77:101");
    ASSERT_TRUE(frame.has_value());
    EXPECT_EQ(to_hex(*frame),
              "33330000000102082079295686dd6000000000203aff20010db8000000000000000000770101"
              "ff0200000000000000000000000000018800ac6620000000"
              "20010db80000000000000000007701010201020820792956");
}

TEST(AnnounceTest, WhatIsNoAddressIsRefused) {
    for (const char* text : {"", "10.0.0", "10.0.0.256/8", "host", "2001:db8::1::2", "/24"}) {
        const Result<Bytes> frame = announcement_of(kMac, text);
        ASSERT_FALSE(frame.has_value()) << text;
        EXPECT_EQ(frame.error().code(), Errc::invalid_argument);
    }
}

TEST(AnnounceTest, MacAddresses) {
    EXPECT_EQ(parse_mac_address("02:08:20:79:29:56").value(), kMac);
    EXPECT_EQ(parse_mac_address("AA:bb:cC:00:01:ff").value(), (MacAddress{0xaa, 0xbb, 0xcc, 0, 1, 0xff}));
    for (const char* text : {"", "02:08:20:79:29", "02:08:20:79:29:56:", "02:08:20:79:29:5",
                             "0x:08:20:79:29:56", "02:08:20:79:29:5g", "02-08-20-79-29-56"})
        EXPECT_FALSE(parse_mac_address(text).has_value()) << text;
}

// What is written into the tap comes out of the host's end of it, byte by byte.
void send_and_receive() {
    if (::unshare(CLONE_NEWNET) < 0) GTEST_SKIP() << "needs the right to make a network namespace";
    UniqueFd tap = open_file("/dev/net/tun", O_RDWR | O_NONBLOCK).value();
    ifreq request{};
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    ASSERT_EQ(::ioctl(tap.get(), TUNSETIFF, &request), 0);
    const int header_size = 12;  // as QEMU sets it
    ASSERT_EQ(::ioctl(tap.get(), TUNSETVNETHDRSZ, &header_size), 0);
    const UniqueFd listener(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP)));
    ASSERT_TRUE(listener);
    request.ifr_flags = IFF_UP;
    ASSERT_EQ(::ioctl(listener.get(), SIOCSIFFLAGS, &request), 0);
    const Bytes frame = announcement_of(kMac, "10.77.0.101").value();
    ASSERT_TRUE(send_through_tap(tap.get(), frame).has_value());
    Bytes received(2048);
    const auto size = read_some(listener.get(), received, Deadline::after(std::chrono::seconds(20)));
    ASSERT_TRUE(size.has_value()) << size.error().message();
    received.resize(*size);
    EXPECT_EQ(received, frame);
}

TEST(AnnounceTest, AFrameThroughATap) {
    std::thread(send_and_receive).join();  // the namespace is a thread's
}

TEST(AnnounceTest, WhatIsNoTapIsRefused) {
    const UniqueFd null = open_file("/dev/null", O_RDWR).value();
    EXPECT_FALSE(send_through_tap(null.get(), Bytes(60)).has_value());
}

}  // namespace
}  // namespace kz
