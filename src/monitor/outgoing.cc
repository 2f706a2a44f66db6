#include "monitor/outgoing.h"

#include <sys/socket.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "crypto/random.h"
#include "migrate/checks.h"
#include "migrate/checks_forecast.h"
#include "migrate/checks_link.h"
#include "migrate/convergence.h"
#include "migrate/image_machine.h"
#include "migrate/offer.h"
#include "migrate/offer_gather.h"
#include "migrate/peer.h"
#include "migrate/pump_group.h"
#include "monitor/carried_stream.h"
#include "monitor/grace.h"
#include "monitor/move_speed.h"
#include "monitor/peer_access.h"
#include "monitor/post_copy_source.h"
#include "monitor/stream_channels.h"
#include "os/memory.h"
#include "os/socket.h"
#include "qemu/migration.h"
#include "store/journal.h"
#include "zone/export.h"

namespace kz::monitor {
namespace {

using migrate::Acceptance;
using migrate::Offer;
using migrate::Session;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kCallTime{60};
// A destination that does not answer cleans up by itself.
constexpr seconds kUndoTime{15};
// What a step of the other host may still take when the user has given up.
constexpr seconds kStepGrace{10};
constexpr seconds kLoadTime{120};
// The last pages take as long as they take, as long as some arrive.
constexpr seconds kCutoverStall{60};
constexpr seconds kSettleTime{60};
constexpr milliseconds kProgressStep{500};
// A destination whose connection has ended is gone before.
constexpr seconds kUnlockTime{30};
constexpr milliseconds kUnlockStep{200};
constexpr std::string_view kGoesOn = "the zone goes on running on this host";
constexpr std::uint64_t kUnlimited = 1ULL << 40;
// What QEMU is told when the switch is to come whatever it takes.
constexpr milliseconds kForcedPause{600'000};
constexpr std::uint64_t kLongestPauseMs = 60'000;
constexpr std::uint64_t kLongestDeadlineS = 7 * 24 * 3600;
// A message of the control socket at the destination carries it, in base64.
constexpr std::size_t kConsoleCarried = 24 * 1024;

struct Request {
    migrate::PeerAddress destination;
    crypto::Cipher cipher = crypto::kDefaultCipher;
    unsigned connections = 0;
    bool dry_run = false;
    migrate::MovePolicy policy;
    std::uint64_t bandwidth = 0;  // bytes per second; 0: no limit
};

Result<migrate::MovePolicy> read_policy(const Json& json) {
    migrate::MovePolicy policy;
    KZ_TRY(const auto pause, json_optional_u64(json, "max_pause_ms"));
    if (pause && *pause > 0) policy.max_pause = milliseconds(std::min(*pause, kLongestPauseMs));
    KZ_TRY(const auto deadline, json_optional_u64(json, "deadline_s"));
    if (deadline && *deadline > 0) policy.deadline = seconds(std::min(*deadline, kLongestDeadlineS));
    KZ_TRY(const auto action, json_optional_text(json, "on_deadline"));
    if (action.value_or("cancel") == "force") policy.on_deadline = migrate::OnDeadline::force;
    return policy;
}

Result<Request> read_request(const Json& json) {
    Request request;
    KZ_TRY(const std::string destination, json_text(json, "destination"));
    KZ_TRY(request.destination, migrate::PeerAddress::parse(destination));
    KZ_TRY(const std::string cipher, json_text(json, "cipher"));
    KZ_TRY(request.cipher, crypto::parse_cipher(cipher));
    KZ_TRY(const std::uint64_t connections, json_u64(json, "connections"));
    request.connections =
        static_cast<unsigned>(std::min<std::uint64_t>(connections, migrate::kMaxChannels - 1));
    KZ_TRY(request.dry_run, json_bool(json, "dry_run"));
    KZ_TRY(request.policy, read_policy(json));
    if (json.contains("post_copy")) {
        KZ_TRY(request.policy.post_copy, json_bool(json, "post_copy"));
    }
    KZ_TRY(const auto bandwidth, json_optional_u64(json, "bandwidth_bytes"));
    request.bandwidth = bandwidth.value_or(0);
    return request;
}

// To one, with two digits.
double compression(const stream::PumpTotals& totals) {
    if (totals.sealed_bytes == 0) return 1;
    const double ratio = static_cast<double>(totals.plain_bytes) / static_cast<double>(totals.sealed_bytes);
    return std::round(ratio * 100) / 100;
}

class Outgoing {
  public:
    Outgoing(ZoneRun& run, Request request, MoveLimits& limits, Caller& caller, PeerAccess access)
        : run_(run),
          request_(std::move(request)),
          caller_(caller),
          access_(std::move(access)),
          limits_(limits, request_.bandwidth),
          target_(fmt::format("/api/1/zones/{}/incoming", run.zone())) {}

    Result<Json> run();

  private:
    Result<void> prepare();
    Result<void> make_offer();
    Result<void> check();
    Result<void> try_link();
    Json foresee();
    Result<void> move_memory();
    Result<void> start_stream();
    Result<void> wait_for_switchover();
    Result<void> start_two_way_stream(UniqueFd listener);
    Result<void> wait_for_last_pages();
    Result<bool> wait_for_post_copy();
    Result<void> confirm_loaded();
    Result<Json> serve_memory(const Result<Json>& resumed);
    migrate::MoveSample sample(const qemu::MigrationState& now) const;
    void show_progress(const qemu::MigrationState& now);
    void show_progress(const qemu::MigrationState& now, const stream::PumpTotals& totals);
    Result<void> steer(const qemu::MigrationState& now);
    enum class CommitOutcome { done = 1, not_done, unknown };
    struct Commit {
        CommitOutcome outcome;
        std::optional<Error> problem;
    };
    Commit commit();
    Result<Json> finish();
    Error roll_back(Error cause);
    void leave_destination();
    std::string go_on_here();
    Json dry_run_end();
    Result<Json> call(std::string_view method, std::string_view step, const Json& body, milliseconds timeout,
                      bool cancellable = true);
    Json carried_console() const;
    Json report() const;
    void note_departure() const;

    ZoneRun& run_;
    Request request_;
    Caller& caller_;
    PeerAccess access_;
    MoveLimits::Use limits_;
    migrate::Peer& peer_ = access_.peer;
    std::string target_;
    std::string phase_ = "connect";
    Offer offer_;
    Acceptance acceptance_;
    Session session_;
    unsigned connections_ = 1;
    std::unique_ptr<migrate::PumpGroup> pumps_;
    bool offered_ = false;
    migrate::LinkSpeed link_;
    bool outgoing_ = false;
    bool announced_ = false;
    bool streamed_ = false;   // QEMU has sent everything, or all but the memory that is to follow
    bool post_copy_ = false;  // the guest is to run there before it has all its memory
    stream::PumpTotals totals_;
    MoveSpeed speed_;
    steady_clock::time_point begun_ = steady_clock::now();
    steady_clock::time_point paused_;
    migrate::Convergence convergence_{request_.policy};
    steady_clock::time_point moving_;
    milliseconds pause_{0};
    milliseconds total_{0};
    milliseconds post_copy_time_{0};  // from when the zone ran there until it had all its memory
};

// One that the user gives up is let come to its end, for a while: then what it has done can be undone.
Result<Json> Outgoing::call(std::string_view method, std::string_view step, const Json& body,
                            milliseconds timeout, bool cancellable) {
    phase_ = step.empty() ? "offer" : step;
    const std::string target = target_ + std::string(step.empty() ? "" : "/") + std::string(step);
    if (!cancellable) return peer_.call(method, target, body, timeout);
    const int given_up = run_.interrupt().fd();
    KZ_TRY(const std::unique_ptr<Grace> grace, Grace::begin(given_up, kStepGrace));
    Result<Json> answer = peer_.call(method, target, body, timeout, grace->fd());
    if (answer && wait_readable(given_up, Deadline::after(milliseconds(0))))
        return fail(Errc::cancelled, "cancelled");
    return answer;
}

Result<void> Outgoing::make_offer() {
    KZ_TRY(const Bytes id, crypto::random_bytes(16));
    offer_.migration_id = to_hex(id);
    offer_.dry_run = request_.dry_run;
    offer_.post_copy = request_.policy.post_copy;
    offer_.zone_uuid = run_.uuid();
    KZ_TRY(const zone::Config stored, run_.registry().load_config(run_.zone()));
    offer_.configuration = zone::export_text(stored, /*with_secrets=*/true);
    offer_.live = migrate::live_part(run_.config(), stored);
    offer_.shape = run_.shape();
    offer_.source = run_.host().as_owner();
    offer_.machine_type = run_.runtime().machine_type;
    offer_.accel = json_text(run_.runtime().details, "accel").value_or("");
    offer_.cpus = std::max(1U, std::thread::hardware_concurrency());
    offer_.cipher = request_.cipher;
    migrate::gather_host(run_.config(), offer_.facts);
    offer_.facts.qemu_version = run_.runtime().qemu_version;
    KZ_TRY_CONTEXT(offer_.facts.cpu, qemu::ask_cpu_models(run_.machine()->qmp(), offer_.accel), "source");
    return migrate::gather_storage({run_.config(), run_.paths(), run_.disk()}, offer_.facts);
}

// A connection to port 8102 as the memory will need it; a dry run measures it too.
Result<void> Outgoing::try_link() {
    KZ_TRY(const Json given, call("POST", "link", Json::object(), kCallTime));
    KZ_TRY(const Session session, Session::from_json(given));
    KZ_TRY(const Transport transport, connect_transport(access_.memory, session, 1, run_.interrupt().fd()));
    KZ_TRY(link_,
           migrate::measure_link(transport.front(), session, request_.cipher,
                                 request_.dry_run ? migrate::kMeasureBytes : 0, run_.interrupt().fd()));
    return {};
}

// CHECK. What is wrong is said all at once.
Result<void> Outgoing::check() {
    migrate::Answer answer;
    answer.times.sent_ms = migrate::utc_milliseconds();
    KZ_TRY(const Json answered, call("POST", "", offer_.to_json(), kCallTime));
    answer.times.answered_ms = migrate::utc_milliseconds();
    KZ_TRY(acceptance_, Acceptance::from_json(answered));
    answer.acceptance = acceptance_;
    if (const Result<void> tried = try_link(); !tried) {
        if (tried.error().code() == Errc::cancelled) return tried;
        answer.errors.push_back(tried.error().message());
    }
    return migrate::settle_checks({run_.config(), run_.paths(), run_.disk()}, offer_, answer,
                                  [this](const std::string& text) { caller_.message(text); });
}

// CONNECT has been done; CHECK, CONFIGURE, ATTACH, BOOT.
Result<void> Outgoing::prepare() {
    KZ_CHECK(make_offer());
    offered_ = true;
    KZ_CHECK(check());
    // QEMU's memory channels and post-copy exclude each other.
    if (!request_.policy.post_copy)
        connections_ = migrate::memory_connections(run_.config().memory_bytes(), offer_.cpus,
                                                   acceptance_.cpus, request_.connections);
    caller_.message(acceptance_.has_configuration ? "Using existing zone configuration on destination."
                                                  : "Importing zone configuration.");
    KZ_CHECK(call("POST", "configure", Json::object(), kCallTime));
    caller_.message("Attaching zone.");
    KZ_CHECK(call("POST", "attach", Json::object(), kCallTime));
    caller_.message("Booting zone in 'migrating-in' mode.");
    KZ_TRY(const Json session, call("POST", "boot", {{"connections", connections_}}, kCallTime));
    caller_.message("Checking migration compatibility.");
    KZ_TRY(session_, Session::from_json(session));
    return {};
}

Result<void> Outgoing::start_stream() {
    qemu::Qmp& qmp = run_.machine()->qmp();
    KZ_TRY(pumps_, migrate::PumpGroup::create({}, &limits_.limiter()));
    const Path socket = run_.machine()->socket_folder() / "out.sock";
    KZ_TRY(UniqueFd listener, unix_listen(socket, 0600));
    KZ_CHECK(run_.machine()->give_to_machine(socket));
    if (request_.policy.post_copy) return start_two_way_stream(std::move(listener));
    const unsigned channels = migrate::machine_channels(connections_);
    KZ_TRY(Transport transport, connect_transport(access_.memory, session_, channels, run_.interrupt().fd()));
    pumps_->accept_channels(std::move(listener), channels,
                            sealing_body(std::move(transport), session_, request_.cipher));
    KZ_CHECK(qemu::set_up_outgoing(qmp, {.channels = channels - 1,
                                         .downtime_limit = convergence_.pause_limit(),
                                         .pause_before_switchover = true,
                                         .auto_converge = true}));
    outgoing_ = true;
    return qemu::start_outgoing(qmp, "unix:out.sock");
}

Result<void> Outgoing::start_two_way_stream(UniqueFd listener) {
    qemu::Qmp& qmp = run_.machine()->qmp();
    KZ_TRY(std::shared_ptr<migrate::SealedLink> link,
           connect_link(access_.memory, session_, request_.cipher, run_.interrupt().fd()));
    pumps_->accept_channels(std::move(listener), 1,
                            carrying_body(std::move(link), migrate::SealedLink::Side::source),
                            migrate::PumpGroup::Leftover::held);
    KZ_CHECK(qemu::set_up_outgoing(qmp, {.channels = 0,
                                         .downtime_limit = convergence_.pause_limit(),
                                         .pause_before_switchover = true,
                                         .post_copy = true}));
    outgoing_ = true;
    return qemu::start_outgoing(qmp, "unix:out.sock");
}

// Shows how it goes until the guest has been stopped for the last pages.
Result<void> Outgoing::wait_for_switchover() {
    qemu::Qmp& qmp = run_.machine()->qmp();
    while (true) {
        const Result<qemu::MigrationState> state =
            qemu::wait_for_status(qmp, {qemu::MigrationStatus::pre_switchover},
                                  Deadline::after(kProgressStep), run_.interrupt().fd());
        if (!state && state.error().code() != Errc::timeout) return std::unexpected(state.error());
        if (state && state->status == qemu::MigrationStatus::pre_switchover) return {};
        if (state) {
            if (const auto failure = pumps_->failure()) return std::unexpected(*failure);
            return fail(Errc::io, "QEMU: {}", state->error.empty() ? "the migration ended" : state->error);
        }
        if (const auto failure = pumps_->failure()) return std::unexpected(*failure);
        // Nothing is due on this connection: what can be read is its end.
        if (wait_readable(peer_.fd(), Deadline::after(milliseconds(0))))
            return fail(Errc::unavailable, "{} ended the connection", peer_.host());
        KZ_TRY(const qemu::MigrationState now, qemu::query_migration(qmp));
        show_progress(now);
        KZ_CHECK(steer(now));
    }
}

// The guest stands still. A switch that was forced may have much to send, at the rate that is allowed.
Result<void> Outgoing::wait_for_last_pages() {
    qemu::Qmp& qmp = run_.machine()->qmp();
    std::uint64_t sent = 0;
    Deadline patience = Deadline::after(kCutoverStall);
    while (true) {
        const Result<qemu::MigrationState> ended =
            wait_for_stream(qmp, *pumps_, Deadline::after(kProgressStep), run_.interrupt().fd());
        if (ended) return {};
        if (ended.error().code() != Errc::timeout || pumps_->failure() || patience.passed())
            return std::unexpected(ended.error());
        KZ_TRY(const qemu::MigrationState now, qemu::query_migration(qmp));
        show_progress(now);
        const std::uint64_t sent_now = pumps_->totals().sealed_bytes;
        if (sent_now != sent) patience = Deadline::after(kCutoverStall);
        sent = sent_now;
    }
}

// After the switch was asked for, or was not: true when memory follows later.
Result<bool> Outgoing::wait_for_post_copy() {
    const Deadline deadline = Deadline::after(kCutoverStall);
    while (true) {
        const Result<qemu::MigrationState> state =
            qemu::wait_for_status(run_.machine()->qmp(), {qemu::MigrationStatus::postcopy_active},
                                  deadline.earlier(Deadline::after(kProgressStep)), run_.interrupt().fd());
        if (state) return state->status == qemu::MigrationStatus::postcopy_active;
        if (const auto failure = pumps_->failure()) return std::unexpected(*failure);
        if (state.error().code() != Errc::timeout || deadline.passed()) return std::unexpected(state.error());
    }
}

// The destination's word that it could run. What it will find if this monitor dies is written down before.
Result<void> Outgoing::confirm_loaded() {
    KZ_TRY(const Json loaded, call("POST", "loaded", Json::object(), kLoadTime));
    const bool follows = loaded.contains("post_copy") && json_bool(loaded, "post_copy").value_or(false);
    if (follows && !post_copy_)
        return fail(Errc::protocol, "the two hosts do not agree on whether memory is still to follow");
    if (!follows && std::exchange(post_copy_, false)) {
        // The little that was left has come meanwhile.
        KZ_CHECK(wait_for_last_pages());
        KZ_TRY(totals_, pumps_->join());
    }
    if (!post_copy_) return {};
    if (const auto failure = pumps_->failure()) return std::unexpected(*failure);
    return save_post_copy(run_.paths(), run_.zone(),
                          {.side = PostCopyRecord::Side::source,
                           .machine = run_.machine()->process().identity(),
                           .migration_id = offer_.migration_id,
                           .peer = acceptance_.destination.host_name,
                           .route = access_.memory,
                           .cipher = request_.cipher,
                           .session = {session_.id, session_.secret.clone(), session_.port}});
}

migrate::MoveSample Outgoing::sample(const qemu::MigrationState& now) const {
    const auto by_qemu = static_cast<std::uint64_t>(now.megabits_per_second * 1e6 / 8);
    return {.elapsed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - moving_),
            .iteration = now.iteration,
            .remaining = now.remaining,
            .bytes_per_second = speed_.plain() != 0 ? speed_.plain() : by_qemu,
            .dirty_bytes_per_second = now.dirty_pages_per_second * now.page_size,
            .throttle_percent = now.throttle_percent};
}

void Outgoing::show_progress(const qemu::MigrationState& now) {
    show_progress(now, pumps_->totals());
}

void Outgoing::show_progress(const qemu::MigrationState& now, const stream::PumpTotals& totals) {
    speed_.add(totals, steady_clock::now());
    const migrate::MoveSample known = sample(now);
    Json figures{{"transferred", totals.sealed_bytes},
                 {"bytes_per_second", speed_.sealed()},
                 {"connection_bytes", pumps_ ? pumps_->channel_bytes() : std::vector{totals.sealed_bytes}},
                 {"post_copy", post_copy_},
                 {"memory_bytes_per_second", known.bytes_per_second},
                 {"remaining", now.remaining},
                 {"total", now.total},
                 {"iteration", now.iteration},
                 {"dirty_bytes_per_second", known.dirty_bytes_per_second},
                 {"throttle_percent", now.throttle_percent},
                 {"expected_pause_ms", migrate::implied_pause(known).count()},
                 {"bandwidth_bytes", limits_.limiter().rate()}};
    if (const auto left = migrate::time_left(known)) figures["time_left_ms"] = left->count();
    caller_.progress(figures);
}

// What follows from how it goes: a longer pause, the switch by force, or the end of the attempt.
Result<void> Outgoing::steer(const qemu::MigrationState& now) {
    using Action = migrate::MoveVerdict::Action;
    const migrate::MoveVerdict verdict = convergence_.judge(sample(now));
    if (!verdict.note.empty()) caller_.message(verdict.note);
    qemu::Qmp& qmp = run_.machine()->qmp();
    switch (verdict.action) {
        case Action::go_on:
            return {};
        case Action::allow_pause:
            return qemu::set_migration_limits(qmp, kUnlimited, verdict.pause);
        case Action::force:
            caller_.message(verdict.reason + "; forcing the switch.");
            return qemu::set_migration_limits(qmp, kUnlimited, kForcedPause);
        case Action::post_copy:
            caller_.message(
                fmt::format("Switching to post-copy: {}. The zone runs on {} before all its memory is there.",
                            verdict.reason, acceptance_.destination.host_name));
            return qemu::start_post_copy(qmp);
        case Action::give_up:
            return fail(Errc::timeout, "{}", verdict.reason);
    }
    return {};
}

// MIGRATE and SUSPEND.
Result<void> Outgoing::move_memory() {
    phase_ = "memory";
    announced_ = true;
    KZ_TRY(storage::HostData data, run_.disk().read_owned(run_.uuid()));
    data.handover = storage::Handover{offer_.migration_id, acceptance_.destination, "memory"};
    KZ_CHECK_CONTEXT(run_.disk().write(std::move(data)), "host data");
    caller_.message("Starting migration.");
    KZ_CHECK(run_.set_runtime_state(zone::State::running, {zone::Aux::migrating_out}));
    moving_ = steady_clock::now();
    if (request_.cipher == crypto::Cipher::none)
        run_.log().info("migration: memory goes to {} without encryption", peer_.host());
    KZ_CHECK(start_stream());
    KZ_CHECK(wait_for_switchover());
    paused_ = steady_clock::now();
    phase_ = "suspend";
    caller_.message("Suspending zone on source host.");
    qemu::Qmp& qmp = run_.machine()->qmp();
    KZ_CHECK(qemu::continue_after_pause(qmp));
    if (request_.policy.post_copy) {
        KZ_TRY(post_copy_, wait_for_post_copy());
    }
    streamed_ = post_copy_;
    if (!post_copy_) {
        KZ_CHECK(wait_for_last_pages());
        streamed_ = true;
        KZ_TRY(totals_, pumps_->join());
    }
    caller_.message("Waiting for migration to complete.");
    return confirm_loaded();
}

// The commit point. Where the outcome of its write is not known, the disk alone tells.
Outgoing::Commit Outgoing::commit() {
    phase_ = "commit";
    // From here on it is too late to cancel.
    run_.interrupt().reset();
    run_.guest_stopped();
    run_.keeper()->rest();
    const Result<void> written = run_.disk().hand_to(
        acceptance_.destination, "running", post_copy_ ? storage::kPostCopyPhase : std::string_view());
    if (written) return {CommitOutcome::done, {}};
    Result<storage::HostData> settled = run_.settle_host_data(kSettleTime);
    // A machine whose memory may be needed at either host is kept until the storage says at which.
    while (!settled && post_copy_ && !run_.machine_lost)
        settled = run_.settle_host_data(kSettleTime);
    if (settled && settled->owner == acceptance_.destination) return {CommitOutcome::done, {}};
    if (settled) return {CommitOutcome::not_done, written.error()};
    return {CommitOutcome::unknown,
            Error(Errc::unavailable,
                  fmt::format("the commit could not be written ({}) nor host data be read ({}): the zone "
                              "stands still on both hosts until the storage answers; it then goes on where "
                              "host data say",
                              written.error().message(), settled.error().message()))};
}

// The end of the console's history, from the start of a line on.
Json Outgoing::carried_console() const {
    const Console::Snapshot console = run_.console().snapshot();
    ByteView carried = ByteView(console.history).last(std::min(console.history.size(), kConsoleCarried));
    const auto line_end = std::ranges::find(carried, Byte{'\n'});
    if (carried.size() < console.history.size() && line_end != carried.end()) {
        carried = carried.subspan(static_cast<std::size_t>(line_end - carried.begin()) + 1);
    }
    return {{"console", to_base64(carried)}, {"console_end", console.end}};
}

Json Outgoing::report() const {
    Json facts{{"bytes", totals_.sealed_bytes},
               {"memory_bytes", totals_.plain_bytes},
               {"compression", compression(totals_)},
               {"pause_ms", pause_.count()},
               {"total_ms", total_.count()},
               {"cipher", crypto::cipher_name(request_.cipher)},
               {"connections", connections_},
               {"connection_bytes", post_copy_ ? std::vector{totals_.sealed_bytes} : pumps_->channel_bytes()},
               {"peer", acceptance_.destination.host_name},
               {"transport", migrate::scheme_name(request_.destination.scheme)},
               {"fingerprint", peer_.fingerprint()}};
    if (post_copy_) facts["post_copy_ms"] = post_copy_time_.count();
    return facts;
}

void Outgoing::note_departure() const {
    Json facts = report();
    facts["direction"] = "out";
    if (const auto noted = store::append_journal(run_.paths(), run_.zone(), "live", std::move(facts)); !noted)
        run_.log().error("journal: {}", noted.error().message());
}

// RESUME and DETACH: whatever happens now, the zone is the destination's.
Result<Json> Outgoing::finish() {
    const Result<Json> resumed = call("POST", "resume", carried_console(), kCallTime, /*cancellable=*/false);
    const auto now = steady_clock::now();
    pause_ = std::chrono::duration_cast<milliseconds>(now - paused_);
    total_ = std::chrono::duration_cast<milliseconds>(now - begun_);
    if (post_copy_) return serve_memory(resumed);
    if (resumed) caller_.message("Migration successful.");
    caller_.message("Halting and detaching zone on source host.");
    run_.end_machine("the zone has moved to " + acceptance_.destination.host_name);
    run_.console().notice("halted");
    KZ_CHECK(run_.set_down(zone::State::configured, {}));
    note_departure();
    run_.finish();
    if (!resumed) {
        return fail(resumed.error().code(),
                    "the zone belongs to {} now, but that host did not confirm that it runs there: {}\nLook "
                    "there with: zoneadm -z {} list -s",
                    acceptance_.destination.host_name, resumed.error().message(), run_.zone());
    }
    return report();
}

// Post-copy: the zone runs there, or will as soon as that host has read host data; its memory follows.
Result<Json> Outgoing::serve_memory(const Result<Json>& resumed) {
    const auto since = steady_clock::now();
    phase_ = "post-copy";
    if (resumed) {
        caller_.message(fmt::format("The zone runs on {}; the rest of its memory follows.",
                                    acceptance_.destination.host_name));
    } else {
        run_.log().error("the destination did not confirm that the zone runs: {}", resumed.error().message());
    }
    std::optional<PostCopyRecord> record = load_post_copy(
        run_.paths(), run_.zone(), run_.machine()->process().identity(), PostCopyRecord::Side::source);
    if (!record) return fail(Errc::internal, "what was written down of the migration is gone");
    PostCopySource source(run_, *std::move(record), &limits_.limiter(),
                          {[this](const std::string& text) {
                               caller_.message(text);
                               run_.log().info("{}", text);
                           },
                           [this](const qemu::MigrationState& now, const stream::PumpTotals& sent) {
                               show_progress(now, sent);
                           }});
    const Result<stream::PumpTotals> served = source.serve(std::move(pumps_));
    const auto now = steady_clock::now();
    post_copy_time_ = std::chrono::duration_cast<milliseconds>(now - since);
    total_ = std::chrono::duration_cast<milliseconds>(now - begun_);
    if (served) caller_.message("Migration successful.");
    caller_.message("Halting and detaching zone on source host.");
    KZ_CHECK(end_departed(run_));
    if (!served) return std::unexpected(served.error());
    totals_ = *served;
    note_departure();
    return report();
}

// What there is of the zone at the destination is undone, or dropped with the connection.
void Outgoing::leave_destination() {
    if (!std::exchange(offered_, false)) return;
    const Result<Json> undone = call("DELETE", "", nullptr, kUndoTime, /*cancellable=*/false);
    if (undone) return;
    run_.log().error("cleaning up on the destination: {}", undone.error().message());
    ::shutdown(peer_.fd(), SHUT_RDWR);
}

// A machine that has loaded everything has the disk's locks until it is gone: the guest cannot go on here
// before that.
std::string Outgoing::go_on_here() {
    if (!streamed_) return run_.let_guest_go_on();
    if (run_.run_guest()) return std::string(kGoesOn);
    leave_destination();
    for (const Deadline patience = Deadline::after(kUnlockTime); !patience.passed();) {
        if (run_.run_guest()) return std::string(kGoesOn);
        std::this_thread::sleep_for(kUnlockStep);
    }
    return run_.let_guest_go_on();
}

Error Outgoing::roll_back(Error cause) {
    caller_.message("Cleaning up.");
    // What undoes must not be cancelled by what cancelled the migration.
    run_.interrupt().reset();
    if (pumps_ && run_.machine() != nullptr && outgoing_) stop_sending(run_.machine()->qmp(), *pumps_);
    pumps_.reset();
    // The guest first: the other host may be slow to answer, or gone.
    std::string outcome(kGoesOn);
    if (announced_) {
        if (const Result<void> written = run_.write_host_state("running", std::nullopt); !written)
            run_.log().error("host data: {}", written.error().message());
        outcome = go_on_here();
    }
    leave_destination();
    return migrate::migration_failed(std::move(cause), outcome);
}

// What a dry run says of the real one.
Json Outgoing::foresee() {
    migrate::ForecastFacts facts{.memory_bytes = run_.config().memory_bytes(),
                                 .link_bytes_per_second = link_.bytes_per_second(),
                                 .allowed_bytes_per_second = request_.bandwidth,
                                 .max_pause = request_.policy.max_pause};
    if (const auto touched = resident_bytes(run_.machine()->process().identity().pid))
        facts.memory_bytes = std::min(facts.memory_bytes, *touched);
    auto changes = migrate::measure_dirty_rate(run_.machine()->qmp(), run_.config().memory_bytes(),
                                               run_.interrupt().fd());
    if (changes)
        facts.dirty_bytes_per_second = *changes;
    else
        run_.log().error("measuring how fast memory changes: {}", changes.error().message());
    const migrate::Forecast expected = migrate::forecast(facts);
    caller_.message(migrate::forecast_text(facts, expected));
    return migrate::forecast_json(facts, expected);
}

Json Outgoing::dry_run_end() {
    Json expected = foresee();
    caller_.message("Cleaning up.");
    const Result<Json> undone = call("DELETE", "", nullptr, kUndoTime, /*cancellable=*/false);
    if (!undone) run_.log().error("cleaning up on the destination: {}", undone.error().message());
    caller_.message("Dry-run migration successful.");
    return {{"dry_run", true}, {"connections", connections_}, {"forecast", std::move(expected)}};
}

Result<Json> Outgoing::run() {
    if (const Result<void> prepared = prepare(); !prepared)
        return std::unexpected(roll_back(prepared.error()));
    if (request_.dry_run) return dry_run_end();
    if (const Result<void> moved = move_memory(); !moved) return std::unexpected(roll_back(moved.error()));
    Commit committed = commit();
    switch (committed.outcome) {
        case CommitOutcome::done:
            break;
        case CommitOutcome::not_done:
            return std::unexpected(roll_back(*committed.problem));
        case CommitOutcome::unknown:
            // Neither side may run on a guess.
            run_.go_on_when_settled();
            KZ_CHECK(run_.set_runtime_state(zone::State::running, {}));
            return std::unexpected(*committed.problem);
    }
    return finish();
}

}  // namespace

Result<Json> migrate_out(ZoneRun& run, const Json& json, MoveLimits& limits, Caller& caller) {
    KZ_TRY(Request request, read_request(json));
    KZ_TRY(PeerAccess access,
           open_peer(run.paths(), request.destination, json, caller, run.interrupt().fd()));
    Outgoing outgoing(run, std::move(request), limits, caller, std::move(access));
    return outgoing.run();
}

}  // namespace kz::monitor
