#include "os/network_vlan.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/text.h"
#include "os/file.h"
#include "os/network_netlink.h"

namespace kz {
namespace {

using Program = std::vector<bpf_insn>;

constexpr std::int32_t kVlanIdMask = 0xfff;
constexpr std::size_t kSysfsNumber = 64;  // more than any number there takes

// Reads a number below /sys/class/net/BRIDGE/bridge; nothing where the kernel has no such file.
std::optional<std::uint64_t> bridge_setting(const std::string& bridge, std::string_view name) {
    const Result<std::string> text =
        read_file(fmt::format("/sys/class/net/{}/bridge/{}", bridge, name), kSysfsNumber);
    return text ? parse_u64(trim(*text)) : std::nullopt;
}

bpf_insn instruction(int code, int to = 0, int from = 0, std::ptrdiff_t offset = 0,
                     std::int32_t immediate = 0) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = static_cast<__u8>(to & 0xf);
    made.src_reg = static_cast<__u8>(from & 0xf);
    made.off = static_cast<__s16>(offset);
    made.imm = immediate;
    return made;
}

bpf_insn load_field(int to, std::size_t field) {
    return instruction(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_1, static_cast<std::ptrdiff_t>(field));
}
bpf_insn set(int to, std::int32_t value) {
    return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
bpf_insn call(std::int32_t function) {
    return instruction(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}
bpf_insn end() {
    return instruction(BPF_JMP | BPF_EXIT);
}

// Ends every program: the jumps that are not resolved yet, whose offset is 0, lead to the refusal.
Program with_verdicts(Program body) {
    body.push_back(set(BPF_REG_0, TC_ACT_OK));
    body.push_back(end());
    const auto refusal = static_cast<std::ptrdiff_t>(body.size());
    for (std::ptrdiff_t i = 0; i < refusal; ++i) {
        bpf_insn& each = body[static_cast<std::size_t>(i)];
        const bool branches =
            BPF_CLASS(each.code) == BPF_JMP && BPF_OP(each.code) != BPF_CALL && BPF_OP(each.code) != BPF_EXIT;
        if (branches) each.off = static_cast<__s16>(refusal - i - 1);
    }
    body.push_back(set(BPF_REG_0, TC_ACT_SHOT));
    body.push_back(end());
    return body;
}
bpf_insn refuse_if(int relation, int reg, std::int32_t value) {
    return instruction(BPF_JMP | relation | BPF_K, reg, 0, 0, value);
}

Program tagging_program(unsigned vlan) {
    return with_verdicts({
        load_field(BPF_REG_2, offsetof(__sk_buff, vlan_present)),
        refuse_if(BPF_JNE, BPF_REG_2, 0),
        set(BPF_REG_2, htons(ETH_P_8021Q)),
        set(BPF_REG_3, static_cast<std::int32_t>(vlan)),
        call(BPF_FUNC_skb_vlan_push),
        refuse_if(BPF_JNE, BPF_REG_0, 0),
    });
}

Program untagging_program(unsigned vlan) {
    return with_verdicts({
        load_field(BPF_REG_2, offsetof(__sk_buff, vlan_present)),
        refuse_if(BPF_JEQ, BPF_REG_2, 0),
        load_field(BPF_REG_2, offsetof(__sk_buff, vlan_proto)),
        refuse_if(BPF_JNE, BPF_REG_2, htons(ETH_P_8021Q)),
        load_field(BPF_REG_2, offsetof(__sk_buff, vlan_tci)),
        instruction(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, kVlanIdMask),
        refuse_if(BPF_JNE, BPF_REG_2, static_cast<std::int32_t>(vlan)),
        call(BPF_FUNC_skb_vlan_pop),
        refuse_if(BPF_JNE, BPF_REG_0, 0),
    });
}

Result<UniqueFd> load_program(std::span<const bpf_insn> program) {
    constexpr std::string_view kLicense = "GPL";
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
    attributes.insn_cnt = static_cast<__u32>(program.size());
    attributes.license = reinterpret_cast<std::uintptr_t>(kLicense.data());
    UniqueFd fd(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
    if (!fd) return fail_errno(errno, "loading a BPF program");
    return fd;
}

tcmsg at_parent(unsigned index, std::uint32_t parent) {
    tcmsg fixed{};
    fixed.tcm_family = AF_UNSPEC;
    fixed.tcm_ifindex = static_cast<int>(index);
    fixed.tcm_parent = parent;
    return fixed;
}

Result<void> attach_program(unsigned index, std::uint32_t place, const Program& program) {
    KZ_TRY(const UniqueFd loaded, load_program(program));
    tcmsg fixed = at_parent(index, TC_H_MAKE(TC_H_CLSACT, place));
    fixed.tcm_info = TC_H_MAKE(1U << 16, htons(ETH_P_ALL));
    NetlinkRequest request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, fixed);
    request.add_text(TCA_KIND, "bpf");
    const std::size_t options = request.begin(TCA_OPTIONS);
    request.add_value(TCA_BPF_FD, static_cast<std::uint32_t>(loaded.get()));
    request.add_text(TCA_BPF_NAME, "kzones-vlan");
    request.add_value(TCA_BPF_FLAGS, static_cast<std::uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
    request.end(options);
    return netlink_call(request, "attaching a BPF program");
}

Result<void> tag_at_tap(unsigned index, unsigned vlan) {
    tcmsg fixed = at_parent(index, TC_H_CLSACT);
    fixed.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    NetlinkRequest request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, fixed);
    request.add_text(TCA_KIND, "clsact");
    KZ_CHECK(netlink_call(request, "adding a clsact queue"));
    KZ_CHECK(attach_program(index, TC_H_MIN_INGRESS, tagging_program(vlan)));
    return attach_program(index, TC_H_MIN_EGRESS, untagging_program(vlan));
}

Result<void> change_membership(unsigned index, std::uint16_t type, std::uint16_t flags, unsigned vlan) {
    ifinfomsg fixed{};
    fixed.ifi_family = AF_BRIDGE;
    fixed.ifi_index = static_cast<int>(index);
    NetlinkRequest request(type, 0, fixed);
    const std::size_t options = request.begin(IFLA_AF_SPEC);
    request.add_value(IFLA_BRIDGE_VLAN_INFO, bridge_vlan_info{flags, static_cast<__u16>(vlan)});
    request.end(options);
    return netlink_call(request, fmt::format("VLAN {} of the bridge's port", vlan));
}

Result<void> join_vlan(unsigned index, const std::string& bridge, unsigned vlan) {
    const std::uint64_t default_vlan = bridge_setting(bridge, "default_pvid").value_or(0);
    if (default_vlan != 0 && default_vlan != vlan)
        KZ_CHECK(change_membership(index, RTM_DELLINK, 0, static_cast<unsigned>(default_vlan)));
    return change_membership(index, RTM_SETLINK, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, vlan);
}

}  // namespace

Result<void> leave_bridge(const std::string& tap) {
    const unsigned index = ::if_nametoindex(tap.c_str());
    if (index == 0) return fail_errno(errno, tap);
    // The port's VLANs go with the port.
    ifinfomsg fixed{};
    fixed.ifi_family = AF_UNSPEC;
    fixed.ifi_index = static_cast<int>(index);
    NetlinkRequest leave(RTM_NEWLINK, 0, fixed);
    leave.add_value(IFLA_MASTER, std::uint32_t{0});
    KZ_CHECK(netlink_call(leave, fmt::format("taking {} from its bridge", tap)));
    tcmsg queue = at_parent(index, TC_H_CLSACT);
    queue.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    // A tap that no programs are at has no such queue.
    const Result<void> removed =
        netlink_call(NetlinkRequest(RTM_DELQDISC, 0, queue), "removing a clsact queue");
    const int cause = removed ? 0 : removed.error().sys_errno();
    if (cause != 0 && cause != EINVAL && cause != ENOENT) return removed;
    return {};
}

bool filters_vlans(const std::string& bridge) {
    return bridge_setting(bridge, "vlan_filtering").value_or(0) != 0;
}

Result<void> make_access_port(const std::string& tap, const std::string& bridge, unsigned vlan) {
    if (vlan == 0 || vlan > kMaxVlan) return fail(Errc::invalid_argument, "there is no VLAN {}", vlan);
    const unsigned index = ::if_nametoindex(tap.c_str());
    if (index == 0) return fail_errno(errno, tap);
    if (filters_vlans(bridge)) return join_vlan(index, bridge, vlan);
    KZ_CHECK_CONTEXT(tag_at_tap(index, vlan), fmt::format("VLAN {} on {}", vlan, bridge));
    return {};
}

}  // namespace kz
