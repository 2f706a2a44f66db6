// PostCopySource: the source's side of a post-copy migration after the commit: the guest runs at the
// destination, and gets from this host's QEMU the memory that it lacks. For the monitor's own files.
//
// Theory of operation (docs/PROTOCOL.md, section 3). This QEMU's guest never runs again: it is stopped, and
// nothing here says `cont` or cancels the migration. When the connection breaks QEMU pauses the migration,
// and a new connection is made under the recovery session (migrate/sealed_link.h), as often and as long as it
// takes: the memory that is here is nowhere else. Host data end it: when they do not show the hand-over any
// more, the destination has everything, or has given up what was here.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "migrate/pump_group.h"
#include "monitor/post_copy_record.h"
#include "monitor/zone_run.h"
#include "qemu/migration.h"

namespace kz::monitor {

class PostCopySource {
  public:
    struct Reporter {
        std::function<void(const std::string&)> message;
        // While memory moves; `sent` is what all connections have carried so far.
        std::function<void(const qemu::MigrationState&, const stream::PumpTotals& sent)> progress;
    };
    // `limiter` may be null; it outlives this object, as does `run`.
    PostCopySource(ZoneRun& run, PostCopyRecord record, stream::RateLimiter* limiter, Reporter reporter)
        : run_(run), record_(std::move(record)), limiter_(limiter), reporter_(std::move(reporter)) {}

    // Returns when the destination has everything. `pumps` carry the first connection; null: it is broken
    // already. The caller holds the zone's operation, and ends the machine afterwards, whatever came of it.
    // Errors: what is lost and where the zone is: for the administrator.
    Result<stream::PumpTotals> serve(std::unique_ptr<migrate::PumpGroup> pumps);

  private:
    enum class End { completed = 1, broken, lost };
    Result<End> wait_for_end();
    // Nothing when the connection is there again.
    Result<bool> reconnect();
    Result<void> connect_again();
    Result<void> start_again(std::shared_ptr<migrate::SealedLink> link);
    Result<void> wait_for_pause();
    // Whether the destination still wants anything of this host.
    bool wanted();
    Result<bool> interrupted();
    bool machine_ended() const;
    Error give_notice(const std::string& reason);
    Error given_up() const;
    std::string ended_too_early() const;

    ZoneRun& run_;
    PostCopyRecord record_;
    stream::RateLimiter* limiter_;
    Reporter reporter_;
    std::unique_ptr<migrate::PumpGroup> pumps_;
    stream::PumpTotals before_;
    bool has_everything_ = false;  // host data say so
};

// The zone is the destination's for good: the machine ends here, and with it this monitor's work.
Result<void> end_departed(ZoneRun& run);
// The machine that an earlier monitor has left, if host data say that the zone runs elsewhere and still lacks
// memory that is in this machine.
std::optional<PostCopyRecord> departed_with_memory_here(const ZoneRun& run, const ProcessIdentity& machine,
                                                        const storage::HostData& data);
// Serves it on, on a thread of the zone's; adopt_departed() takes it over before.
void go_on_serving(ZoneRun& run, PostCopyRecord record);
Result<void> adopt_departed(ZoneRun& run, const store::RuntimeRecord& runtime, PostCopyRecord record);

}  // namespace kz::monitor
