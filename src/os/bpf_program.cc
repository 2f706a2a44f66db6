#include "os/bpf_program.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/network_netlink.h"

namespace kz {
namespace {

constexpr std::size_t kNowhere = SIZE_MAX;

Result<UniqueFd> bpf_call(int command, bpf_attr& attributes, std::string_view what) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes)));
    if (!fd) return fail_errno(errno, std::string(what));
    return fd;
}

tcmsg at_parent(unsigned index, std::uint32_t parent) {
    tcmsg fixed{};
    fixed.tcm_family = AF_UNSPEC;
    fixed.tcm_ifindex = static_cast<int>(index);
    fixed.tcm_parent = parent;
    return fixed;
}

Result<void> add_queue(unsigned index) {
    tcmsg fixed = at_parent(index, TC_H_CLSACT);
    fixed.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    NetlinkRequest request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, fixed);
    request.add_text(TCA_KIND, "clsact");
    return netlink_call(request, "adding a clsact queue");
}

}  // namespace

BpfProgram::BpfProgram() : places_{kNowhere, kNowhere} {
    copy(BPF_REG_6, BPF_REG_1);
}

BpfProgram& BpfProgram::append(int code, int to, int from, std::ptrdiff_t offset, std::int32_t immediate) {
    bpf_insn made{};
    made.code = static_cast<__u8>(code);
    made.dst_reg = static_cast<__u8>(to & 0xf);
    made.src_reg = static_cast<__u8>(from & 0xf);
    made.off = static_cast<__s16>(offset);
    made.imm = immediate;
    code_.push_back(made);
    return *this;
}

BpfProgram& BpfProgram::set(int to, std::int32_t value) {
    return append(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

BpfProgram& BpfProgram::set_wide(int to, std::uint64_t value) {
    append(BPF_LD | BPF_DW | BPF_IMM, to, 0, 0, static_cast<std::int32_t>(value & UINT32_MAX));
    return append(0, 0, 0, 0, static_cast<std::int32_t>(value >> 32U));
}

BpfProgram& BpfProgram::copy(int to, int from) {
    return append(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

BpfProgram& BpfProgram::compute(int operation, int to, std::int32_t value) {
    return append(BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
}

BpfProgram& BpfProgram::compute_by(int operation, int to, int from) {
    return append(BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
}

BpfProgram& BpfProgram::load_field(int to, std::size_t field) {
    return load(BPF_W, to, BPF_REG_6, static_cast<std::ptrdiff_t>(field));
}

BpfProgram& BpfProgram::load(int size, int to, int from, std::ptrdiff_t offset) {
    return append(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
}

BpfProgram& BpfProgram::store(int size, int to, std::ptrdiff_t offset, int from) {
    return append(BPF_STX | BPF_MEM | size, to, from, offset, 0);
}

BpfProgram& BpfProgram::store_value(int size, int to, std::ptrdiff_t offset, std::int32_t value) {
    return append(BPF_ST | BPF_MEM | size, to, 0, offset, value);
}

BpfProgram& BpfProgram::call(std::int32_t helper) {
    return append(BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

BpfProgram& BpfProgram::load_frame(std::ptrdiff_t stack, unsigned at, unsigned size) {
    copy(BPF_REG_1, BPF_REG_6);
    set(BPF_REG_2, static_cast<std::int32_t>(at));
    copy(BPF_REG_3, BPF_REG_10);
    compute(BPF_ADD, BPF_REG_3, static_cast<std::int32_t>(stack));
    set(BPF_REG_4, static_cast<std::int32_t>(size));
    call(BPF_FUNC_skb_load_bytes);
    return refuse_if(BPF_JNE, BPF_REG_0, 0);
}

BpfProgram& BpfProgram::find_value(int map_fd) {
    constexpr std::ptrdiff_t kKey = -4;
    append(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map_fd);
    append(0, 0, 0, 0, 0);
    store_value(BPF_W, BPF_REG_10, kKey, 0);
    copy(BPF_REG_2, BPF_REG_10);
    compute(BPF_ADD, BPF_REG_2, kKey);
    call(BPF_FUNC_map_lookup_elem);
    return refuse_if(BPF_JEQ, BPF_REG_0, 0);
}

BpfProgram& BpfProgram::jump(int code, int reg, int other, std::int32_t value, Label to) {
    jumps_.push_back({code_.size(), to});
    return append(BPF_JMP | code, reg, other, 0, value);
}

BpfProgram& BpfProgram::refuse_if(int relation, int reg, std::int32_t value) {
    return jump(relation | BPF_K, reg, 0, value, kRefuse);
}

BpfProgram& BpfProgram::refuse_if_reg(int relation, int reg, int other) {
    return jump(relation | BPF_X, reg, other, 0, kRefuse);
}

BpfProgram& BpfProgram::pass_if(int relation, int reg, std::int32_t value) {
    return jump(relation | BPF_K, reg, 0, value, kPass);
}

BpfProgram& BpfProgram::pass() {
    return jump(BPF_JA, 0, 0, 0, kPass);
}

BpfProgram& BpfProgram::refuse() {
    return jump(BPF_JA, 0, 0, 0, kRefuse);
}

BpfProgram::Label BpfProgram::label() {
    places_.push_back(kNowhere);
    return places_.size() - 1;
}

BpfProgram& BpfProgram::jump_if(int relation, int reg, std::int32_t value, Label to) {
    return jump(relation | BPF_K, reg, 0, value, to);
}

BpfProgram& BpfProgram::place(Label label) {
    places_[label] = code_.size();
    return *this;
}

Result<UniqueFd> BpfProgram::load_into_kernel() const {
    constexpr std::string_view kLicense = "GPL";
    BpfProgram whole = *this;
    whole.place(kPass).set(BPF_REG_0, TC_ACT_UNSPEC).append(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    // An end that nothing leads to is refused by the kernel.
    const bool refuses = std::ranges::any_of(jumps_, [](const Jump& each) { return each.to == kRefuse; });
    if (refuses) whole.place(kRefuse).set(BPF_REG_0, TC_ACT_SHOT).append(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (const Jump& each : jumps_) {
        const std::size_t target = whole.places_[each.to];
        if (target <= each.at || target == kNowhere)
            return fail(Errc::internal, "a BPF program jumps to nowhere");
        whole.code_[each.at].off = static_cast<__s16>(target - each.at - 1);
    }
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    attributes.insns = reinterpret_cast<std::uintptr_t>(whole.code_.data());
    attributes.insn_cnt = static_cast<__u32>(whole.code_.size());
    attributes.license = reinterpret_cast<std::uintptr_t>(kLicense.data());
    return bpf_call(BPF_PROG_LOAD, attributes, "loading a BPF program");
}

Result<UniqueFd> make_bpf_value() {
    bpf_attr attributes{};
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = sizeof(std::uint32_t);
    attributes.value_size = sizeof(std::uint64_t);
    attributes.max_entries = 1;
    return bpf_call(BPF_MAP_CREATE, attributes, "making a BPF map");
}

Result<void> TapPrograms::remove_all(const std::string& tap) {
    const unsigned index = ::if_nametoindex(tap.c_str());
    if (index == 0) return fail_errno(errno, tap);
    tcmsg queue = at_parent(index, TC_H_CLSACT);
    queue.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    // A tap that no programs are at has no such queue.
    const Result<void> removed =
        netlink_call(NetlinkRequest(RTM_DELQDISC, 0, queue), "removing a clsact queue");
    const int cause = removed ? 0 : removed.error().sys_errno();
    if (cause != 0 && cause != EINVAL && cause != ENOENT) return removed;
    return {};
}

Result<TapPrograms> TapPrograms::open(const std::string& tap) {
    const unsigned index = ::if_nametoindex(tap.c_str());
    if (index == 0) return fail_errno(errno, tap);
    return TapPrograms(index);
}

Result<void> TapPrograms::attach(FrameDirection direction, const BpfProgram& program) {
    if (!has_queue_) KZ_CHECK(add_queue(index_));
    has_queue_ = true;
    KZ_TRY(const UniqueFd loaded, program.load_into_kernel());
    const std::uint32_t place =
        direction == FrameDirection::from_machine ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
    tcmsg fixed = at_parent(index_, TC_H_MAKE(TC_H_CLSACT, place));
    fixed.tcm_info = TC_H_MAKE(static_cast<std::uint32_t>(next_++) << 16U, htons(ETH_P_ALL));
    NetlinkRequest request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, fixed);
    request.add_text(TCA_KIND, "bpf");
    const std::size_t options = request.begin(TCA_OPTIONS);
    request.add_value(TCA_BPF_FD, static_cast<std::uint32_t>(loaded.get()));
    request.add_text(TCA_BPF_NAME, "kzones");
    request.add_value(TCA_BPF_FLAGS, static_cast<std::uint32_t>(TCA_BPF_FLAG_ACT_DIRECT));
    request.end(options);
    return netlink_call(request, "attaching a BPF program");
}

}  // namespace kz
