#include "os/network_vlan.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "bridge_namespace.h"
#include "os/announce.h"
#include "os/io.h"
#include "os/network.h"

namespace kz {
namespace {

constexpr std::size_t kVnetHeader = 10;
const std::string kBridge = "kzvlan0";

// A broadcast of a type for experiments, with `tag` ("8100000a") in front of it if any.
Bytes frame(std::string_view content, const std::string& tag = "") {
    Bytes made = from_hex("ffffffffffff020820000001" + tag + "88b5").value();
    made.insert(made.end(), content.begin(), content.end());
    made.resize(60 + tag.size() / 2);
    return made;
}

// The next frame of our type that the machine at the tap gets, in whole.
std::optional<Bytes> next_frame(const Tap& tap) {
    while (true) {
        Bytes packet(2048);
        const auto size = read_some(tap.fd.get(), packet, Deadline::after(std::chrono::seconds(20)));
        if (!size || *size < kVnetHeader + 18) return std::nullopt;
        Bytes received(packet.begin() + kVnetHeader, packet.begin() + static_cast<std::ptrdiff_t>(*size));
        if (to_hex(received).find("88b5") == 24 || to_hex(received).find("88b5") == 32) return received;
    }
}

void send(const Tap& tap, const Bytes& sent) {
    const auto done = send_through_tap(tap.fd.get(), sent);
    ASSERT_TRUE(done.has_value()) << done.error().message();
}

struct Ports {
    Tap trunk = create_tap(kBridge, {}).value();
    Tap red = create_tap(kBridge, {.vlan = 10}).value();
    Tap red_too = create_tap(kBridge, {.vlan = 10}).value();
    Tap blue = create_tap(kBridge, {.vlan = 20}).value();
};

TEST(VlanTest, FramesOfTheMachineAreTagged) {
    with_bridge(kBridge, [] {
        Ports ports;
        send(ports.red, frame("red"));
        EXPECT_EQ(next_frame(ports.trunk), frame("red", "8100000a"));
        EXPECT_EQ(next_frame(ports.red_too), frame("red"));
        send(ports.blue, frame("blue"));
        EXPECT_EQ(next_frame(ports.trunk), frame("blue", "81000014"));
        // Had the machine on VLAN 20 heard the other, that would have come first.
        send(ports.trunk, frame("to blue", "81000014"));
        EXPECT_EQ(next_frame(ports.blue), frame("to blue"));
    });
}

TEST(VlanTest, OnlyFramesOfTheVlanReachTheMachine) {
    with_bridge(kBridge, [] {
        Ports ports;
        for (const char* tag : {"", "81000014", "8100001a", "88a8000a", "81000000"})
            send(ports.trunk, frame("not for red", tag));
        send(ports.trunk, frame("for red", "8100e00a"));  // with a priority
        EXPECT_EQ(next_frame(ports.red), frame("for red"));
    });
}

TEST(VlanTest, TheMachineCannotChooseAnotherVlan) {
    with_bridge(kBridge, [] {
        Ports ports;
        for (const char* tag : {"81000014", "8100000a", "81000000", "88a80014"})
            send(ports.red, frame("forged", tag));
        send(ports.red, frame("honest"));
        EXPECT_EQ(next_frame(ports.trunk), frame("honest", "8100000a"));
        EXPECT_EQ(next_frame(ports.red_too), frame("honest"));
    });
}

TEST(VlanTest, ThereAreOnlySoManyVlans) {
    for (const unsigned vlan : {0U, 4095U, 65536U + 10}) {
        TapPrograms programs = TapPrograms::open("lo").value();
        const auto made = make_access_port("lo", kBridge, vlan, programs);
        ASSERT_FALSE(made.has_value());
        EXPECT_EQ(made.error().code(), Errc::invalid_argument);
    }
    EXPECT_FALSE(TapPrograms::open("nosuch0").has_value());
    EXPECT_FALSE(filters_vlans("nosuch0"));
}

}  // namespace
}  // namespace kz
