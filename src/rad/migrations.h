// Migrations: the moves away from this host that were started over REST. For rad/migrate_routes.cc.
//
// Theory of operation. A move runs on a thread of its own and lives on when the connection that started it
// ends; it is asked about and cancelled by its id. kAtOnce run at a time, one of each zone. Those that have
// ended are remembered (the last kRemembered) with their outcome; what was really moved is in the host's
// journal besides, for ever. When the server stops it cancels what runs: before the commit the zone stays
// here, after it a move completes.
//
// Messages and progress go to the EventHub as {"type": "migration", "zone", "migration": ID, and "message",
// "progress" or "status"}.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "client/client.h"
#include "os/io.h"
#include "rad/event_hub.h"

namespace kz::rad {

// Thread-safe.
class Migrations {
  public:
    static constexpr std::size_t kAtOnce = 4;
    static constexpr std::size_t kRemembered = 64;
    static constexpr std::size_t kMessages = 100;
    // client::Client::migrate, or what stands for it in a test.
    using Move = std::function<Result<Json>(const std::string& zone, const client::MigrateOptions& options,
                                            const client::Reporter& reporter)>;

    // client::limit_migration, or what stands for it in a test.
    using Limit = std::function<Result<void>(const std::string& zone, std::uint64_t bandwidth_bytes)>;

    // `hub` outlives it.
    Migrations(Move move, Limit limit, EventHub& hub)
        : move_(std::move(move)), limit_(std::move(limit)), hub_(hub) {}
    // Cancels what runs and waits for it.
    ~Migrations();
    Migrations(const Migrations&) = delete;
    Migrations& operator=(const Migrations&) = delete;

    // Returns what find() tells of it. Errors: Errc::busy.
    Result<Json> start(const std::string& zone, const client::MigrateOptions& options, const std::string& by);
    // {"id", "zone", "destination", "type", "dry_run", "by", "started", "status": running, succeeded, failed
    // or cancelled, "messages", "progress", and at the end "ended" and "report" or "error"}.
    Result<Json> find(const std::string& zone, const std::string& id) const;
    // Of the zone, the oldest first.
    std::vector<Json> list(const std::string& zone) const;
    // Asks it to end; whether it could is told by its outcome. Errors: Errc::not_found, Errc::wrong_state
    // when it has ended.
    Result<Json> cancel(const std::string& zone, const std::string& id);
    // Changes what it may send a second; 0: no limit. Errors: Errc::not_found, Errc::wrong_state when it is
    // not moving a running zone (any more).
    Result<Json> limit(const std::string& zone, const std::string& id, std::uint64_t bandwidth_bytes);

  private:
    struct Running {
        Json facts;
        EventFd cancel;
        bool ended = false;
        std::thread thread;
    };
    Result<Running*> at(const std::string& zone, const std::string& id);
    void run(Running& running, const client::MigrateOptions& options);
    client::Reporter reporter(Running& running);
    static std::unexpected<Error> has_ended(const Running& running);
    void say(Running& running, const std::string& text);
    void tell(const Running& running, Json what);
    void forget_old();

    Move move_;
    Limit limit_;
    EventHub& hub_;
    mutable std::mutex mutex_;
    std::list<Running> all_;
};

}  // namespace kz::rad
