// Suspend and resume: a zone's machine into its sealed image and back. For the monitor.
//
// Theory of operation. suspend: the machine's memory is copied while the guest runs, and then the rest of it
// after the guest was stopped (monitor/live_suspend.h), into an image whose memory can be read by page; it
// gets its name only when it is whole. Then host data records its id: from that write on the zone is
// suspended, before it the zone is running. resume: the image must be the recorded one. A fresh QEMU loads
// the devices, host data forgets the image, and only then the guest goes on: no image runs twice. Memory is
// served while the guest runs (monitor/lazy_resume.h) where QEMU and the host can do that, else it is loaded
// before. While it is served the image is still there, but it is consumed: should this host, QEMU or the
// monitor die before all memory is in, the zone boots afresh.
//
// An image of the layout `channels` (all that there was before `pages`) holds the channels of QEMU's own
// stream, and is always loaded as a whole.
#pragma once

#include "monitor/control_server.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// The request may have "stop_first": true (nothing is copied while the guest runs) and "old_layout": true
// (layout `channels`, which implies the other). Returns {bytes, memory_bytes, pause_ms, total_ms, live,
// passes, cipher, connections}. On failure the guest goes on.
Result<Json> suspend_zone(ZoneRun& run, const Json& request, Caller& caller);
// `data` is the host data that records the image; with `eager` all memory is in before the guest runs. On
// failure the zone is suspended as before.
Result<void> resume_zone(ZoneRun& run, const storage::HostData& data, bool eager);
// Whether the machine's memory was still being served when the monitor that served it ended: what it lacks is
// lost.
bool memory_is_missing(const ZoneRun& run, const ProcessIdentity& machine);
// After host data recorded the image: ends the machine.
Result<void> finish_suspend(ZoneRun& run, const storage::SuspendRecord& record);
// Deletes what a monitor that was killed has left of an image that it was writing.
void remove_image_draft(const ZoneRun& run);
// Deletes an image that will not be used. Failing is no error: it can never be resumed.
void discard_image(const HostPaths& paths, const storage::SuspendRecord& record);

}  // namespace kz::monitor
