#include "monitor/incoming.h"

#include "monitor/carried_stream.h"
#include "monitor/live_record.h"
#include "monitor/stream_channels.h"
#include "qemu/migration.h"
#include "store/journal.h"
#include "zone/live_change.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::seconds kSocketTime{5};
constexpr std::chrono::seconds kFirstConnection{60};
constexpr std::chrono::seconds kLoadTime{120};
constexpr std::chrono::seconds kAnnounceTime{60};
constexpr std::chrono::milliseconds kWatchStep{250};
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
    if (live) {
        KZ_TRY(const zone::Config part, read_live_config(*live, run_.config()));
        run_.become(zone::with_machine_part(run_.config(), part));
    }
    KZ_TRY(const Json* const shape_json, json_optional_object(request, "shape"));
    std::optional<qemu::MachineShape> shape = run_.first_shape();
    if (shape_json != nullptr) {
        KZ_TRY(shape, qemu::MachineShape::from_json(*shape_json));
    }
    KZ_CHECK(run_.open_disk());
    // What an earlier stay on this host left is not what this machine wrote; the source sends that along.
    run_.console().restore({{}, 0});
    KZ_TRY(session_, migrate::Session::generate());
    // Before there is a machine, so that whoever finds one knows what it is for.
    Result<void> started = run_.set_runtime_state(zone::State::running, {zone::Aux::migrating_in});
    if (started)
        started = run_.start_machine({.boot_args = {},
                                      .machine_type = machine_type,
                                      .accel = accel,
                                      .incoming = true,
                                      .shape = shape});
    if (started) started = start_receiving(static_cast<unsigned>(connections), cipher);
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

Result<void> Incoming::start_receiving(unsigned connections, crypto::Cipher cipher) {
    const unsigned channels = connections + 1;
    qemu::Qmp& qmp = run_.machine()->qmp();
    KZ_CHECK(qemu::set_up_incoming(qmp, connections));
    KZ_CHECK(qemu::start_incoming(qmp, "unix:in.sock"));
    KZ_TRY(migrate::SessionRegistration registration,
           migrate::SessionRegistration::open(run_.paths(), session_.id, session_.secret, channels,
                                              Deadline::after(kSocketTime)));
    registration_.emplace(std::move(registration));
    const auto broken = [this] {
        run_.arrival_broken = true;
        run_.wake().signal();
    };
    KZ_TRY(pumps_, migrate::PumpGroup::create(broken));
    receiver_ =
        std::jthread([this, channels, cipher, broken, socket = run_.machine()->socket_folder() / "in.sock"] {
            const auto receive = [&]() -> Result<void> {
                KZ_TRY(Transport transport, receive_transport(*registration_, channels, pumps_->failed_fd()));
                return pumps_->connect_channels(socket, channels,
                                                opening_body(std::move(transport), session_, cipher),
                                                Deadline::after(kSocketTime));
            };
            received_ = receive();
            if (!received_) broken();
        });
    return {};
}

Result<Json> Incoming::loaded() {
    KZ_CHECK_CONTEXT(
        wait_for_stream(run_.machine()->qmp(), *pumps_, Deadline::after(kLoadTime), run_.interrupt().fd()),
        "loading the zone's memory");
    if (receiver_.joinable()) receiver_.join();
    KZ_CHECK(received_);
    KZ_CHECK(pumps_->join());
    KZ_CHECK(run_.record_arrived());
    loaded_ = true;
    // The source has announced it before it sent anything.
    announced_ = true;
    return Json::object();
}

Result<Json> Incoming::resume(const Json& request) {
    KZ_TRY(const storage::HostData data, run_.hold_lease());
    if (!data.handover || data.handover->migration_id != migration_id_)
        return fail(Errc::wrong_state, "host data speaks of another migration");
    KZ_CHECK(run_.write_host_state("running", std::nullopt));
    const auto console = json_optional_text(request, "console");
    if (console && *console) {
        KZ_TRY(const std::uint64_t end, json_u64(request, "console_end"));
        KZ_TRY(Bytes history, from_base64(**console));
        run_.console().restore({std::move(history), end});
    }
    KZ_CHECK(run_.record_owned());
    KZ_CHECK(run_.run_guest());
    run_.machine()->announce(run_.log());
    note_arrival();
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
