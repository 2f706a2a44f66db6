#include "monitor/reconfigure.h"

#include <algorithm>

#include "base/text.h"
#include "monitor/live_record.h"
#include "monitor/network.h"
#include "os/network.h"
#include "qemu/hotplug.h"
#include "storage/host_data.h"
#include "zone/live_change.h"
#include "zone/verify.h"

namespace kz::monitor {
namespace {

using zone::LiveChange;
using Kind = LiveChange::Kind;

// For a guest to give up what it uses; a guest under TCG on a busy host takes seconds.
constexpr std::chrono::seconds kGuestTime{30};
// A guest that is left with less does not get to the end of taking it away.
constexpr std::uint64_t kLeastMemory = 64ULL << 20;
constexpr std::uint64_t kLeastShare = 8;
constexpr std::uint64_t kMemoryStep = 2ULL << 20;

template <typename Each>
Each with_id(const std::vector<Each>& all, unsigned id) {
    return *std::ranges::find(all, id, &Each::id);
}

// Another zone of this host that runs with this storage.
std::optional<std::string> user_of(const ZoneRun& run, const storage::Suri& suri) {
    for (const std::string& name : run.registry().names().value_or(std::vector<std::string>{})) {
        const auto runtime = store::load_runtime(run.paths(), name);
        if (name == run.zone() || !runtime || !store::is_alive(runtime->qemu)) continue;
        const auto stored = run.registry().load_config(name);
        const auto config = stored ? live_config(*runtime, *stored) : stored;
        if (!config) continue;
        for (const zone::Device& device : config->devices()) {
            const auto other = storage::Suri::parse(device.storage);
            if (other && *other == suri) return name;
        }
    }
    return std::nullopt;
}

// Storage that somebody else writes to would be destroyed.
Result<void> check_unused(const ZoneRun& run, const zone::Device& device) {
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    if (const auto user = user_of(run, suri))
        return fail(Errc::busy, "{} is in use by zone '{}', which is running", device.storage, *user);
    KZ_TRY(const storage::StorageAccess access, store::storage_access(run.paths()));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    // One without room for host data has none.
    if (volume->size_bytes() <= storage::kHostDataBytes) return {};
    KZ_TRY(const storage::HostDataProbe probe, storage::HostDataArea::probe(*volume));
    if (probe.kind != storage::HostDataProbe::Kind::blank)
        return fail(Errc::busy, "{} is the boot disk of a zone: host data are on it", device.storage);
    return {};
}

class Reconfiguration {
  public:
    Reconfiguration(ZoneRun& run, zone::Config wanted, Caller& caller)
        : run_(run), wanted_(std::move(wanted)), caller_(caller) {}

    Result<Json> carry_out(bool strict, bool dry_run);

  private:
    Result<zone::LivePlan> make_plan(bool strict);
    Result<void> check(const LiveChange& change) const;
    Result<void> check_rewiring(unsigned id) const;
    Result<void> apply_all(const std::vector<LiveChange>& changes);
    Result<void> apply(LiveChange& change);
    Result<void> add_device(unsigned id);
    Result<void> remove_device(unsigned id);
    Result<void> add_anet(unsigned id);
    Result<void> remove_anet(unsigned id);
    Result<void> rewire_anet(unsigned id);
    Result<void> set_memory(LiveChange& change);
    Result<void> set_cpus(unsigned count);
    Result<void> step_cpus(unsigned& now, unsigned count);
    Result<void> unplugged(Result<void> outcome, const std::string& what) const;
    qemu::Qmp& qmp() const { return run_.machine()->qmp(); }

    ZoneRun& run_;
    zone::Config wanted_;
    Caller& caller_;
};

Result<zone::LivePlan> Reconfiguration::make_plan(bool strict) {
    const zone::Report report = zone::verify(wanted_);
    if (!report.ok()) return fail(Errc::invalid_argument, "{}", join(report.errors, "\n"));
    const qemu::MachineShape& shape = run_.shape();
    KZ_TRY(const std::string accel, json_text(run_.runtime().details, "accel"));
    zone::LivePlan plan = zone::plan_live_changes(run_.config(), wanted_,
                                                  {.boot_memory = shape.memory_bytes,
                                                   .has_balloon = shape.layout >= qemu::kLiveLayout,
                                                   .max_cpus = shape.max_cpus,
                                                   // QEMU's TCG keeps using a processor that has gone, and
                                                   // crashes at the next device that comes or goes.
                                                   .cpus_leave = accel == "kvm",
                                                   .disk_ports = shape.disk_ports,
                                                   .nic_ports = shape.nic_ports});
    if (strict) plan.errors.insert(plan.errors.end(), plan.later.begin(), plan.later.end());
    if (!plan.errors.empty())
        return fail(Errc::unsupported, "the running zone cannot be changed so:\n{}", join(plan.errors, "\n"));
    return plan;
}

Result<void> Reconfiguration::check_rewiring(unsigned id) const {
    KZ_TRY(const AnetConnection then, connection_of(with_id(wanted_.anets(), id)));
    if (then.bridge.empty() || run_.tap_of(qemu::nic_id(id)).empty())
        return fail(Errc::unsupported,
                    "anet {}: between a bridge and user-mode networking it changes only at a boot", id);
    return {};
}

Result<void> Reconfiguration::check(const LiveChange& change) const {
    switch (change.kind) {
        case Kind::add_device: {
            const zone::Device device = with_id(wanted_.devices(), change.id);
            KZ_CHECK_CONTEXT(check_unused(run_, device), fmt::format("device {}", change.id));
            return {};
        }
        case Kind::add_anet:
            KZ_CHECK(connection_of(with_id(wanted_.anets(), change.id)));
            return {};
        case Kind::rewire_anet:
            return check_rewiring(change.id);
        case Kind::remove_device:
        case Kind::remove_anet:
        case Kind::memory:
        case Kind::cpus:
            return {};
    }
    return {};
}

Result<void> Reconfiguration::add_device(unsigned id) {
    // Never the first in the boot order: the plan has seen to that.
    constexpr unsigned kNoBootDisk = 1;
    zone::Device device = with_id(wanted_.devices(), id);
    device.bootpri.reset();
    KZ_TRY(const OpenedDisk disk, run_.open_device(device, kNoBootDisk));
    const auto* const local = std::get_if<storage::LocalBacking>(&disk.backing);
    const auto* const iscsi = std::get_if<storage::IscsiBacking>(&disk.backing);
    const Secret* const password = iscsi != nullptr && iscsi->chap ? &iscsi->chap->password : nullptr;
    KZ_CHECK_CONTEXT(qemu::plug_disk(qmp(), describe_disk(disk, run_.shape()),
                                     local != nullptr ? local->fd.get() : -1, password),
                     fmt::format("device {}: {}", id, device.storage));
    return {};
}

// Says what became of a device that was to leave.
Result<void> Reconfiguration::unplugged(Result<void> outcome, const std::string& what) const {
    // What it gave up while we waited is dealt with here, not by the main loop.
    if (outcome) run_.take_left_devices();
    if (outcome || outcome.error().code() != Errc::timeout) return outcome;
    return fail(
        Errc::timeout,
        "{}: the guest did not give it up within {} seconds: it is still there, and goes when the guest "
        "lets go of it",
        what, kGuestTime.count());
}

Result<void> Reconfiguration::remove_device(unsigned id) {
    return unplugged(qemu::unplug_disk(qmp(), id, Deadline::after(kGuestTime), run_.interrupt().fd()),
                     fmt::format("device {}", id));
}

Result<void> Reconfiguration::add_anet(unsigned id) {
    KZ_TRY(ConnectedNic connected, connect_nic(wanted_, with_id(wanted_.anets(), id)));
    if (!connected.note.empty()) caller_.message("warning: " + connected.note);
    KZ_CHECK_CONTEXT(qemu::plug_nic(qmp(), connected.nic, connected.tap ? connected.tap->get() : -1),
                     fmt::format("anet {}", id));
    if (connected.wire) run_.machine()->add_wire(std::move(*connected.wire));
    return run_.record_tap(qemu::nic_id(id), connected.tap_name);
}

Result<void> Reconfiguration::remove_anet(unsigned id) {
    KZ_CHECK(unplugged(qemu::unplug_nic(qmp(), id, Deadline::after(kGuestTime), run_.interrupt().fd()),
                       fmt::format("anet {}", id)));
    run_.machine()->drop_wire(qemu::nic_id(id));
    return run_.record_tap(qemu::nic_id(id), "");
}

// The guest sees nothing of it but what comes over the wire. Where it fails, the wire is what it was.
Result<void> Reconfiguration::rewire_anet(unsigned id) {
    const std::string tap = run_.tap_of(qemu::nic_id(id));
    const auto connect_as_in = [&](const zone::Config& config) -> Result<void> {
        const zone::Anet& anet = with_id(config.anets(), id);
        KZ_TRY(const AnetConnection connection, connection_of(anet));
        KZ_TRY(const TapOptions options, tap_options_of(config, anet, connection));
        return move_tap(tap, connection.bridge, options);
    };
    const Result<void> moved = connect_as_in(wanted_);
    if (moved) return {};
    Error cause = Error(moved.error()).context(fmt::format("anet {}", id));
    if (!connect_as_in(run_.config())) cause = std::move(cause).append("the anet is without a network now");
    return std::unexpected(std::move(cause));
}

// The guest gives what it can; the change becomes what it is in the end.
Result<void> Reconfiguration::set_memory(LiveChange& change) {
    const std::uint64_t booted = run_.shape().memory_bytes;
    const std::uint64_t requested = change.value;
    const std::uint64_t floor = std::max(kLeastMemory, booted / kLeastShare / kMemoryStep * kMemoryStep);
    const std::uint64_t target = std::min(booted, std::max(requested, floor));
    KZ_TRY(const std::string accel, json_text(run_.runtime().details, "accel"));
    // What the guest has is a little less than what it was given (ADR 0005).
    const std::uint64_t missing = booted - qemu::machine_ram_bytes(booted, accel);
    KZ_TRY(const std::uint64_t got, qemu::resize_balloon(qmp(), target - missing, run_.interrupt().fd()));
    const std::uint64_t reached = (got + missing + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
    if (reached == requested) return {};
    if (reached == run_.config().memory_bytes())
        return fail(Errc::timeout, "capped-memory: the guest has not changed its memory: it is still {}",
                    zone::rounded_size(reached));
    change.value = reached;
    caller_.message(
        fmt::format("warning: operation succeeded partially for capped memory (requested: {}, final: {})",
                    zone::rounded_size(requested), zone::rounded_size(reached)));
    return {};
}

// How many there are belongs to the live configuration; nothing else about them does.
Result<void> record_cpus(ZoneRun& run, unsigned count) {
    const LiveChange change{Kind::cpus, 0, count, {}};
    return run.set_config(zone::with_change(run.config(), run.config(), change));
}

Result<void> Reconfiguration::set_cpus(unsigned count) {
    KZ_TRY(unsigned now, qemu::count_cpus(qmp()));
    Result<void> changed = step_cpus(now, count);
    if (!changed) KZ_CHECK(record_cpus(run_, now));
    return changed;
}

Result<void> Reconfiguration::step_cpus(unsigned& now, unsigned count) {
    for (; now < count; ++now)
        KZ_CHECK_CONTEXT(qemu::plug_cpu(qmp()), "virtual-cpu");
    for (; now > count; --now) {
        KZ_CHECK(unplugged(qemu::unplug_cpu(qmp(), Deadline::after(kGuestTime), run_.interrupt().fd()),
                           fmt::format("virtual-cpu: CPU {}", now - 1)));
    }
    return {};
}

Result<void> Reconfiguration::apply(LiveChange& change) {
    switch (change.kind) {
        case Kind::add_device:
            return add_device(change.id);
        case Kind::remove_device:
            return remove_device(change.id);
        case Kind::add_anet:
            return add_anet(change.id);
        case Kind::remove_anet:
            return remove_anet(change.id);
        case Kind::rewire_anet:
            return rewire_anet(change.id);
        case Kind::memory:
            return set_memory(change);
        case Kind::cpus:
            return set_cpus(static_cast<unsigned>(change.value));
    }
    return {};
}

Result<void> Reconfiguration::apply_all(const std::vector<LiveChange>& changes) {
    std::vector<std::string> done;
    for (LiveChange change : changes) {
        if (const Result<void> applied = apply(change); !applied) {
            Error cause = applied.error();
            if (!done.empty()) cause = std::move(cause).append("before that was done: " + join(done, ", "));
            return std::unexpected(std::move(cause));
        }
        KZ_CHECK(run_.set_config(zone::with_change(run_.config(), wanted_, change)));
        run_.log().info("reconfigured: {}", change.text);
        done.push_back(change.text);
    }
    return {};
}

Result<Json> Reconfiguration::carry_out(bool strict, bool dry_run) {
    KZ_TRY(const zone::LivePlan plan, make_plan(strict));
    for (const std::string& each : plan.later)
        caller_.message(fmt::format("warning: {}; it applies at the next boot", each));
    for (const LiveChange& change : plan.changes) {
        caller_.message("Checking: " + change.text);
        KZ_CHECK(check(change));
    }
    const Json report{{"changes", plan.changes.size()}, {"later", plan.later.size()}};
    if (dry_run) return report;
    if (!plan.changes.empty()) caller_.message("Applying the changes");
    KZ_CHECK(apply_all(plan.changes));
    KZ_CHECK(run_.set_config(zone::with_other_properties(run_.config(), wanted_)));
    return report;
}

Result<void> take_away(ZoneRun& run, const qemu::LeftDevice& left) {
    if (left.kind == qemu::LeftDevice::Kind::other) {
        KZ_TRY(const unsigned now, qemu::count_cpus(run.machine()->qmp()));
        return now == run.config().cpu_count() ? Result<void>() : record_cpus(run, now);
    }
    const bool disk = left.kind == qemu::LeftDevice::Kind::disk;
    const LiveChange change{disk ? Kind::remove_device : Kind::remove_anet, left.index, 0, {}};
    if (!zone::has_subject(run.config(), change)) return {};
    run.log().info("the guest has given up {} {}", disk ? "device" : "anet", left.index);
    KZ_CHECK(qemu::clean_up(run.machine()->qmp(), left));
    if (!disk) {
        run.machine()->drop_wire(qemu::nic_id(left.index));
        KZ_CHECK(run.record_tap(qemu::nic_id(left.index), ""));
    }
    return run.set_config(zone::with_change(run.config(), run.config(), change));
}

}  // namespace

Result<Json> reconfigure_zone(ZoneRun& run, const Json& request, Caller& caller) {
    if (run.runtime().state != zone::State::running)
        return fail(Errc::wrong_state, "apply operation is invalid for {} zones.",
                    zone::state_name(run.runtime().state));
    KZ_TRY(const bool dry_run, json_bool(request, "dry_run"));
    KZ_TRY(const auto text, json_optional_text(request, "configuration"));
    KZ_TRY(zone::Config wanted, run.registry().load_config(run.zone()));
    if (text) {
        KZ_TRY(wanted, read_live_config(*text, wanted));
    }
    KZ_CHECK(run.wait_for_memory());
    return Reconfiguration(run, std::move(wanted), caller).carry_out(text.has_value(), dry_run);
}

void take_away_left_devices(ZoneRun& run) {
    for (const qemu::LeftDevice& left : run.take_left_devices()) {
        const Result<void> done = take_away(run, left);
        if (!done) run.log().error("{}", done.error().message());
    }
}

}  // namespace kz::monitor
