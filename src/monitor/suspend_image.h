// What suspend and resume share: what an image says of the machine in it, and the zone's journal. For the
// monitor's own files.
#pragma once

#include <chrono>

#include "image/info.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

// What the machine is made of, so that an image is never loaded into another one.
std::vector<std::string> device_list(const zone::Config& config);
// Of the zone's machine as it runs, or as it is to be started, with that accelerator.
Result<image::ImageInfo> describe_machine(const ZoneRun& run, const std::string& accel, std::uint64_t epoch,
                                          image::Layout layout, unsigned channels);
// The accelerator of such a description: what ran a machine must run it again.
std::string accel_of(const image::ImageInfo& info);

Result<Secret> key_of(const ZoneRun& run);
// Adds to the zone's journal. That it cannot is no more than logged.
void note_move(ZoneRun& run, std::string_view move, Json facts);
std::int64_t milliseconds_since(std::chrono::steady_clock::time_point moment);

}  // namespace kz::monitor
