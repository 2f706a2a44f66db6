// GuestReport: what a running zone's guest says of itself through an agent: run/zones/NAME/guest.json.
// Written by the zone's monitor, read by everybody; there is none where no agent answers.
//
// Theory of operation: a JSON object {"format": 1, "agent", "usable", "addresses": [{"interface",
// "address"}]}. It counts while the zone's machine runs. Its texts come from the guest: printable ASCII, and
// nothing to rely on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "os/paths.h"

namespace kz::store {

struct GuestAddress {
    std::string interface;
    std::string address;  // "192.0.2.1/24"
    bool operator==(const GuestAddress&) const = default;
};

struct GuestReport {
    std::string agent;    // "kz-agent 0.1.0"
    bool usable = false;  // its start is over
    std::vector<GuestAddress> addresses;
    bool operator==(const GuestReport&) const = default;
};

// Where zlogin reaches the agent, through the zone's monitor (monitor/agent.h).
Path agent_socket(const HostPaths& paths, std::string_view zone);

Json to_json(const GuestReport& report);

// Errors: Errc::not_found when there is none, Errc::corrupt.
Result<GuestReport> load_guest_report(const HostPaths& paths, std::string_view zone);
// Atomic.
Result<void> save_guest_report(const HostPaths& paths, std::string_view zone, const GuestReport& report);
Result<void> remove_guest_report(const HostPaths& paths, std::string_view zone);

}  // namespace kz::store
