#include "monitor/start.h"

#include <thread>

#include "monitor/incoming.h"
#include "monitor/post_copy_source.h"
#include "monitor/post_copy_zone.h"
#include "monitor/suspend.h"
#include "os/process.h"
#include "qemu/migration.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::milliseconds kArrivalStep{250};
constexpr const char* kBrokenOff = "the migration to this host was broken off; the zone is configured";

Result<void> boot_afresh(ZoneRun& run, const std::string& boot_args) {
    KZ_CHECK(run.start_machine({.boot_args = boot_args, .machine_type = {}, .accel = {}, .incoming = false}));
    KZ_CHECK(run.write_host_state("running", std::nullopt));
    run.console().notice("booting up");
    return run.run_guest(/*begins=*/true);
}

void kill_left_machine(const store::RuntimeRecord& runtime) {
    Result<Process> machine = Process::adopt(*runtime.qemu);
    if (machine) machine->kill_and_wait();
}

// The machine that was found must not run: another host owns the disk. It is not asked to end: a QEMU whose
// memory broke off on its way in may never answer again.
Result<void> give_up_machine(ZoneRun& run, const store::RuntimeRecord& runtime, const storage::HostData& data,
                             const Error& problem) {
    kill_left_machine(runtime);
    const bool handed_over = data.handover && data.owner == data.handover->to;
    const bool moving = handed_over || runtime.aux.contains(zone::Aux::migrating_in);
    KZ_CHECK(run.set_down(moving ? zone::State::configured : zone::State::unavailable, {},
                          moving ? "" : problem.message()));
    run.finish();
    if (handed_over && !run.host().owns(*data.owner)) {
        return fail(Errc::wrong_state, "the zone has moved to {}", data.owner->host_name);
    }
    if (moving) return fail(Errc::cancelled, "{}", kBrokenOff);
    return std::unexpected(problem);
}

// The source committed to this host, and the monitor died before it could run the guest: its memory is in.
Result<void> adopt_arrived(ZoneRun& run) {
    KZ_TRY(const qemu::MigrationState migration, qemu::query_migration(run.machine()->qmp()));
    if (migration.status != qemu::MigrationStatus::completed) {
        KZ_CHECK(halt_zone(run, "its memory did not arrive whole; the zone boots afresh"));
        return fail(Errc::wrong_state, "the zone's memory did not arrive whole; boot it afresh");
    }
    KZ_CHECK(run.write_host_state("running", std::nullopt));
    KZ_CHECK(run.record_owned());
    return run.run_guest();
}

// Its monitor died with the connections that brought its memory. It is not asked: a QEMU whose memory broke
// off on its way in may take half a minute to answer, or never do.
Result<void> end_broken_arrival(ZoneRun& run, const store::RuntimeRecord& runtime) {
    kill_left_machine(runtime);
    KZ_CHECK(run.set_down(zone::State::configured, {}));
    run.finish();
    return fail(Errc::cancelled, "{}", kBrokenOff);
}

constexpr const char* kMemoryLost =
    "the zone's monitor ended while the zone's memory was still coming from its suspend image; what was in "
    "memory is lost, and the zone boots afresh";

constexpr const char* kSwitchLost =
    "the zone's monitor ended after the switch to post-copy and before the zone had moved; what was in "
    "memory is lost, "
    "and the zone boots afresh";

// A machine whose connection broke after the switch to post-copy never takes its guest back.
bool gone_for_good(qemu::MigrationStatus status) {
    using qemu::MigrationStatus;
    return status == MigrationStatus::postcopy_active || status == MigrationStatus::postcopy_paused ||
           status == MigrationStatus::postcopy_recover;
}

// Undoes a start that failed: nothing may be left running.
Result<void> undo_start(ZoneRun& run, Result<void> outcome) {
    if (outcome) return outcome;
    run.drop_machine();
    if (const Result<void> removed = store::remove_runtime(run.paths(), run.zone()); !removed)
        run.log().error("{}", removed.error().message());
    return outcome;
}

}  // namespace

Result<void> boot_zone(ZoneRun& run, const BootRequest& request) {
    KZ_TRY(const storage::HostData data, run.hold_lease());
    remove_image_draft(run);
    if (data.suspend && !request.discard_image) return undo_start(run, resume_zone(run, data, request.eager));
    KZ_CHECK(undo_start(run, boot_afresh(run, request.boot_args)));
    if (data.suspend) {
        discard_image(run.paths(), *data.suspend);
        run.log().info("the suspend image {} was discarded", data.suspend->image_id);
    }
    return {};
}

Result<void> ready_zone(ZoneRun& run) {
    KZ_TRY(const storage::HostData data, run.hold_lease());
    if (data.suspend) return fail(Errc::wrong_state, "the zone is suspended: boot resumes it");
    KZ_CHECK(undo_start(run, run.start_machine({})));
    return undo_start(run, run.set_runtime_state(zone::State::ready, {}));
}

Result<void> halt_zone(ZoneRun& run, const std::string& reason) {
    run.end_machine();
    // A disk that cannot be written now does not keep the zone from being halted; host data then shows its
    // last state.
    if (const Result<void> written = run.write_host_state("installed", std::nullopt); !written) {
        run.log().error("host data: {}", written.error().message());
    }
    run.console().notice("halted");
    const Result<void> recorded = run.set_down(zone::State::installed, {}, reason);
    run.finish();
    return recorded;
}

Result<void> reboot_zone(ZoneRun& run, const std::string& boot_args) {
    run.end_machine();
    run.console().notice("rebooting");
    KZ_CHECK(run.reload_config());
    Result<void> booted = undo_start(run, boot_afresh(run, boot_args));
    if (booted) return booted;
    KZ_CHECK(halt_zone(run, "the reboot failed: " + booted.error().message()));
    return std::unexpected(std::move(booted).error().context("the zone was halted but did not boot again"));
}

namespace {

// Whether the host data are those of a source that may still commit to this host.
bool is_coming(const ZoneRun& run, const storage::HostData& data) {
    return data.handover && run.host().owns(data.handover->to);
}

// The monitor died after all of the zone had come, and before the source has committed, or has not.
Result<void> await_arrival(ZoneRun& run, const store::RuntimeRecord& runtime) {
    KZ_CHECK(run.adopt_machine(runtime));
    const auto loaded = qemu::query_migration(run.machine()->qmp());
    const Deadline deadline = Deadline::after(kArrivalTime);
    std::optional<PostCopyRecord> post_copy =
        load_post_copy(run.paths(), run.zone(), *runtime.qemu, PostCopyRecord::Side::destination);
    bool coming = post_copy || (loaded && loaded->status == qemu::MigrationStatus::completed);
    while (coming && !deadline.passed()) {
        const Result<storage::HostData> data = run.disk().read();
        if (data && data->owner && run.host().owns(*data->owner)) {
            KZ_CHECK(run.hold_lease());
            if (post_copy) return take_up_arrival(run, *std::move(post_copy));
            return adopt_arrived(run);
        }
        coming = !data || is_coming(run, *data);
        std::this_thread::sleep_for(kArrivalStep);
    }
    run.drop_machine();
    KZ_CHECK(run.set_down(zone::State::configured, {}));
    run.finish();
    return fail(Errc::cancelled, "{}", kBrokenOff);
}

// Storage that is out of reach may come back before the machine's guard ends it.
Result<storage::HostData> hold_lease_with_patience(ZoneRun& run, const ProcessIdentity& machine) {
    while (true) {
        Result<storage::HostData> data = run.hold_lease();
        const bool storage_failed =
            !data && (data.error().code() == Errc::io || data.error().code() == Errc::timeout);
        if (!storage_failed || !store::is_alive(machine)) return data;
        run.log().error("host data cannot be read: {}", data.error().message());
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
}

}  // namespace

Result<void> adopt_zone(ZoneRun& run, const store::RuntimeRecord& runtime) {
    if (runtime.aux.contains(zone::Aux::migrating_in) && !has_arrived(runtime))
        return end_broken_arrival(run, runtime);
    KZ_CHECK(run.open_disk());
    const Result<storage::HostData> data = hold_lease_with_patience(run, *runtime.qemu);
    if (!data) {
        if (const Result<storage::HostData> others = run.disk().read()) {
            if (runtime.aux.contains(zone::Aux::migrating_in) && is_coming(run, *others))
                return await_arrival(run, runtime);
            if (auto record = departed_with_memory_here(run, *runtime.qemu, *others))
                return adopt_departed(run, runtime, *std::move(record));
            return give_up_machine(run, runtime, *others, data.error());
        }
    }
    // All of it is in the image: it was not ended yet, or it was being filled from there.
    if (data && data->suspend) {
        kill_left_machine(runtime);
        return finish_suspend(run, *data->suspend);
    }
    if (data && data->handover && data->handover->phase == storage::kPostCopyPhase) {
        if (auto record =
                load_post_copy(run.paths(), run.zone(), *runtime.qemu, PostCopyRecord::Side::destination))
            return adopt_arrival(run, runtime, *std::move(record));
    }
    // Processors that wait for a page may keep it from answering: it is not asked.
    if (memory_is_missing(run, *runtime.qemu)) {
        kill_left_machine(runtime);
        run.log().error("{}", kMemoryLost);
        return halt_zone(run, kMemoryLost);
    }
    if (Result<void> adopted = run.adopt_machine(runtime); !adopted) {
        KZ_CHECK(halt_zone(run, "the machine could not be taken over: " + adopted.error().message()));
        return adopted;
    }
    // Where host data cannot be read nothing is known, and the machine stays as it is.
    if (!data) return std::unexpected(data.error());
    if (runtime.aux.contains(zone::Aux::migrating_in)) return adopt_arrived(run);
    remove_image_draft(run);
    KZ_TRY(const Json status, run.machine()->qmp().execute("query-status"));
    const std::string state = json_text(status, "status").value_or("");
    run.log().info("took over machine {} ({})", runtime.qemu->pid, state);
    if (state == "shutdown" || state == "guest-panicked") {
        run.guest_shut_down = state == "shutdown";
        run.guest_panicked = state == "guest-panicked";
        run.wake().signal();
        return {};
    }
    if (state != "running" && runtime.state != zone::State::ready) {
        // The old monitor may have died over a write that says where the zone goes on, or that it is
        // suspended.
        KZ_TRY(const storage::HostData settled, run.settle_host_data(kSettleTime));
        if (!settled.owner || !run.host().owns(*settled.owner)) {
            if (auto record = departed_with_memory_here(run, *runtime.qemu, settled)) {
                go_on_serving(run, *std::move(record));
                return {};
            }
            run.drop_machine();
            return give_up_machine(run, runtime, settled, Error(Errc::unavailable, "the zone has moved"));
        }
        if (settled.suspend) return finish_suspend(run, *settled.suspend);
        KZ_TRY(const qemu::MigrationState migration, qemu::query_migration(run.machine()->qmp()));
        if (gone_for_good(migration.status)) return halt_zone(run, kSwitchLost);
    }
    // A migration that the old monitor had begun is over: its channels ended with it.
    if (data->handover) KZ_CHECK(run.write_host_state("running", std::nullopt));
    if (runtime.state == zone::State::ready) return run.set_runtime_state(runtime.state, {});
    return run.run_guest();
}

}  // namespace kz::monitor
