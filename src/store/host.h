// HostIdentity: how a host names itself in host data and to its peers. For every floor above store.
#pragma once

#include <string>

#include "os/paths.h"
#include "storage/access.h"
#include "storage/host_data.h"

namespace kz::store {

// id: a UUID in etc/zones/host-id, made at first use and never changed (a new one would make every zone of
// this host look owned by another). name: the host's name now, for people.
struct HostIdentity {
    std::string id;
    std::string name;

    storage::Owner as_owner() const { return {id, name}; }
    bool owns(const storage::Owner& owner) const { return owner.host_id == id; }
};

Result<HostIdentity> host_identity(const HostPaths& paths);

// How this host reaches storage: its iSCSI name follows from its id, CHAP secrets are in
// etc/zones/iscsi-chap, portals for SURIs without a host in etc/zones/iscsi-portals.
Result<storage::StorageAccess> storage_access(const HostPaths& paths);

}  // namespace kz::store
