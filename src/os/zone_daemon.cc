#include "os/zone_daemon.h"

#include <unistd.h>

#include <map>

#include "os/file.h"
#include "os/process.h"
#include "os/ready.h"
#include "os/socket.h"
#include "os/systemd.h"
#include "os/uuid.h"

namespace kz {
namespace {

constexpr const char* kSlice = "kzones.slice";
constexpr const char* kMonitorSlice = "kzones-monitors.slice";
// Ends zones as each wants to be ended (share/systemd), while they have their monitors.
constexpr const char* kZonesService = "kz-zones.service";
constexpr std::chrono::milliseconds kLookAgain{250};
// An earlier monitor of the zone may just be ending, as it may have the zone's lock.
constexpr std::chrono::seconds kEndTime{10};

// A socket for one answer; its name goes away with the object.
class ReadySocket {
  public:
    static Result<ReadySocket> open(const HostPaths& paths) {
        KZ_CHECK(make_directories(paths.run_dir(), 0755));
        KZ_TRY(const std::string id, random_uuid());
        Path path = paths.run_dir() / ("ready-" + id + ".sock");
        KZ_TRY(UniqueFd listener, unix_listen(path, 0600));
        return ReadySocket(std::move(path), std::move(listener));
    }
    ReadySocket(ReadySocket&&) noexcept = default;
    ReadySocket(const ReadySocket&) = delete;
    ReadySocket& operator=(ReadySocket&&) = delete;
    ~ReadySocket() {
        if (listener_) ::unlink(path_.c_str());
    }

    const Path& path() const { return path_; }
    // Errors: Errc::internal when the unit has ended without a word.
    Result<UniqueFd> accept_from(Systemd& systemd, const std::string& unit, Deadline deadline) const {
        while (true) {
            // Looked at before the socket: whoever has ended by now has said what it had to say.
            KZ_TRY(const bool up, systemd.is_up(unit));
            Result<UniqueFd> connection = accept_connection(
                listener_.get(), up ? deadline.earlier(Deadline::after(kLookAgain)) : Deadline::after({}));
            if (connection || connection.error().code() != Errc::timeout) return connection;
            if (!up) return fail(Errc::internal, "{} ended before it was ready; see its log", unit);
            if (deadline.passed()) return fail(Errc::timeout, "waiting for {} to come up", unit);
        }
    }

  private:
    ReadySocket(Path path, UniqueFd listener) : path_(std::move(path)), listener_(std::move(listener)) {}
    Path path_;
    UniqueFd listener_;
};

// What a service that PID 1 starts would not have otherwise.
std::map<std::string, std::string> own_settings() {
    constexpr std::string_view kPrefix = "KZONES_";
    std::map<std::string, std::string> settings;
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view entry(*each);
        const std::size_t equals = entry.find('=');
        if (entry.starts_with(kPrefix) && equals != entry.npos)
            settings.emplace(entry.substr(0, equals), entry.substr(equals + 1));
    }
    return settings;
}

TransientUnit unit_of(const ZoneDaemon& daemon) {
    if (daemon.kind == ZoneDaemon::Kind::monitor)
        return {.name = fmt::format("kzone-{}.service", daemon.zone),
                .description = fmt::format("Kernel zone {}", daemon.zone),
                .slice = kMonitorSlice,
                .before = kZonesService};
    return {.name = fmt::format("kzguard-{}-{}.service", daemon.zone, daemon.machine),
            .description = fmt::format("Guard of kernel zone {}", daemon.zone),
            .slice = kSlice,
            .before = kMonitorSlice};
}

Result<void> spawn_unit(const HostPaths& paths, const ZoneDaemon& daemon, Deadline deadline) {
    KZ_TRY(Systemd systemd, Systemd::connect());
    KZ_TRY(const ReadySocket ready, ReadySocket::open(paths));
    TransientService service{.unit = unit_of(daemon), .argv = daemon.argv, .environment = own_settings()};
    service.environment[kReadySocketVariable] = ready.path().string();
    KZ_CHECK(systemd.start_service(service, deadline.earlier(Deadline::after(kEndTime))));
    KZ_TRY(const UniqueFd connection, ready.accept_from(systemd, service.unit.name, deadline));
    return hear_ready(connection.get(), service.unit.name, deadline);
}

}  // namespace

bool zones_are_units(const HostPaths& paths) {
    return paths.root() == "/" && Systemd::is_running();
}

Result<void> spawn_zone_daemon(const HostPaths& paths, const ZoneDaemon& daemon, Deadline deadline) {
    if (zones_are_units(paths)) return spawn_unit(paths, daemon, deadline);
    return spawn_daemon(daemon.argv, {}, deadline);
}

Result<void> place_machine(const std::string& zone, pid_t machine, Deadline deadline) {
    KZ_TRY(Systemd systemd, Systemd::connect());
    const TransientUnit scope{.name = fmt::format("kzmachine-{}-{}.scope", zone, machine),
                              .description = fmt::format("Machine of kernel zone {}", zone),
                              .slice = kSlice,
                              .before = kMonitorSlice};
    return systemd.start_scope(scope, machine, deadline);
}

}  // namespace kz
