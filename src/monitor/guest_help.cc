#include "monitor/guest_help.h"

#include "monitor/agent.h"
#include "monitor/qga.h"

namespace kz::monitor {
namespace {

using kz::agent::Operation;

// A freeze writes out all that is dirty.
constexpr std::chrono::seconds kFreezeTime{60};
constexpr std::chrono::seconds kAnswerTime{5};

Result<std::uint64_t> count_of(const Result<Json>& answer) {
    if (!answer) return std::unexpected(answer.error());
    if (!answer->is_number_unsigned()) return fail(Errc::protocol, "qemu-ga: a number was expected");
    return answer->get<std::uint64_t>();
}

}  // namespace

Result<void> ask_to_power_off(ZoneRun& run) {
    if (!run.agent().connected())
        return run.qga().tell("guest-shutdown", {{"mode", "powerdown"}}, Deadline::after(kAnswerTime));
    const auto asked = run.agent().call(Operation::power_off, 0, Deadline::after(kAnswerTime));
    return asked ? Result<void>() : std::unexpected(asked.error());
}

Result<std::uint64_t> freeze_guest(ZoneRun& run, std::chrono::seconds at_most) {
    const Deadline deadline = Deadline::after(kFreezeTime);
    if (!run.agent().connected())
        return count_of(run.qga().ask("guest-fsfreeze-freeze", Json::object(), deadline));
    return run.agent().call(Operation::freeze, static_cast<std::uint64_t>(at_most.count()), deadline);
}

Result<std::uint64_t> thaw_guest(ZoneRun& run) {
    const Deadline deadline = Deadline::after(kFreezeTime);
    if (!run.agent().connected())
        return count_of(run.qga().ask("guest-fsfreeze-thaw", Json::object(), deadline));
    return run.agent().call(Operation::thaw, 0, deadline);
}

}  // namespace kz::monitor
