#include "monitor/post_copy_zone.h"

#include "monitor/start.h"
#include "store/journal.h"
#include "store/settings.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kStopTime{5};
constexpr std::chrono::seconds kQueryTime{5};

void note_arrival(ZoneRun& run, Json facts, const stream::PumpTotals& totals) {
    facts["bytes"] = totals.sealed_bytes;
    facts["memory_bytes"] = totals.plain_bytes;
    facts["connection_bytes"] = {totals.sealed_bytes};
    facts["post_copy"] = true;
    if (const auto noted = store::append_journal(run.paths(), run.zone(), "live", std::move(facts)); !noted)
        run.log().error("journal: {}", noted.error().message());
}

// The last page is in. Only now the source may end.
Result<void> all_in(ZoneRun& run) {
    KZ_TRY(const storage::HostData data, run.disk().read_owned(run.uuid()));
    if (data.handover) KZ_CHECK(run.write_host_state("running", std::nullopt));
    KZ_CHECK(remove_post_copy(run.paths(), run.zone()));
    run.log().info("all memory is in");
    run.show_memory({});
    return {};
}

void pause_guest(ZoneRun& run, const std::string& peer, const std::string& why) {
    run.log().error(
        "{}, which still has some of the zone's memory, cannot be reached ({}): the guest is paused", peer,
        why);
    run.console().notice("paused: " + peer + " still has some of its memory and cannot be reached");
    run.show_memory({zone::Aux::post_copy, zone::Aux::paused});
    // A processor that waits for a page keeps QEMU from answering; it stands still all the same.
    if (run.machine()->qmp().execute("stop", Json::object(), Deadline::after(kStopTime))) run.guest_stopped();
}

Result<void> continue_guest(ZoneRun& run) {
    KZ_CHECK(run.continue_guest(Deadline::after(kStopTime)));
    run.log().info("the zone's memory comes again: the guest goes on");
    run.console().notice("resuming");
    run.show_memory({zone::Aux::post_copy});
    return {};
}

PostCopyArrival::Actions actions_of(ZoneRun& run, const std::string& peer, Json facts) {
    return {
        .paused = [&run, peer](const std::string& why) { pause_guest(run, peer, why); },
        .goes_on = [&run] { return continue_guest(run); },
        .all_in =
            [&run, noted = std::move(facts)](const stream::PumpTotals& totals) {
                const Result<void> done = all_in(run);
                if (done)
                    note_arrival(run, noted, totals);
                else
                    run.log().error("all memory is in, and that cannot be written down: {}",
                                    done.error().message());
                return done;
            },
        .lost =
            [&run](const std::string& why) {
                run.memory_lost("what was in the zone's memory is lost: " + why + "; the zone boots afresh");
            },
        .log = [&run](const std::string& text) { run.log().info("{}", text); }};
}

Result<void> lose_memory(ZoneRun& run, const store::RuntimeRecord& runtime, const std::string& why) {
    if (Result<Process> machine = Process::adopt(*runtime.qemu)) machine->kill_and_wait();
    const std::string reason = "what was in the zone's memory is lost: " + why + "; the zone boots afresh";
    run.log().error("{}", reason);
    return halt_zone(run, reason);
}

}  // namespace

Result<PostCopyArrival*> begin_arrival(ZoneRun& run, PostCopyRecord record, qemu::EventWait events,
                                       std::unique_ptr<migrate::PumpGroup> pumps, Json facts) {
    KZ_TRY(const store::Settings settings, store::load_settings(run.paths()));
    PostCopyArrival::Actions actions = actions_of(run, record.peer, std::move(facts));
    KZ_TRY(std::unique_ptr<PostCopyArrival> arrival,
           PostCopyArrival::start({.paths = run.paths(),
                                   .record = std::move(record),
                                   .qmp = run.machine()->qmp(),
                                   .socket = run.machine()->socket_folder() / "in.sock",
                                   .events = std::move(events),
                                   .pumps = std::move(pumps),
                                   .patience = settings.post_copy_wait,
                                   .actions = std::move(actions)}));
    PostCopyArrival* const machines = arrival.get();
    run.serve_memory(std::move(arrival));
    return machines;
}

Result<void> run_before_memory(ZoneRun& run, PostCopyArrival& arrival) {
    KZ_CHECK(run.write_running_without_memory());
    KZ_CHECK(run.record_owned());
    KZ_CHECK(run.run_guest());
    KZ_CHECK(run.set_runtime_state(zone::State::running, {zone::Aux::post_copy}));
    arrival.guest_runs();
    return {};
}

Result<void> adopt_arrival(ZoneRun& run, const store::RuntimeRecord& runtime, PostCopyRecord record) {
    if (const Result<void> adopted = run.adopt_machine(runtime); !adopted)
        return lose_memory(run, runtime,
                           "the zone's monitor ended, and the machine does not answer a new one (" +
                               adopted.error().message() + ")");
    return take_up_arrival(run, std::move(record));
}

Result<void> take_up_arrival(ZoneRun& run, PostCopyRecord record) {
    qemu::Qmp& qmp = run.machine()->qmp();
    KZ_TRY(qemu::EventWait events, qemu::EventWait::subscribe(qmp, {"MIGRATION"}));
    // No answer: it waits for a page.
    const auto status = qmp.execute("query-migrate", Json::object(), Deadline::after(kQueryTime));
    const bool complete = status && json_text(*status, "status").value_or("") == "completed";
    if (complete) {
        KZ_CHECK(all_in(run));
        KZ_CHECK(run.record_owned());
        return run.run_guest();
    }
    KZ_TRY(PostCopyArrival* const arrival,
           begin_arrival(run, std::move(record), std::move(events), nullptr, {{"direction", "in"}}));
    const Result<void> running = run_before_memory(run, *arrival);
    if (running || running.error().code() != Errc::timeout) return running;
    // A machine that waits for a page does what it was told once that has come.
    run.log().info("{}", running.error().message());
    arrival->guest_runs();
    return run.set_runtime_state(zone::State::running, {zone::Aux::post_copy, zone::Aux::paused});
}

}  // namespace kz::monitor
