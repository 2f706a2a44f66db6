#include "monitor/network_announce.h"

#include <algorithm>
#include <string_view>

#include "base/json.h"
#include "os/announce.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kStatusTime{1};

bool guest_runs(qemu::Qmp& qmp) {
    const Result<Json> status = qmp.execute("query-status", Json::object(), Deadline::after(kStatusTime));
    return status && status->is_object() && status->value("running", Json(false)) == Json(true);
}

}  // namespace

std::chrono::milliseconds AnnounceTimes::pause_after(unsigned done) const {
    return std::min(max, initial + step * (done - 1));
}

bool guest_announces(qemu::Qmp& qmp, const std::string& device) {
    constexpr std::string_view kFeature = "VIRTIO_NET_F_GUEST_ANNOUNCE:";
    const Result<Json> status = qmp.execute(
        "x-query-virtio-status", {{"path", fmt::format("/machine/peripheral/{}/virtio-backend", device)}});
    if (!status || !status->is_object()) return false;
    const Json features = status->value("guest-features", Json::object());
    if (!features.is_object()) return false;
    const Json names = features.value("dev-features", Json::array());
    return names.is_array() && std::ranges::any_of(names, [&](const Json& name) {
               return name.is_string() && name.get_ref<const std::string&>().starts_with(kFeature);
           });
}

// What is under way has pointers to the wires.
void Announcer::add(Wire wire) {
    repeater_ = {};
    wires_.push_back(std::move(wire));
}

void Announcer::drop(const std::string& device) {
    repeater_ = {};
    std::erase_if(wires_, [&](const Wire& wire) { return wire.device == device; });
}

Result<void> Announcer::announce(qemu::Qmp& qmp, const AnnounceTimes& times) {
    const Result<Json> asked = qmp.execute("announce-self", {{"initial", times.initial.count()},
                                                             {"max", times.max.count()},
                                                             {"rounds", times.rounds},
                                                             {"step", times.step.count()}});
    std::vector<const Wire*> silent;
    for (const Wire& wire : wires_) {
        if (!wire.announcements.empty() && !guest_announces(qmp, wire.device)) silent.push_back(&wire);
    }
    const Result<void> sent = send_round(silent);
    if (!silent.empty() && sent)
        repeater_ = std::jthread(
            [this, &qmp, silent, times](const std::stop_token& stop) { repeat(stop, qmp, silent, times); });
    if (!asked) return std::unexpected(asked.error());
    return sent;
}

Result<void> Announcer::send_round(const std::vector<const Wire*>& wires) const {
    for (const Wire* wire : wires) {
        for (const Bytes& frame : wire->announcements)
            KZ_CHECK_CONTEXT(send_through_tap(wire->tap.get(), frame), wire->device);
    }
    return {};
}

void Announcer::repeat(const std::stop_token& stop, qemu::Qmp& qmp, const std::vector<const Wire*>& wires,
                       const AnnounceTimes& times) {
    for (unsigned done = 1; done < times.rounds; ++done) {
        std::unique_lock lock(mutex_);
        stopped_.wait_for(lock, stop, times.pause_after(done), [] { return false; });
        if (stop.stop_requested() || !guest_runs(qmp) || !send_round(wires)) return;
    }
}

}  // namespace kz::monitor
