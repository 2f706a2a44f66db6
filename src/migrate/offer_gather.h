// What the source finds out about itself for an offer (migrate/offer_facts.h). For src/monitor (live) and
// src/client (warm and cold).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "migrate/checks.h"
#include "migrate/offer.h"
#include "store/boot_disk.h"
#include "zone/config.h"

namespace kz::migrate {

// The version, and which anets are on a bridge.
void gather_host(const zone::Config& config, SourceFacts& facts);

// What the source knows the zone by.
struct SourceSide {
    const zone::Config& config;
    const HostPaths& paths;
    store::BootDisk& boot;
};

// The disks of the zone, which are opened for a moment, and what host data say. Errors name the device.
Result<void> gather_storage(const SourceSide& source, SourceFacts& facts);

// What was not the same at the destination is looked at again: a line for each disk that stays different
// although nothing has changed here.
Result<std::vector<std::string>> settle_doubts(const SourceSide& source, const Offer& offer,
                                               const std::vector<DiskDoubt>& doubts);

// What has come of an offer.
struct Answer {
    Acceptance acceptance{};
    CallTimes times{};
    std::vector<std::string> errors{};  // that the source has found besides
};
// All findings of both sides: warnings are said, as "warning: ..."; errors are those of conclude().
Result<void> settle_checks(const SourceSide& source, const Offer& offer, const Answer& answer,
                           const std::function<void(const std::string&)>& say);

}  // namespace kz::migrate
