// PostCopyArrival: the destination's side of a post-copy migration from the moment at which the devices are
// loaded: the memory that is missing comes from the source while the guest runs. For the monitor's own files.
//
// Theory of operation (docs/PROTOCOL.md, section 3). QEMU asks the source's QEMU for pages, over the one
// connection of the migration. When that breaks, QEMU keeps what it has and pauses the migration
// ("postcopy-paused"); its guest stands still wherever it needs a page that is missing. The source makes a
// new connection, under the recovery session (migrate/sealed_link.h), for which kz-migrd is asked as long as
// memory is missing. A new connection also replaces one that seems to be whole: the source has noticed first
// then.
//
// QEMU's main loop may itself wait for a page: then nothing but commands out of band is carried out, and what
// is known of the migration are its events. `stop` and `cont` wait in line, in order.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "migrate/pump_group.h"
#include "monitor/memory_source.h"
#include "monitor/post_copy_record.h"
#include "os/io.h"
#include "qemu/migration.h"

namespace kz::monitor {

class PostCopyArrival : public MemorySource {
  public:
    // All are called on a thread of this object's, none after its destructor.
    struct Actions {
        // The source cannot be reached; the guest must be stopped, as far as that can be done. Not before
        // guest_runs().
        std::function<void(const std::string& why)> paused;
        // The memory comes again. Fails when the guest cannot go on yet: it is called again.
        std::function<Result<void>()> goes_on;
        // QEMU has everything. Fails when that could not be written down: it is called again.
        std::function<Result<void>(const stream::PumpTotals&)> all_in;
        // The memory will not come: why, for the administrator.
        std::function<void(const std::string& why)> lost;
        std::function<void(const std::string&)> log;
    };
    struct Parts {
        HostPaths paths;
        PostCopyRecord record;
        qemu::Qmp& qmp;
        Path socket;             // where QEMU is to listen for a new connection; its name there is the file's
        qemu::EventWait events;  // MIGRATION, from before the guest could run on
        std::unique_ptr<migrate::PumpGroup> pumps;  // null: the connection is broken
        std::chrono::milliseconds patience;         // how long the source may be out of reach
        Actions actions;
    };
    static Result<std::unique_ptr<PostCopyArrival>> start(Parts parts);
    ~PostCopyArrival() override;
    PostCopyArrival(const PostCopyArrival&) = delete;
    PostCopyArrival& operator=(const PostCopyArrival&) = delete;

    // The guest was made to run.
    void guest_runs() { guest_runs_ = true; }

    bool complete() const override { return complete_; }
    Result<void> wait_until_complete(int cancel_fd) override;

  private:
    using Clock = std::chrono::steady_clock;

    PostCopyArrival(Parts parts, migrate::Session recovery, EventFd stop, EventFd ended);
    void run();
    Result<void> serve();
    Result<void> wait_for_something();
    // True when all memory is in.
    Result<bool> take_events();
    Result<bool> take_event(qemu::MigrationStatus status);
    void look_at_pumps();
    void pause(const std::string& why);
    void ask_for_connections();
    Result<void> take_connection();
    Result<void> reconnect(std::shared_ptr<migrate::SealedLink> link);
    Result<void> wait_for_qemu_to_pause();
    void settle_guest();
    Result<void> finish();
    Result<void> end_connection();

    Parts parts_;
    migrate::Session recovery_;
    EventFd stop_;
    EventFd ended_;

    // Of the thread.
    std::optional<migrate::SessionRegistration> registration_;
    Clock::time_point next_registration_;
    stream::PumpTotals before_;  // what earlier connections have brought
    bool qemu_paused_ = false;
    bool broken_ = false;
    bool told_paused_ = false;
    bool all_in_ = false;
    std::string why_;
    Clock::time_point broken_since_;

    std::atomic<bool> guest_runs_ = false;
    std::atomic<bool> complete_ = false;
    std::mutex mutex_;
    std::optional<Error> failure_;  // by mutex_
    std::jthread thread_;
};

}  // namespace kz::monitor
