#include "os/network_guard.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace kz {
namespace {

// Places in a frame; its outer VLAN tag is not among its bytes.
constexpr unsigned kSourceMac = 6;
constexpr unsigned kKind = 12;
constexpr unsigned kIpv4Source = 26;
constexpr unsigned kArpSender = 28;
constexpr unsigned kIpv6Source = 22;
constexpr std::ptrdiff_t kStack = -24;

constexpr std::uint64_t kNanoseconds = 1'000'000'000;
constexpr std::uint64_t kLeastBurstNs = kNanoseconds / 20;
// Bytes. Frames of up to 64 KiB come at once where the machine leaves the cutting to the host.
constexpr std::uint64_t kLeastBurst = 256 << 10;

// As a BPF program reads it out of memory.
template <typename T>
T in_memory(const Byte* place) {
    T value{};
    std::memcpy(&value, place, sizeof value);
    return value;
}

BpfProgram source_program(const MacAddress& mac) {
    BpfProgram program;
    program.load_frame(kStack, kSourceMac, 6)
        .load(BPF_W, BPF_REG_2, BPF_REG_10, kStack)
        .set_wide(BPF_REG_3, in_memory<std::uint32_t>(mac.data()))
        .refuse_if_reg(BPF_JNE, BPF_REG_2, BPF_REG_3)
        .load(BPF_H, BPF_REG_2, BPF_REG_10, kStack + 4)
        .refuse_if(BPF_JNE, BPF_REG_2, in_memory<std::uint16_t>(mac.data() + 4));
    return program;
}

BpfProgram& load_kind(BpfProgram& program) {
    return program.load_frame(kStack, kKind, 2).load(BPF_H, BPF_REG_7, BPF_REG_10, kStack);
}

BpfProgram kinds_program() {
    BpfProgram program;
    load_kind(program);
    for (const std::uint16_t kind : {ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, ETH_P_RARP})
        program.pass_if(BPF_JEQ, BPF_REG_7, htons(kind));
    program.refuse();
    return program;
}

struct Allowed {
    std::vector<std::uint32_t> v4;                 // as in a packet's memory
    std::vector<std::array<std::uint64_t, 2>> v6;  // the same
};

Result<Allowed> parse_allowed(const std::vector<std::string>& addresses) {
    Allowed allowed;
    for (const std::string& text : addresses) {
        const std::string address = text.substr(0, text.find('/'));
        std::array<Byte, sizeof(in6_addr)> binary{};
        if (::inet_pton(AF_INET, address.c_str(), binary.data()) == 1)
            allowed.v4.push_back(in_memory<std::uint32_t>(binary.data()));
        else if (::inet_pton(AF_INET6, address.c_str(), binary.data()) == 1)
            allowed.v6.push_back(
                {in_memory<std::uint64_t>(binary.data()), in_memory<std::uint64_t>(binary.data() + 8)});
        else
            return fail(Errc::invalid_argument, "'{}' is not an address", text);
    }
    return allowed;
}

void judge_v4(BpfProgram& program, unsigned at, const Allowed& allowed) {
    program.load_frame(kStack, at, 4)
        .load(BPF_W, BPF_REG_2, BPF_REG_10, kStack)
        .pass_if(BPF_JEQ, BPF_REG_2, 0);
    for (const std::uint32_t each : allowed.v4) {
        const BpfProgram::Label other = program.label();
        // A 64-bit comparison: an immediate would be extended by its sign.
        program.set_wide(BPF_REG_3, each)
            .copy(BPF_REG_4, BPF_REG_2)
            .compute_by(BPF_XOR, BPF_REG_4, BPF_REG_3);
        program.jump_if(BPF_JNE, BPF_REG_4, 0, other).pass().place(other);
    }
    program.refuse();
}

void judge_v6(BpfProgram& program, const Allowed& allowed) {
    program.load_frame(kStack, kIpv6Source, 16)
        .load(BPF_DW, BPF_REG_2, BPF_REG_10, kStack)
        .load(BPF_DW, BPF_REG_3, BPF_REG_10, kStack + 8)
        .load(BPF_H, BPF_REG_4, BPF_REG_10, kStack)
        // fe80::/10
        .compute(BPF_AND, BPF_REG_4, htons(0xffc0))
        .pass_if(BPF_JEQ, BPF_REG_4, htons(0xfe80));
    std::vector<std::array<std::uint64_t, 2>> sources = allowed.v6;
    sources.push_back({0, 0});
    for (const auto& each : sources) {
        const BpfProgram::Label other = program.label();
        program.set_wide(BPF_REG_4, each[0]).compute_by(BPF_XOR, BPF_REG_4, BPF_REG_2);
        program.set_wide(BPF_REG_5, each[1]).compute_by(BPF_XOR, BPF_REG_5, BPF_REG_3);
        program.compute_by(BPF_OR, BPF_REG_4, BPF_REG_5)
            .jump_if(BPF_JNE, BPF_REG_4, 0, other)
            .pass()
            .place(other);
    }
    program.refuse();
}

Result<BpfProgram> address_program(const std::vector<std::string>& addresses) {
    KZ_TRY(const Allowed allowed, parse_allowed(addresses));
    BpfProgram program;
    const BpfProgram::Label arp = program.label();
    const BpfProgram::Label ipv6 = program.label();
    load_kind(program)
        .refuse_if(BPF_JEQ, BPF_REG_7, htons(ETH_P_8021Q))
        .refuse_if(BPF_JEQ, BPF_REG_7, htons(ETH_P_8021AD))
        .jump_if(BPF_JEQ, BPF_REG_7, htons(ETH_P_ARP), arp)
        .jump_if(BPF_JEQ, BPF_REG_7, htons(ETH_P_IPV6), ipv6)
        .pass_if(BPF_JNE, BPF_REG_7, htons(ETH_P_IP));
    judge_v4(program, kIpv4Source, allowed);
    program.place(arp);
    judge_v4(program, kArpSender, allowed);
    program.place(ipv6);
    judge_v6(program, allowed);
    return program;
}

// R7: now, R8: the moment up to which frames have been let through, R9: the value's place.
BpfProgram rate_program(int map_fd, std::uint64_t bytes_per_second) {
    const std::uint64_t burst_ns = std::max(kLeastBurstNs, kLeastBurst * kNanoseconds / bytes_per_second);
    BpfProgram program;
    const BpfProgram::Label recent = program.label();
    program.find_value(map_fd)
        .copy(BPF_REG_9, BPF_REG_0)
        .call(BPF_FUNC_ktime_get_boot_ns)
        .copy(BPF_REG_7, BPF_REG_0)
        .load(BPF_DW, BPF_REG_8, BPF_REG_9, 0)
        // The earliest that counts: now less the burst; a host that has just booted has no such moment yet.
        .set_wide(BPF_REG_2, burst_ns)
        .copy(BPF_REG_3, BPF_REG_8)
        .compute_by(BPF_ADD, BPF_REG_3, BPF_REG_2)
        .compute_by(BPF_SUB, BPF_REG_3, BPF_REG_7)
        // Not negative, as a number with a sign: recent enough.
        .copy(BPF_REG_4, BPF_REG_3)
        .compute(BPF_RSH, BPF_REG_4, 63)
        .jump_if(BPF_JEQ, BPF_REG_4, 0, recent)
        .compute_by(BPF_SUB, BPF_REG_8, BPF_REG_3)
        .place(recent)
        .load_field(BPF_REG_2, offsetof(__sk_buff, len))
        .set_wide(BPF_REG_3, kNanoseconds)
        .compute_by(BPF_MUL, BPF_REG_2, BPF_REG_3)
        .set_wide(BPF_REG_3, bytes_per_second)
        .compute_by(BPF_DIV, BPF_REG_2, BPF_REG_3)
        .compute_by(BPF_ADD, BPF_REG_8, BPF_REG_2)
        .refuse_if_reg(BPF_JSGT, BPF_REG_8, BPF_REG_7)
        .store(BPF_DW, BPF_REG_9, 0, BPF_REG_8);
    return program;
}

}  // namespace

Result<void> protect_link(TapPrograms& programs, const LinkProtection& protection) {
    if (protection.source)
        KZ_CHECK(programs.attach(FrameDirection::from_machine, source_program(*protection.source)));
    if (protection.known_kinds) KZ_CHECK(programs.attach(FrameDirection::from_machine, kinds_program()));
    if (protection.addresses.empty()) return {};
    KZ_TRY(const BpfProgram program, address_program(protection.addresses));
    return programs.attach(FrameDirection::from_machine, program);
}

Result<void> limit_rate(TapPrograms& programs, std::uint64_t bytes_per_second) {
    for (const FrameDirection direction : {FrameDirection::from_machine, FrameDirection::to_machine}) {
        // The program keeps the map when it is loaded.
        KZ_TRY(const UniqueFd value, make_bpf_value());
        KZ_CHECK(programs.attach(direction, rate_program(value.get(), bytes_per_second)));
    }
    return {};
}

}  // namespace kz
