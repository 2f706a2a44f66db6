// What a post-copy arrival (monitor/post_copy_arrival.h) does to the zone: for monitor/incoming.cc, whose
// migration it is, and monitor/start.cc, which takes one over.
#pragma once

#include <memory>

#include "base/json.h"
#include "monitor/post_copy_arrival.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// `events`: MIGRATION of the zone's machine, from before its guest ran. `pumps`: the first connection; null
// when it is broken. `facts`: of the journal's entry, which is written when all memory is in. What is
// returned is the machine's, and ends with it.
Result<PostCopyArrival*> begin_arrival(ZoneRun& run, PostCopyRecord record, qemu::EventWait events,
                                       std::unique_ptr<migrate::PumpGroup> pumps, Json facts);

// Host data name this host, and the memory is on its way: the guest runs (or goes on). May be tried again.
Result<void> run_before_memory(ZoneRun& run, PostCopyArrival& arrival);

// Of a machine that an earlier monitor has left in the midst of it; the lease is held. What is lost is said,
// and the zone halted.
Result<void> adopt_arrival(ZoneRun& run, const store::RuntimeRecord& runtime, PostCopyRecord record);

// The same of a machine that has been taken over.
Result<void> take_up_arrival(ZoneRun& run, PostCopyRecord record);

}  // namespace kz::monitor
