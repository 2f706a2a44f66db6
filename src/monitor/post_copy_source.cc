#include "monitor/post_copy_source.h"

#include "monitor/stream_channels.h"
#include "os/socket.h"
#include "qemu/migration.h"
#include "store/runtime.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLook{500};
constexpr seconds kTryAgain{1};
constexpr seconds kPauseTime{30};
constexpr seconds kResumeTime{60};
constexpr seconds kWordTime{20};
// A destination that cannot be told finds out by itself, by post-copy.wait.
constexpr seconds kNoticeTime{30};

}  // namespace

bool PostCopySource::machine_ended() const {
    return run_.machine_lost || !run_.machine()->qmp().connected();
}

// A cancel comes too late, and is said to; the end of this monitor and `halt` do not. True: give it up.
Result<bool> PostCopySource::interrupted() {
    run_.interrupt().reset();
    if (run_.give_up_departed || run_.ending) return true;
    if (!machine_ended()) reporter_.message(fmt::format("too late: the zone runs on {}.", record_.peer));
    return false;
}

Result<stream::PumpTotals> PostCopySource::serve(std::unique_ptr<migrate::PumpGroup> pumps) {
    pumps_ = std::move(pumps);
    while (true) {
        KZ_TRY(const End end, pumps_ ? wait_for_end() : Result<End>(End::broken));
        if (pumps_) before_ = before_ + pumps_->totals();
        pumps_.reset();
        if (end == End::completed) return before_;
        if (end == End::lost) return std::unexpected(give_notice(ended_too_early()));
        run_.departed_unreachable = true;
        const Result<bool> connected = reconnect();
        run_.departed_unreachable = false;
        KZ_CHECK(connected);
        if (*connected) continue;
        if (has_everything_) return before_;
        return fail(Errc::unavailable,
                    "{} has given up what was still here of the zone's memory; look there with: "
                    "zoneadm -z {} list -s",
                    record_.peer, run_.zone());
    }
}

Result<PostCopySource::End> PostCopySource::wait_for_end() {
    qemu::Qmp& qmp = run_.machine()->qmp();
    while (true) {
        if (machine_ended()) return End::lost;
        const Result<qemu::MigrationState> state = qemu::wait_for_status(
            qmp, {qemu::MigrationStatus::postcopy_paused}, Deadline::after(kLook), run_.interrupt().fd());
        if (state && state->status == qemu::MigrationStatus::completed) return End::completed;
        if (state && qemu::migration_ended(state->status)) return End::lost;
        if (state) return End::broken;
        if (state.error().code() == Errc::cancelled) {
            KZ_TRY(const bool give_up, interrupted());
            if (give_up) return std::unexpected(given_up());
        }
        if (pumps_->failure()) return End::broken;
        if (const Result<qemu::MigrationState> now = qemu::query_migration(qmp))
            reporter_.progress(*now, before_ + pumps_->totals());
    }
}

// False: the destination wants nothing any more.
Result<bool> PostCopySource::reconnect() {
    reporter_.message(
        fmt::format("The connection to {} broke: the zone stands still there where it needs memory that is "
                    "still here. Connecting "
                    "again.",
                    record_.peer));
    std::string said;
    while (true) {
        if (machine_ended()) return std::unexpected(give_notice(ended_too_early()));
        if (!wanted()) return false;
        // QEMU 7.2 does not come back from a connection that breaks while it takes up the migration again.
        if (const Result<void> waits = wait_for_pause(); !waits && !machine_ended()) {
            if (!wanted()) return false;
            return std::unexpected(give_notice(waits.error().message()));
        }
        const Result<void> connected = connect_again();
        if (connected) {
            reporter_.message(fmt::format("Connected to {} again: the zone goes on.", record_.peer));
            return true;
        }
        if (connected.error().message() != said) run_.log().error("{}", connected.error().message());
        said = connected.error().message();
        if (!wait_readable(run_.interrupt().fd(), Deadline::after(kTryAgain))) continue;
        KZ_TRY(const bool give_up, interrupted());
        if (give_up) return std::unexpected(given_up());
    }
}

// Where host data cannot be read nothing is known, and the memory stays.
bool PostCopySource::wanted() {
    const Result<storage::HostData> data = run_.disk().read();
    if (!data) return true;
    has_everything_ = !data->handover && data->state == zone::state_name(zone::State::running);
    return data->handover && data->handover->migration_id == record_.migration_id && data->owner &&
           data->owner->same_host(data->handover->to);
}

Result<void> PostCopySource::connect_again() {
    KZ_TRY(const migrate::Session recovery, migrate::recovery_session(record_.session));
    const int cancel = run_.interrupt().fd();
    KZ_TRY(std::shared_ptr<migrate::SealedLink> link,
           connect_link(record_.route, recovery, record_.cipher, cancel));
    KZ_CHECK(link->say(migrate::kWordResume, Deadline::after(kWordTime), cancel));
    KZ_TRY(const std::string word, link->hear(Deadline::after(kWordTime), cancel));
    if (word != migrate::kWordReady) return fail(Errc::protocol, "{} is not ready", record_.peer);
    return start_again(std::move(link));
}

Result<void> PostCopySource::wait_for_pause() {
    const Result<qemu::MigrationState> state = qemu::wait_for_status(
        run_.machine()->qmp(), {qemu::MigrationStatus::postcopy_paused}, Deadline::after(kPauseTime));
    if (state && state->status == qemu::MigrationStatus::postcopy_paused) return {};
    return fail(Errc::wrong_state, "QEMU on {} does not take the migration up again ({})",
                run_.host().as_owner().host_name,
                state ? qemu::migration_status_name(state->status) : state.error().message());
}

Result<void> PostCopySource::start_again(std::shared_ptr<migrate::SealedLink> link) {
    const Path socket = run_.machine()->socket_folder() / "out.sock";
    KZ_TRY(UniqueFd listener, unix_listen(socket, 0600));
    KZ_CHECK(run_.machine()->give_to_machine(socket));
    KZ_TRY(pumps_, migrate::PumpGroup::create({}, limiter_));
    pumps_->accept_channels(std::move(listener), 1,
                            carrying_body(std::move(link), migrate::SealedLink::Side::source),
                            migrate::PumpGroup::Leftover::held);
    const auto resumed = [&]() -> Result<void> {
        KZ_CHECK(qemu::resume_outgoing(run_.machine()->qmp(), "unix:out.sock"));
        const Deadline deadline = Deadline::after(kResumeTime);
        while (!deadline.passed()) {
            const Result<qemu::MigrationState> state = qemu::wait_for_status(
                run_.machine()->qmp(),
                {qemu::MigrationStatus::postcopy_active, qemu::MigrationStatus::postcopy_paused},
                deadline.earlier(Deadline::after(kLook)));
            if (state && state->status != qemu::MigrationStatus::postcopy_paused) return {};
            if (const std::optional<Error> failure = pumps_->failure()) return std::unexpected(*failure);
            if (!state && state.error().code() != Errc::timeout) return std::unexpected(state.error());
        }
        return fail(Errc::timeout, "QEMU does not go on");
    }();
    if (!resumed) pumps_.reset();
    return resumed;
}

Error PostCopySource::given_up() const {
    return Error(Errc::cancelled,
                 fmt::format("what was still here of the zone's memory was given up; the zone is at {}",
                             record_.peer));
}

std::string PostCopySource::ended_too_early() const {
    return "the zone's machine on " + run_.host().as_owner().host_name + " ended before all memory had moved";
}

// Tells the destination that it waits in vain.
Error PostCopySource::give_notice(const std::string& reason) {
    const Error lost(Errc::io,
                     fmt::format("{}: what was in the zone's memory is lost; {} halts the zone, which boots "
                                 "afresh there",
                                 reason, record_.peer));
    reporter_.message(lost.message());
    const Result<migrate::Session> recovery = migrate::recovery_session(record_.session);
    for (const Deadline deadline = Deadline::after(kNoticeTime);
         recovery && !deadline.passed() && wanted();) {
        const Result<std::shared_ptr<migrate::SealedLink>> link =
            connect_link(record_.route, *recovery, record_.cipher, -1);
        if (link && (*link)->say(std::string(migrate::kWordLost) + reason, Deadline::after(kWordTime))) break;
        [[maybe_unused]] const auto moment = wait_readable(-1, Deadline::after(kTryAgain));
    }
    return lost;
}

Result<void> end_departed(ZoneRun& run) {
    run.drop_machine();
    run.console().notice("halted");
    if (const Result<void> removed = remove_post_copy(run.paths(), run.zone()); !removed)
        run.log().error("{}", removed.error().message());
    KZ_CHECK(run.set_down(zone::State::configured, {}));
    run.finish();
    return {};
}

Result<void> adopt_departed(ZoneRun& run, const store::RuntimeRecord& runtime, PostCopyRecord record) {
    KZ_CHECK(run.adopt_machine(runtime));
    go_on_serving(run, std::move(record));
    return {};
}

std::optional<PostCopyRecord> departed_with_memory_here(const ZoneRun& run, const ProcessIdentity& machine,
                                                        const storage::HostData& data) {
    std::optional<PostCopyRecord> record =
        load_post_copy(run.paths(), run.zone(), machine, PostCopyRecord::Side::source);
    const bool serves = record && data.handover && data.handover->phase == storage::kPostCopyPhase &&
                        data.handover->migration_id == record->migration_id &&
                        data.owner == data.handover->to;
    return serves ? std::move(record) : std::nullopt;
}

void go_on_serving(ZoneRun& run, PostCopyRecord record) {
    const auto shared = std::make_shared<PostCopyRecord>(std::move(record));
    run.serve_departed([&run, shared] {
        PostCopySource source(run, shared->clone(), nullptr,
                              {[&run](const std::string& text) { run.log().info("{}", text); },
                               [](const qemu::MigrationState&, const stream::PumpTotals&) {}});
        const Result<stream::PumpTotals> served = source.serve(nullptr);
        run.log().info("{}",
                       served ? "all of the zone's memory is at " + shared->peer : served.error().message());
        if (const Result<void> ended = end_departed(run); !ended)
            run.log().error("{}", ended.error().message());
    });
}

}  // namespace kz::monitor
