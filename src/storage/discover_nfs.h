// Discovery of NFS storage: what a host exports, and the files in it that could be volumes. For suriadm.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/access.h"
#include "storage/suri.h"

namespace kz::storage {

struct DiscoveredFile {
    Suri suri;
    std::uint64_t size_bytes = 0;
};

struct DiscoveredExport {
    std::string path;  // as the server names it, "/zones", with '?' for control characters
    // Regular files in the export itself and in the folders directly in it, by path.
    std::vector<DiscoveredFile> files;
    // Not everything is listed: there is more than discovery looks at, or a name that no SURI can hold.
    bool incomplete = false;
    // Why this export cannot be looked into; one sentence, empty when it can.
    std::string problem;
};

// `location`: "nfs://user:group@host[:port][/...]", of which only the authority counts. At most 256 exports.
// Errors: Errc::invalid_argument for a malformed location, Errc::not_found for a user or group that this host
// does not know, Errc::unavailable or Errc::timeout when the host does not answer.
Result<std::vector<DiscoveredExport>> discover_nfs(std::string_view location, const StorageAccess& access);

}  // namespace kz::storage
