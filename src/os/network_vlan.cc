#include "os/network_vlan.h"

#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstddef>
#include <optional>

#include "base/text.h"
#include "os/file.h"
#include "os/network_netlink.h"

namespace kz {
namespace {

constexpr std::int32_t kVlanIdMask = 0xfff;
constexpr std::size_t kSysfsNumber = 64;  // more than any number there takes

// Reads a number below /sys/class/net/BRIDGE/bridge; nothing where the kernel has no such file.
std::optional<std::uint64_t> bridge_setting(const std::string& bridge, std::string_view name) {
    const Result<std::string> text =
        read_file(fmt::format("/sys/class/net/{}/bridge/{}", bridge, name), kSysfsNumber);
    return text ? parse_u64(trim(*text)) : std::nullopt;
}

BpfProgram tagging_program(unsigned vlan) {
    BpfProgram program;
    program.load_field(BPF_REG_2, offsetof(__sk_buff, vlan_present))
        .refuse_if(BPF_JNE, BPF_REG_2, 0)
        .copy(BPF_REG_1, BPF_REG_6)
        .set(BPF_REG_2, htons(ETH_P_8021Q))
        .set(BPF_REG_3, static_cast<std::int32_t>(vlan))
        .call(BPF_FUNC_skb_vlan_push)
        .refuse_if(BPF_JNE, BPF_REG_0, 0);
    return program;
}

BpfProgram untagging_program(unsigned vlan) {
    BpfProgram program;
    program.load_field(BPF_REG_2, offsetof(__sk_buff, vlan_present))
        .refuse_if(BPF_JEQ, BPF_REG_2, 0)
        .load_field(BPF_REG_2, offsetof(__sk_buff, vlan_proto))
        .refuse_if(BPF_JNE, BPF_REG_2, htons(ETH_P_8021Q))
        .load_field(BPF_REG_2, offsetof(__sk_buff, vlan_tci))
        .compute(BPF_AND, BPF_REG_2, kVlanIdMask)
        .refuse_if(BPF_JNE, BPF_REG_2, static_cast<std::int32_t>(vlan))
        .copy(BPF_REG_1, BPF_REG_6)
        .call(BPF_FUNC_skb_vlan_pop)
        .refuse_if(BPF_JNE, BPF_REG_0, 0);
    return program;
}

Result<void> tag_at_tap(TapPrograms& programs, unsigned vlan) {
    KZ_CHECK(programs.attach(FrameDirection::from_machine, tagging_program(vlan)));
    return programs.attach(FrameDirection::to_machine, untagging_program(vlan));
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
    return netlink_call(leave, fmt::format("taking {} from its bridge", tap));
}

bool filters_vlans(const std::string& bridge) {
    return bridge_setting(bridge, "vlan_filtering").value_or(0) != 0;
}

Result<void> make_access_port(const std::string& tap, const std::string& bridge, unsigned vlan,
                              TapPrograms& programs) {
    if (vlan == 0 || vlan > kMaxVlan) return fail(Errc::invalid_argument, "there is no VLAN {}", vlan);
    const unsigned index = ::if_nametoindex(tap.c_str());
    if (index == 0) return fail_errno(errno, tap);
    if (filters_vlans(bridge)) return join_vlan(index, bridge, vlan);
    KZ_CHECK_CONTEXT(tag_at_tap(programs, vlan), fmt::format("VLAN {} on {}", vlan, bridge));
    return {};
}

}  // namespace kz
