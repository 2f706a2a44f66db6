// IscsiPortal: where an iSCSI target listens; the file of portals. Internal to storage.
//
// etc/zones/iscsi-portals says where SURIs without a host (iscsi:///luname.naa.X) are looked for: one
// "host[:port]" per line, IPv6 addresses in brackets, '#' begins a comment line. All portals of the file are
// asked, in its order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/access.h"
#include "storage/suri.h"

namespace kz::storage {

struct IscsiPortal {
    std::string host;  // a name or an address, IPv6 without brackets
    std::uint16_t port = kIscsiPort;

    std::string text() const;  // "host:port", IPv6 in brackets
    bool operator==(const IscsiPortal&) const = default;
};

// "host[:port]". Errors: Errc::invalid_argument.
Result<IscsiPortal> parse_portal(std::string_view text);
// "host:port[,group]", as a target lists it. A target that names no address of its own ("0.0.0.0") means the
// one at which it was asked, `asked`.
Result<IscsiPortal> parse_listed_portal(std::string_view text, const IscsiPortal& asked);

// The host that the SURI names, or those of the file. Errors: Errc::not_found when the file is needed and
// missing or empty; Errc::invalid_argument with the number of a bad line.
Result<std::vector<IscsiPortal>> portals_of(const Suri& suri, const StorageAccess& access);
Result<std::vector<IscsiPortal>> portals_of_file(const std::filesystem::path& file);

// The portal with each of its host's addresses. The resolver of the system is asked if it is a name, and
// takes its own time, whatever deadline the caller has: addresses, or names in /etc/hosts, are safe.
Result<std::vector<IscsiPortal>> resolve(const IscsiPortal& portal);

}  // namespace kz::storage
