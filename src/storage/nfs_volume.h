// Volumes on NFS servers: nfs://user:group@host[:port]/share/path/file. Internal to storage.
//
// Theory of operation
//
// We speak NFS version 3 with the SURI's credentials (AUTH_SYS), as QEMU's own client does, and see what it
// will see. The server's portmapper (rpcbind) tells the ports; the file's folder is mounted, which for most
// servers may be any folder in an export; the file is used by its handle. Nothing is cached here: a read asks
// the server, and a write (WRITE with stable = FILE_SYNC) is on its stable storage when it returns.
//
// An operation that is not done within StorageAccess::operation_timeout fails, and its connection is reset
// (see storage/nfs_rpc.h). The next operation connects anew and first makes sure that the handle still names
// the same file, of the same size.
//
// A write that failed so must not reach the medium later, when another host may own it. What was not sent yet
// is thrown away by the reset. A server that is stalled already is sent no write at all: each is preceded by
// a call without effect that must be answered. What is left is a server that stalls after it received a whole
// write: whether it still carries that out when it goes on is up to it (one in the kernel drops what came by
// a connection that was reset, one in user space does not). It does so at once, so a host that takes over
// must have seen the server answer for some time before it writes; the lease's watching of the heartbeat is
// that.
#pragma once

#include <memory>

#include "storage/volume.h"

namespace kz::storage {

Result<std::unique_ptr<Volume>> open_nfs_volume(const Suri& suri, const StorageAccess& access);
// What a failed creation left is removed within another operation_timeout.
Result<void> create_nfs_file(const Suri& suri, std::uint64_t bytes, const StorageAccess& access);
Result<void> destroy_nfs_file(const Suri& suri, const StorageAccess& access);
Result<bool> nfs_exists(const Suri& suri, const StorageAccess& access);

}  // namespace kz::storage
