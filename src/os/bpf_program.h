// Small BPF programs that judge frames at a tap. For os/network_vlan.cc and os/network_guard.cc.
//
// Theory of operation. A program is attached to the tap's clsact queue, at ingress for frames from the
// machine, at egress for frames to it. Several at one place run in the order of their numbers; each either
// refuses the frame (it is dropped) or passes it on to the next. R6 holds the frame's context from the first
// instruction on. Helpers of the kernel overwrite R0 to R5.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace kz {

class BpfProgram {
  public:
    // A place to jump to, ahead of the jump.
    using Label = std::size_t;

    BpfProgram();

    // register = value; register = register.
    BpfProgram& set(int to, std::int32_t value);
    BpfProgram& set_wide(int to, std::uint64_t value);
    BpfProgram& copy(int to, int from);
    // register OP= value or register; `operation` as BPF_ADD, unsigned.
    BpfProgram& compute(int operation, int to, std::int32_t value);
    BpfProgram& compute_by(int operation, int to, int from);
    // register = 4 bytes of the frame's __sk_buff.
    BpfProgram& load_field(int to, std::size_t field);
    // Memory: `size` as BPF_W.
    BpfProgram& load(int size, int to, int from, std::ptrdiff_t offset);
    BpfProgram& store(int size, int to, std::ptrdiff_t offset, int from);
    BpfProgram& store_value(int size, int to, std::ptrdiff_t offset, std::int32_t value);
    BpfProgram& call(std::int32_t helper);
    // Bytes of the frame from `at` to the stack below R10; a frame that is too short is refused.
    BpfProgram& load_frame(std::ptrdiff_t stack, unsigned at, unsigned size);
    // register = address of the map's one value; the program gets R0.
    BpfProgram& find_value(int map_fd);

    // Comparisons are unsigned, `relation` as BPF_JEQ.
    BpfProgram& refuse_if(int relation, int reg, std::int32_t value);
    BpfProgram& refuse_if_reg(int relation, int reg, int other);
    BpfProgram& pass_if(int relation, int reg, std::int32_t value);
    BpfProgram& pass();
    BpfProgram& refuse();
    // Goes on at `label`, which place() puts somewhere further down.
    Label label();
    BpfProgram& jump_if(int relation, int reg, std::int32_t value, Label to);
    BpfProgram& place(Label label);

    // Loads it into the kernel; one that comes to its end passes the frame. Errors: the kernel's.
    Result<UniqueFd> load_into_kernel() const;

  private:
    struct Jump {
        std::size_t at;
        Label to;
    };
    static constexpr Label kPass = 0;
    static constexpr Label kRefuse = 1;
    BpfProgram& append(int code, int to, int from, std::ptrdiff_t offset, std::int32_t immediate);
    BpfProgram& jump(int code, int reg, int other, std::int32_t value, Label to);
    std::vector<bpf_insn> code_;
    std::vector<Jump> jumps_;
    std::vector<std::size_t> places_;
};

// A map with one value of 64 bits, 0 at first.
Result<UniqueFd> make_bpf_value();

enum class FrameDirection { from_machine = 1, to_machine };

// The tap's place for programs. One is made for a tap.
class TapPrograms {
  public:
    static Result<TapPrograms> open(const std::string& tap);
    // Of any TapPrograms; those that are still there must not be used any more.
    static Result<void> remove_all(const std::string& tap);
    // After those that were attached in this direction before.
    Result<void> attach(FrameDirection direction, const BpfProgram& program);

  private:
    explicit TapPrograms(unsigned index) : index_(index) {}
    unsigned index_;
    bool has_queue_ = false;
    std::uint16_t next_ = 1;
};

}  // namespace kz
