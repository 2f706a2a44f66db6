// Client: the one way in which commands and the REST service act on zones. For src/cli and src/rad.
//
// Each operation takes the zone's lock, checks its state, acts, and leaves the zone in the old or the new
// state, never between. A running zone is reached through its monitor; what has none is worked on here, under
// the lock. Errors are texts for the administrator, without the zone's name in front: the edge adds it.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "base/secret.h"
#include "migrate/offer.h"
#include "migrate/peer.h"
#include "os/paths.h"
#include "store/host.h"
#include "store/registry.h"
#include "store/status.h"
#include "zone/config.h"

namespace kz::client {

// How long a guest may take to shut down, where nobody says otherwise.
inline constexpr std::chrono::seconds kShutdownPatience{120};

// Where an operation says what it is doing. Both may be empty. `cancel_fd` becomes readable when the user
// gives up.
struct Reporter {
    std::function<void(const std::string&)> message;
    std::function<void(const Json&)> progress;
    int cancel_fd = -1;

    void say(const std::string& text) const {
        if (message) message(text);
    }
};

struct BootOptions {
    std::string boot_args;       // instead of the configured bootargs
    bool discard_image = false;  // boot afresh although a suspend image is recorded
    bool eager = false;          // all memory is in before a zone that was suspended goes on
    // Until the zone can be used, at most so long.
    std::optional<std::chrono::seconds> wait{};
};

struct SuspendOptions {
    bool stop_first = false;  // nothing is copied while the zone runs
    bool old_layout = false;  // an image that earlier versions can read; implies stop_first
};

struct ApplyOptions {
    bool dry_run = false;
    std::optional<zone::Config> configuration{};
};

struct InstallOptions {
    std::string manifest = "default";
    // A disk image to install instead of what a manifest says; empty: none.
    std::string archive{};
    bool no_agent = false;  // no kz-agent for an archive
    // A profile of sysconfig, or the folder that holds it; empty: the zone is what its configuration says.
    std::string profile{};
    std::optional<std::uint64_t> install_size;  // of disks that are created
    // Disks that may hold something: all of them, or those of these ids.
    bool force_overwrite = false;
    std::set<unsigned> force_overwrite_ids{};
};

struct CloneOptions {
    std::string source;  // a zone of this host that is installed
    std::string profile{};
    std::optional<std::uint64_t> install_size;  // of disks that are created; else that of the source's
    bool force_overwrite = false;
    std::set<unsigned> force_overwrite_ids{};
};

struct AttachOptions {
    bool force_takeover = false;
    bool initialize_host_data = false;
};

inline constexpr unsigned kDefaultMaxPauseMs = 300;

struct MigrateOptions {
    std::string destination;  // as typed
    std::string type = "auto";
    std::string cipher;  // empty: the default
    bool dry_run = false;
    unsigned connections = 0;  // 0: by the rule
    bool tunnel = false;       // memory goes through ssh too

    // Live only.
    unsigned max_pause_ms = kDefaultMaxPauseMs;  // the longest pause of the guest that is wanted
    std::uint64_t deadline_s = 0;                // the longest time allowed; 0: none
    std::string on_deadline = "cancel";          // or "force": the switch is made however long the pause
    std::uint64_t bandwidth_bytes = 0;           // a second, of all connections together; 0: no cap
    bool post_copy = false;

    // How this host and that one come to trust each other, where they do not yet.
    bool accept_new_host_key = false;
    std::optional<std::string> host_fingerprint;                        // the key that rads:// must show
    std::function<bool(const std::string& question)> confirm_host_key;  // empty: unknown keys are refused
    // Asks for a password without showing it; empty: there is nobody to ask. Errc::cancelled when given up.
    std::function<Result<Secret>(const std::string& prompt)> ask_password;
};

class Destination;

class Client {
  public:
    static Result<Client> open(const HostPaths& paths);

    const HostPaths& paths() const { return registry_.paths(); }
    store::Registry& registry() { return registry_; }
    Result<store::ZoneStatus> status(const std::string& zone) const;
    Result<std::vector<store::ZoneStatus>> statuses() const;

    // What would stop the zone from being installed or booted here. Notes that are no errors go to the
    // reporter.
    Result<void> verify(const std::string& zone, const Reporter& reporter);
    Result<void> install(const std::string& zone, const InstallOptions& options, const Reporter& reporter);
    // A new zone with a copy of the boot disk of another that is not running; what tells two zones apart is
    // made anew in it.
    Result<void> clone(const std::string& zone, const CloneOptions& options, const Reporter& reporter);
    // Disks that a template made are destroyed, with `destroy_all` the others too; else only host data is
    // erased.
    Result<void> uninstall(const std::string& zone, bool destroy_all, const Reporter& reporter);
    Result<void> mark(const std::string& zone, zone::State state);
    Result<void> rename(const std::string& zone, const std::string& new_name);

    Result<void> attach(const std::string& zone, const AttachOptions& options, const Reporter& reporter);
    Result<void> detach(const std::string& zone);

    Result<void> boot(const std::string& zone, const BootOptions& options, const Reporter& reporter);
    Result<void> ready(const std::string& zone);
    Result<void> halt(const std::string& zone);
    // Asks the guest to shut down and waits for it, at most `patience`.
    Result<void> shutdown(const std::string& zone, bool reboot, std::chrono::seconds patience,
                          const Reporter& reporter);
    // Returns when an agent in the running zone says that it can be used. Errors: Errc::timeout.
    Result<void> wait_until_usable(const std::string& zone, std::chrono::seconds patience);
    Result<void> reboot(const std::string& zone, const BootOptions& options);
    Result<void> suspend(const std::string& zone, const Reporter& reporter,
                         const SuspendOptions& options = {});
    // The running zone is made like its stored configuration or, where one is given, like that until its next
    // boot (monitor/reconfigure.h). Returns how many changes there were: {"changes", "later"}.
    Result<Json> apply(const std::string& zone, const ApplyOptions& options, const Reporter& reporter);
    // What the zone runs with, the key included. Errors: Errc::wrong_state when it does not run.
    Result<zone::Config> live_configuration(const std::string& zone) const;
    // Returns what was measured: bytes, pause, cipher, connections.
    Result<Json> migrate(const std::string& zone, const MigrateOptions& options, const Reporter& reporter);

    // The destination's side of a migration, for kz-radd: starts the monitor that will receive the zone.
    Result<void> start_incoming(const std::string& zone);
    // One operation of the zone's monitor (monitor/operations.h), which is started anew when it was killed.
    // `fds` go with the request.
    Result<Json> ask_monitor(const std::string& zone, std::string_view operation, Json request,
                             const Reporter& reporter, std::vector<UniqueFd> fds = {});
    // What the other host can seal a migration with.
    Result<std::vector<std::string>> destination_ciphers(const MigrateOptions& options,
                                                         const Reporter& reporter);

  private:
    Result<void> start(const std::string& zone, const BootOptions& options, const Reporter& reporter);
    Result<Json> move_running(const std::string& zone, const MigrateOptions& options,
                              Destination& destination, const Reporter& reporter);
    Result<Json> move_disk(const std::string& zone, migrate::MoveKind kind, const MigrateOptions& options,
                           Destination& destination, const Reporter& reporter);
    Result<void> suspend_to_move(const std::string& zone, const std::string& uuid, Destination& destination,
                                 const Reporter& reporter);
    Error resume_here(const std::string& zone, Error cause, const Reporter& reporter);
    Result<Json> hand_over(const std::string& zone, migrate::MoveKind kind, bool dry_run, bool start_there,
                           Destination& destination, const Reporter& reporter, bool& committed);
    explicit Client(store::Registry registry) : registry_(std::move(registry)) {}
    store::Registry registry_;
};

}  // namespace kz::client
