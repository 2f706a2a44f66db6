// StorageAccess: what this host shows to storage servers, and how long it waits for them. For everybody who
// opens volumes; store/host.h makes it from the host's files.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace kz::storage {

struct StorageAccess {
    // iSCSI: the name of this host. Empty: a name that targets with access lists will refuse.
    std::string initiator_name{};
    // iSCSI: the CHAP secrets (storage/chap_secrets.h). Need not exist.
    std::filesystem::path chap_secrets{};
    // iSCSI: where to look for SURIs without a host (storage/iscsi_portal.h). Need not exist.
    std::filesystem::path iscsi_portals{};
    // The longest that one operation on a network volume may take. One that takes longer fails with
    // Errc::timeout, and its connection is reset, so that nothing of it can still reach the medium.
    std::chrono::milliseconds operation_timeout{10'000};
};

}  // namespace kz::storage
