// Suspend and resume: a zone's machine into its sealed image and back. For the monitor.
//
// Theory of operation. suspend: the guest stops; QEMU writes its migration stream over local sockets, one
// thread seals each into the image (image/format.h), which gets its name only when it is whole; then host
// data records its id: from that write on the zone is suspended, before it the zone is running. resume: the
// image must be the recorded one; when a fresh QEMU has loaded all of it, host data forgets it, and only then
// the guest goes on: no image runs twice.
#pragma once

#include "monitor/control_server.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// Returns {bytes, pause_ms, channels}. On failure the guest goes on.
Result<Json> suspend_zone(ZoneRun& run, Caller& caller);
// `data` is the host data that records the image. On failure the zone is suspended as before.
Result<void> resume_zone(ZoneRun& run, const storage::HostData& data);
// After host data recorded the image: ends the machine.
Result<void> finish_suspend(ZoneRun& run, const storage::SuspendRecord& record);
// Deletes what a monitor that was killed has left of an image that it was writing.
void remove_image_draft(const ZoneRun& run);
// Deletes an image that will not be used. Failing is no error: it can never be resumed.
void discard_image(const HostPaths& paths, const storage::SuspendRecord& record);

}  // namespace kz::monitor
