#include "storage/nfs_place.h"

#include "base/text.h"
#include "storage/nfs_wire.h"
#include "storage/suri_text.h"

namespace kz::storage {

Result<NfsPlace> NfsPlace::reach(const Suri& suri, Deadline deadline) {
    const std::string path = squeezed(suri.path().value_or(""));
    const std::string folder = nfs_parent(path);
    const std::string name = path.substr(path.rfind('/') + 1);
    if (name.empty()) return fail(Errc::invalid_argument, "{}: names a folder, not a file in it", path);
    KZ_TRY(NfsServer server, NfsServer::of(suri));
    KZ_TRY(MountService mounts, MountService::open(server, deadline));
    KZ_TRY(NfsMount mount, mounts.mount_nearest(folder, deadline));
    std::uint16_t port = suri.port().value_or(0);
    if (port == 0) {
        KZ_TRY(port, find_rpc_port(mounts.address(), NFS_PROGRAM, NFS_V3, "NFS version 3", deadline));
    }
    KZ_TRY(NfsSession session, NfsSession::open(server, mounts.address(), port, deadline));
    std::vector<std::string> below;
    for (std::string& part : split(folder.substr(mount.folder.size()), '/')) {
        if (!part.empty()) below.push_back(std::move(part));
    }
    return NfsPlace{std::move(server), mounts.address(), port, std::move(mount), std::move(below), name,
                    std::move(session)};
}

Result<NfsHandle> NfsPlace::folder() {
    NfsHandle handle = mount.handle;
    for (const std::string& part : below) {
        KZ_TRY_CONTEXT(NfsObject next, session.lookup(handle, part), part);
        if (next.attributes.type != NfsType::folder) return fail(Errc::not_found, "{}: not a folder", part);
        handle = std::move(next.handle);
    }
    return handle;
}

Result<NfsObject> NfsPlace::file() {
    KZ_TRY(const NfsHandle holder, folder());
    KZ_TRY(NfsObject found, session.lookup(holder, name));
    if (found.attributes.type != NfsType::file) return fail(Errc::invalid_argument, "not a regular file");
    return found;
}

Result<void> NfsPlace::reconnect(Deadline deadline) {
    KZ_TRY(session, NfsSession::open(server, address, port, deadline));
    return {};
}

}  // namespace kz::storage
