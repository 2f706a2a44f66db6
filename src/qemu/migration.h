// Migration: typed commands over Qmp for QEMU's migration. For the monitor.
//
// Order at the source: set_up_outgoing, start_outgoing, wait_for_status(pre_switchover) when asked for, then
// continue_after_pause, wait_for_end. At the target: set_up_incoming, start_incoming, wait_for_end, cont.
//
// What QEMU 7.2 does, held by the tests:
// - In pre_switchover the guest is already stopped (run state "finish-migrate"). cancel_migration() lets it
// go on by
//   itself; so does a failure. A guest that was stopped when the migration began stays stopped.
// - After `completed` the source is stopped in "postmigrate" and has given up its disks' write locks. The
// target
//   took them when it had loaded everything, before it says "paused": `cont` at the source fails with 'Failed
//   to get shared "write" lock' for as long as the target lives, and works as soon as that has ended (where
//   the file system has locks).
// - The connection accepted first must be the main channel: whoever stands between must keep the order.
// - A source with memory channels whose sockets are closed under it may hang for ever, guest and QMP with it.
// So
//   whoever holds the other ends must, when the target is lost, go on reading (and drop it), call
//   cancel_migration(), and close only when the migration has ended. If the source came to `completed`
//   meanwhile, `cont` takes the guest back.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/deadline.h"
#include "qemu/qmp.h"

namespace kz::qemu {

struct MigrationSetup {
    // Memory channels beside the main one (multifd); 0: everything on the main one. The same on both sides.
    unsigned channels = 2;
    std::uint64_t max_bytes_per_second = 1ULL << 40;  // the default is as good as no limit
    std::chrono::milliseconds downtime_limit{300};
    // Stop before the last pages in status pre_switchover until continue_after_pause().
    bool pause_before_switchover = false;
    // Slow the guest's processors down when memory changes faster than it moves.
    bool auto_converge = false;
    // Post-copy is possible: start_post_copy(). Not with memory channels; QEMU answers on the main one.
    bool post_copy = false;
};

// Sets every capability that we use, on or off: an earlier attempt may have left it otherwise.
Result<void> set_up_outgoing(Qmp& qmp, const MigrationSetup& setup);
Result<void> set_up_incoming(Qmp& qmp, unsigned channels);

// uri: "unix:PATH". QEMU's user must be able to connect to it (outgoing), or to make a socket there
// (incoming). They return once it has begun; connecting fails later, as status failed.
Result<void> start_outgoing(Qmp& qmp, std::string_view uri);
Result<void> start_incoming(Qmp& qmp, std::string_view uri);

enum class MigrationStatus {
    none,  // no migration since QEMU started
    setup,
    active,
    pre_switchover,
    device,  // the guest is stopped; the last pages and the devices are on their way
    postcopy_active,
    postcopy_paused,
    postcopy_recover,
    wait_unplug,
    cancelling,
    cancelled,
    completed,
    failed,
    unknown,  // a status of a later QEMU
};
std::string_view migration_status_name(MigrationStatus status);  // QEMU's own: "pre-switchover"
// Of an event MIGRATION.
MigrationStatus status_of_event(const QmpEvent& event);
// completed, failed, cancelled.
bool migration_ended(MigrationStatus status);

// Zero where QEMU says nothing (the target knows little but the status).
struct MigrationState {
    MigrationStatus status = MigrationStatus::none;
    std::string error;              // of a failed one
    std::uint64_t transferred = 0;  // bytes
    std::uint64_t remaining = 0;    // bytes
    std::uint64_t total = 0;        // bytes
    std::uint64_t page_size = 4096;
    std::uint64_t dirty_pages_per_second = 0;
    std::uint64_t iteration = 0;  // passes over memory, the first is 1
    std::uint64_t zero_pages = 0;
    std::uint64_t multifd_bytes = 0;
    double megabits_per_second = 0;
    std::uint64_t throttle_percent = 0;  // of auto_converge
    std::chrono::milliseconds total_time{0};
    std::chrono::milliseconds expected_downtime{0};
    std::chrono::milliseconds downtime{0};  // of a completed one
};

Result<MigrationState> query_migration(Qmp& qmp);

// Waits until the status is one of `wanted`, or until the migration has ended: the caller looks which.
// Errors: Errc::timeout, Errc::cancelled (cancel_fd became readable; the migration goes on), those of Qmp.
Result<MigrationState> wait_for_status(Qmp& qmp, std::initializer_list<MigrationStatus> wanted,
                                       Deadline deadline, int cancel_fd = -1);
// Waits for completed; failed and cancelled are errors (Errc::io with QEMU's reason, Errc::cancelled).
Result<MigrationState> wait_for_end(Qmp& qmp, Deadline deadline, int cancel_fd = -1);

// Leaves pre_switchover.
Result<void> continue_after_pause(Qmp& qmp);
// Of a migration that may: at the end of the pass that is under way the guest is stopped (pre_switchover, if
// that was asked for) and what is left follows while it runs at the target (postcopy_active).
//
// What QEMU 7.2 does then, held by the tests:
// - Until its connection breaks, cancel_migration() takes the guest back: it stays stopped ("postmigrate")
// until
//   `cont`, which works once the target has let go of the disks. After the connection broke (postcopy_paused)
//   nothing does: the run state stays "finish-migrate" and cancelling never ends.
// - The target's main loop may stand still while it needs a page, and every queued command with it. Events
// come, and
//   what goes out of band is carried out.
Result<void> start_post_copy(Qmp& qmp);
// After postcopy_paused: the target listens on `uri` again, and the source connects to it. Whatever the
// target has got stays; what was lost on the way is sent again. recover_incoming goes out of band.
Result<void> recover_incoming(Qmp& qmp, std::string_view uri);
Result<void> resume_outgoing(Qmp& qmp, std::string_view uri);

// Asks for the end of an outgoing migration; the guest goes on if it ran. wait_for_status tells when. No
// error when there is none.
Result<void> cancel_migration(Qmp& qmp);
// Changes the limits of a migration that is under way.
Result<void> set_migration_limits(Qmp& qmp, std::uint64_t max_bytes_per_second,
                                  std::chrono::milliseconds downtime_limit);

}  // namespace kz::qemu
