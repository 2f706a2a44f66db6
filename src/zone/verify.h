// Verification of a resource and of a whole configuration. For zonecfg (end, verify, commit) and zoneadm.
//
// Pure: whether storage, links or files exist is checked by those who use them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zone/config.h"

namespace kz::zone {

struct Report {
    // As zonecfg prints them: "physical: Required property missing". Some have a second line that says what
    // to do.
    std::vector<std::string> errors;
    // "anet 0: rxrings: without effect on Linux", "cpu-shares: not applied by this version". Nothing that
    // keeps a zone from running.
    std::vector<std::string> notes;

    bool ok() const { return errors.empty(); }
};

Report verify(const Config& config);

// What is wrong with one resource by itself: required properties, those that exclude each other.
std::vector<std::string> verify_resource(const Resource& resource);

// "A device resource with the id '0' already exists.", when `resource` collides with one of `others`.
std::optional<std::string> find_collision(const Resource& resource,
                                          const std::vector<const Resource*>& others,
                                          std::string_view zone_name);

}  // namespace kz::zone
