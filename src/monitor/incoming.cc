#include "monitor/incoming.h"

#include "migrate/image_machine.h"
#include "monitor/carried_stream.h"
#include "monitor/stream_channels.h"
#include "qemu/migration.h"
#include "qemu/postcopy.h"
#include "store/journal.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kSocketTime{5};
constexpr std::chrono::seconds kFirstConnection{60};
constexpr std::chrono::seconds kLoadTime{120};
constexpr std::chrono::seconds kAnnounceTime{60};
constexpr std::chrono::milliseconds kWatchStep{250};
constexpr std::chrono::milliseconds kLoadLook{5};
constexpr std::uint64_t kMaxConnections = migrate::kMaxChannels - 1;

// All channels of the session, by number.
Result<Transport> receive_transport(migrate::SessionRegistration& registration, unsigned channels,
                                    int cancel_fd) {
    Transport transport(channels);
    for (unsigned received = 0; received < channels; ++received) {
        KZ_TRY(migrate::ChannelConnection connection,
               registration.next(Deadline::after(kFirstConnection), cancel_fd));
        if (connection.channel >= channels)
            return fail(Errc::protocol, "a memory connection for channel {} of {}", connection.channel,
                        channels);
        const unsigned channel = connection.channel;
        transport[channel] = std::move(connection);
    }
    return transport;
}

}  // namespace

Incoming::~Incoming() {
    if (pumps_) pumps_->cancel();
}

Result<Json> Incoming::handle(const std::string& name, const Json& request) {
    if (name == "incoming-boot") {
        if (run_.machine() != nullptr) return fail(Errc::wrong_state, "the zone is already running");
        Result<Json> booted = boot(request);
        // A monitor that waits for nothing shall not stay.
        if (!booted) KZ_CHECK(cancel());
        return booted;
    }
    if (run_.machine() == nullptr || migration_id_.empty())
        return fail(Errc::wrong_state, "no migration to this host is under way");
    if (name == "incoming-loaded") return loaded();
    if (name == "incoming-resume") return resume(request);
    if (name == "incoming-cancel") return cancel();
    if (name == "incoming-lost") return lost();
    return fail(Errc::invalid_argument, "unknown operation '{}'", name);
}

Result<Json> Incoming::boot(const Json& request) {
    KZ_TRY(const std::uint64_t connections, json_u64(request, "connections"));
    if (connections == 0 || connections > kMaxConnections)
        return fail(Errc::protocol, "{} memory connections are not possible", connections);
    KZ_TRY(const std::string cipher_name, json_text(request, "cipher"));
    KZ_TRY(const crypto::Cipher cipher, crypto::parse_cipher(cipher_name));
    KZ_TRY(const std::string machine_type, json_text(request, "machine_type"));
    KZ_TRY(const std::string accel, json_text(request, "accel"));
    KZ_TRY(const std::string migration_id, json_text(request, "migration_id"));
    KZ_TRY(const std::string source, json_text(request, "source"));
    KZ_TRY(const auto live, json_optional_text(request, "live"));
    KZ_TRY(zone::Config config, migrate::with_live_part(run_.config(), live.value_or("")));
    run_.become(std::move(config));
    KZ_TRY(const auto shape, qemu::optional_shape(request));
    KZ_CHECK(run_.open_disk());
    // What an earlier stay on this host left is not what this machine wrote; the source sends that along.
    run_.console().expect_history();
    KZ_TRY(session_, migrate::Session::generate());
    // Before there is a machine, so that whoever finds one knows what it is for.
    Result<void> started = run_.set_runtime_state(zone::State::running, {zone::Aux::migrating_in});
    if (started)
        started = run_.start_machine({.boot_args = {},
                                      .machine_type = machine_type,
                                      .accel = accel,
                                      .incoming = true,
                                      .shape = shape.value_or(run_.first_shape())});
    cipher_ = cipher;
    if (request.contains("post_copy")) {
        KZ_TRY(post_copy_allowed_, json_bool(request, "post_copy"));
    }
    if (started) started = start_receiving(static_cast<unsigned>(connections));
    if (!started) return std::unexpected(std::move(started).error());
    migration_id_ = migration_id;
    facts_ = {{"direction", "in"},
              {"peer", source},
              {"cipher", crypto::cipher_name(cipher)},
              {"connections", connections}};
    begun_ = std::chrono::steady_clock::now();
    arriving_ = true;
    return session_.to_json();
}

void Incoming::broken() {
    if (memory_follows_) return;
    run_.arrival_broken = true;
    run_.wake().signal();
}

Result<void> Incoming::begin_incoming(unsigned channels) {
    qemu::Qmp& qmp = run_.machine()->qmp();
    KZ_TRY(events_, qemu::EventWait::subscribe(qmp, {"MIGRATION"}));
    if (post_copy_allowed_) {
        KZ_CHECK_CONTEXT(qemu::set_up_postcopy_incoming(qmp), "post-copy");
    } else {
        KZ_CHECK(qemu::set_up_incoming(qmp, channels - 1));
    }
    return qemu::start_incoming(qmp, "unix:in.sock");
}

Result<void> Incoming::start_receiving(unsigned connections) {
    channels_ = migrate::machine_channels(connections);
    KZ_CHECK(begin_incoming(channels_));
    KZ_TRY(migrate::SessionRegistration registration,
           migrate::SessionRegistration::open(run_.paths(), session_.id, session_.secret, channels_,
                                              Deadline::after(kSocketTime)));
    registration_.emplace(std::move(registration));
    KZ_TRY(pumps_, migrate::PumpGroup::create([this] { broken(); }));
    receiver_ = std::jthread([this] {
        received_ = post_copy_allowed_ ? receive_two_way() : receive();
        if (!received_) broken();
    });
    return {};
}

Result<void> Incoming::receive() {
    KZ_TRY(Transport transport, receive_transport(*registration_, channels_, pumps_->failed_fd()));
    return pumps_->connect_channels(run_.machine()->socket_folder() / "in.sock", channels_,
                                    opening_body(std::move(transport), session_, cipher_),
                                    Deadline::after(kSocketTime));
}

Result<void> Incoming::receive_two_way() {
    KZ_TRY(Transport transport, receive_transport(*registration_, 1, pumps_->failed_fd()));
    KZ_TRY(std::shared_ptr<migrate::SealedLink> link,
           migrate::SealedLink::open(std::move(transport.front()), session_, cipher_,
                                     migrate::SealedLink::Side::destination, Deadline::after(kSocketTime),
                                     pumps_->failed_fd()));
    return pumps_->connect_channels(run_.machine()->socket_folder() / "in.sock", 1,
                                    carrying_body(std::move(link), migrate::SealedLink::Side::destination),
                                    Deadline::after(kSocketTime));
}

// True: its devices are in, and not all of its memory.
Result<bool> Incoming::wait_until_it_could_run() {
    qemu::Qmp& qmp = run_.machine()->qmp();
    const Deadline deadline = Deadline::after(kLoadTime);
    while (true) {
        if (const auto failure = pumps_->failure()) return std::unexpected(*failure);
        KZ_TRY(const qemu::MigrationState state, qemu::query_migration(qmp));
        if (state.status == qemu::MigrationStatus::completed) return false;
        if (qemu::migration_ended(state.status))
            return fail(Errc::io, "QEMU: {}", state.error.empty() ? "loading failed" : state.error);
        KZ_TRY(const Json status, qmp.execute("query-status"));
        const bool stands_ready = json_text(status, "status").value_or("") == "paused";
        if (stands_ready && state.status == qemu::MigrationStatus::postcopy_active) return true;
        const auto moment =
            wait_readable(run_.interrupt().fd(), deadline.earlier(Deadline::after(kLoadLook)));
        if (moment) return fail(Errc::cancelled, "cancelled");
        if (deadline.passed()) return fail(Errc::timeout, "QEMU does not load the devices");
    }
}

// From here on a connection that breaks is made again, and host data alone decide.
Result<void> Incoming::hand_to_arrival() {
    PostCopyRecord record{.side = PostCopyRecord::Side::destination,
                          .machine = run_.machine()->process().identity(),
                          .migration_id = migration_id_,
                          .peer = json_text(facts_, "peer").value_or(""),
                          .route = {},
                          .cipher = cipher_,
                          .session = {session_.id, session_.secret.clone(), session_.port}};
    KZ_CHECK(save_post_copy(run_.paths(), run_.zone(), record));
    memory_follows_ = true;
    if (const auto failure = pumps_->failure()) return std::unexpected(*failure);
    registration_.reset();
    KZ_TRY(arrival_, begin_arrival(run_, std::move(record), *std::move(events_), std::move(pumps_), facts_));
    return {};
}

Result<Json> Incoming::loaded() {
    if (loaded_) return Json{{"post_copy", memory_follows_.load()}};
    const auto wait = [&]() -> Result<bool> {
        if (post_copy_allowed_) return wait_until_it_could_run();
        KZ_CHECK(wait_for_stream(run_.machine()->qmp(), *pumps_, Deadline::after(kLoadTime),
                                 run_.interrupt().fd()));
        return false;
    };
    KZ_TRY_CONTEXT(const bool memory_follows, wait(), "loading the zone's memory");
    if (receiver_.joinable()) receiver_.join();
    KZ_CHECK(received_);
    if (memory_follows) {
        KZ_CHECK(hand_to_arrival());
    } else {
        KZ_CHECK(pumps_->join());
    }
    KZ_CHECK(run_.record_arrived());
    loaded_ = true;
    // The source has announced it before it sent anything.
    announced_ = true;
    return Json{{"post_copy", memory_follows}};
}

Result<Json> Incoming::resume(const Json& request) {
    KZ_TRY(const storage::HostData data, run_.hold_lease());
    if (!data.handover || data.handover->migration_id != migration_id_)
        return fail(Errc::wrong_state, "host data speaks of another migration");
    if (memory_follows_ && data.handover->phase != storage::kPostCopyPhase)
        return fail(Errc::wrong_state, "host data do not say that memory follows");
    if (!memory_follows_) KZ_CHECK(run_.write_host_state("running", std::nullopt));
    const auto console = json_optional_text(request, "console");
    if (console && *console) {
        KZ_TRY(const std::uint64_t end, json_u64(request, "console_end"));
        KZ_TRY(Bytes history, from_base64(**console));
        run_.console().restore({std::move(history), end});
    }
    if (memory_follows_) {
        KZ_CHECK(run_before_memory(run_, *arrival_));
    } else {
        KZ_CHECK(run_.record_owned());
        KZ_CHECK(run_.run_guest());
        note_arrival();
    }
    run_.machine()->announce(run_.log());
    migration_id_.clear();
    arriving_ = false;
    registration_.reset();
    pumps_.reset();
    return Json::object();
}

void Incoming::note_arrival() {
    const stream::PumpTotals totals = pumps_->totals();
    facts_["bytes"] = totals.sealed_bytes;
    facts_["memory_bytes"] = totals.plain_bytes;
    facts_["connection_bytes"] = pumps_->channel_bytes();
    if (const auto noted = store::append_journal(run_.paths(), run_.zone(), "live", facts_); !noted)
        run_.log().error("journal: {}", noted.error().message());
}

Result<Json> Incoming::cancel() {
    if (pumps_) pumps_->cancel();
    if (receiver_.joinable()) receiver_.join();
    pumps_.reset();
    arriving_ = false;
    run_.drop_machine();
    KZ_CHECK(remove_post_copy(run_.paths(), run_.zone()));
    KZ_CHECK(run_.set_down(zone::State::configured, {}));
    run_.finish();
    return Json::object();
}

Result<bool> Incoming::settle() {
    if (run_.machine() == nullptr || migration_id_.empty()) return false;
    KZ_TRY(const storage::HostData data, run_.disk().read());
    if (data.owner && run_.host().owns(*data.owner)) {
        KZ_CHECK(loaded());
        KZ_CHECK(resume(Json::object()));
        return true;
    }
    if (data.handover && data.handover->migration_id == migration_id_) {
        announced_ = true;
        return false;
    }
    if (!announced_ && std::chrono::steady_clock::now() - begun_ < kAnnounceTime) return false;
    KZ_CHECK(cancel());
    return true;
}

Result<Json> Incoming::lost() {
    // Only a source that was told that all is in commits.
    if (!loaded_) return cancel();
    const Deadline deadline = Deadline::after(kArrivalTime);
    while (true) {
        const Result<bool> settled = settle();
        if (settled && *settled) return Json::object();
        if (deadline.passed() || wait_readable(run_.interrupt().fd(), Deadline::after(kWatchStep)))
            return cancel();
    }
}

}  // namespace kz::monitor
