#include "system.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "files.h"
#include "spawn.h"

namespace kzagent {
namespace {

using kz::agent::Address;
using kz::agent::Answer;

constexpr std::uint64_t kSecond = 1'000'000'000;

unsigned prefix_of(const sockaddr* netmask, int family) {
    if (netmask == nullptr) return 0;
    unsigned bits = 0;
    const auto* bytes =
        family == AF_INET
            ? reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in*>(netmask)->sin_addr)
            : reinterpret_cast<const unsigned char*>(
                  &reinterpret_cast<const sockaddr_in6*>(netmask)->sin6_addr);
    for (int i = 0; i < (family == AF_INET ? 4 : 16); ++i)
        bits += static_cast<unsigned>(std::popcount(bytes[i]));
    return bits;
}

// Empty: not one that is told.
std::string text_of(const ifaddrs& entry) {
    const int family = entry.ifa_addr->sa_family;
    const void* raw = nullptr;
    if (family == AF_INET) raw = &reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr;
    if (family == AF_INET6) {
        const auto* address = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr);
        if (!IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) raw = &address->sin6_addr;
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (raw == nullptr || ::inet_ntop(family, raw, text.data(), text.size()) == nullptr) return {};
    return std::string(text.data()) + "/" + std::to_string(prefix_of(entry.ifa_netmask, family));
}

}  // namespace

bool is_usable() {
    return !exists("/run/systemd/system") || !exists("/run/nologin");
}

std::vector<Address> addresses() {
    std::vector<Address> found;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return found;
    for (const ifaddrs* entry = list; entry != nullptr && found.size() < kz::agent::kMaxAddresses;
         entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
        const std::string text = text_of(*entry);
        if (!text.empty()) found.push_back({entry->ifa_name, text});
    }
    ::freeifaddrs(list);
    return found;
}

kz::UniqueFd address_watch() {
    kz::UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl local{};
    local.nl_family = AF_NETLINK;
    local.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) fd.reset();
    return fd;
}

void drain(int fd) {
    std::array<char, 8192> chunk;
    // Messages that did not fit (ENOBUFS) are changes too.
    while (::read(fd, chunk.data(), chunk.size()) > 0) {
    }
}

Answer set_clock(std::uint64_t nanoseconds) {
    timespec moment{};
    moment.tv_sec = static_cast<time_t>(nanoseconds / kSecond);
    moment.tv_nsec = static_cast<long>(nanoseconds % kSecond);
    if (::clock_settime(CLOCK_REALTIME, &moment) != 0)
        return {static_cast<std::uint32_t>(errno), 0, std::strerror(errno)};
    ::clock_gettime(CLOCK_REALTIME, &moment);
    return {0,
            static_cast<std::uint64_t>(moment.tv_sec) * kSecond + static_cast<std::uint64_t>(moment.tv_nsec),
            ""};
}

Answer power_off() {
    std::vector<std::string> words;
    if (exists("/run/systemd/system"))
        words = {first_program({"/usr/bin/systemctl", "/bin/systemctl"}), "poweroff"};
    if (words.empty() || words[0].empty()) words = {first_program({"/sbin/poweroff", "/usr/sbin/poweroff"})};
    if (words[0].empty()) return {ENOENT, 0, "no program that powers off"};
    const int error = spawn_system(words);
    return {static_cast<std::uint32_t>(error), 0, error == 0 ? "" : words[0] + ": " + std::strerror(error)};
}

}  // namespace kzagent
