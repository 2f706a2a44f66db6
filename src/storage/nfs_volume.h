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
// (see storage/nfs_rpc.h): the server drops a request that it has not read yet. The next operation connects
// anew and first makes sure that the handle still names the same file, of the same size.
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
