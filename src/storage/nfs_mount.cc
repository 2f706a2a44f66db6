#include "storage/nfs_mount.h"

#include "base/text.h"
#include "storage/credentials.h"
#include "storage/nfs_wire.h"

namespace kz::storage {
namespace {

constexpr std::size_t kExportsShown = 16;
constexpr std::size_t kMaxPath = 1024;  // of the protocol

bool is_in(const std::string& folder, const std::string& top) {
    return top == "/" || folder == top || folder.starts_with(top + "/");
}

Result<void> outcome(mountstat3 status, const std::string& folder) {
    switch (status) {
        case MNT3_OK:
            return {};
        case MNT3ERR_NOENT:
        case MNT3ERR_NOTDIR:
            return fail(Errc::not_found, "{}: no such exported folder", folder);
        case MNT3ERR_PERM:
        case MNT3ERR_ACCES:
            return fail(Errc::permission, "{}: the server refuses to let this host mount it", folder);
        case MNT3ERR_NAMETOOLONG:
            return fail(Errc::invalid_argument, "{}: the server does not take so long a name", folder);
        default:
            return fail(Errc::io, "{}: the server cannot mount it (MOUNT error {})", folder,
                        static_cast<int>(status));
    }
}

}  // namespace

std::string printable(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return text;
}

std::string nfs_parent(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Result<NfsServer> NfsServer::of(const Suri& suri) {
    NfsServer server;
    server.host = suri.hostname().value_or("");
    KZ_TRY(server.identity.uid, find_user(suri.user().value_or("")));
    KZ_TRY(server.identity.gid, find_group(suri.group().value_or("")));
    server.account = fmt::format("{}:{} (uid {}, gid {})", *suri.user(), *suri.group(), server.identity.uid,
                                 server.identity.gid);
    return server;
}

Result<MountService> MountService::open(const NfsServer& server, Deadline deadline) {
    KZ_TRY(const std::uint16_t port,
           find_rpc_port(server.host, MOUNT_PROGRAM, MOUNT_V3, "NFS mount service", deadline));
    KZ_TRY_CONTEXT(RpcConnection connection,
                   RpcConnection::open(server.host, port, server.identity, deadline),
                   "cannot reach the server's NFS mount service");
    return MountService(server, std::move(connection));
}

Result<NfsHandle> MountService::mount(const std::string& folder, Deadline deadline) {
    if (folder.size() > kMaxPath)
        return fail(Errc::invalid_argument, "{}: longer than the {} bytes that NFS allows", folder, kMaxPath);
    mountstat3 status = MNT3ERR_SERVERFAULT;
    NfsHandle handle;
    KZ_CHECK_CONTEXT(connection_.call(
                         deadline,
                         [&](rpc_context* rpc, RpcConnection::Callback done, void* data) {
                             std::string name = folder;
                             return rpc_mount3_mnt_async(rpc, done, name.data(), data);
                         },
                         [&](const void* data) {
                             const auto& reply = *static_cast<const mountres3*>(data);
                             status = reply.fhs_status;
                             if (status != MNT3_OK) return;
                             const fhandle3& given = reply.mountres3_u.mountinfo.fhandle;
                             if (given.fhandle3_len <= kMaxNfsHandle)
                                 handle.assign(given.fhandle3_val, given.fhandle3_len);
                         }),
                     fmt::format("mount service of {}", server_.host));
    KZ_CHECK(outcome(status, folder));
    if (handle.empty())
        return fail(Errc::protocol, "{}: the server gives a file handle that is none", folder);
    return handle;
}

Result<NfsMount> MountService::mount_nearest(const std::string& folder, Deadline deadline) {
    std::optional<Error> refusal;
    for (std::string tried = folder;; tried = nfs_parent(tried)) {
        Result<NfsHandle> handle = mount(tried, deadline);
        if (handle) return NfsMount{tried, *std::move(handle)};
        const Errc code = handle.error().code();
        if (connection_.broken() || (code != Errc::not_found && code != Errc::permission))
            return std::unexpected(std::move(handle).error());
        if (!refusal || code == Errc::permission) refusal = std::move(handle).error();
        if (tried == "/") break;
    }
    return std::unexpected(explain_refusal(folder, std::move(*refusal), deadline));
}

Error MountService::explain_refusal(const std::string& folder, Error refusal, Deadline deadline) {
    const Result<std::vector<std::string>> listed = exports(kExportsShown, deadline);
    // Some servers keep the list to themselves.
    if (!listed) return refusal;
    for (const std::string& each : *listed) {
        if (!is_in(folder, each)) continue;
        if (refusal.code() == Errc::not_found) return refusal;
        return Error::make(Errc::permission,
                           "{} exports {}, but not to this host, or only to reserved source ports (export it "
                           "with 'insecure')",
                           server_.host, printable(each));
    }
    const std::string offered = listed->empty() ? "nothing" : printable(join(*listed, ", "));
    return Error::make(Errc::not_found, "{} does not export {}; it exports {}", server_.host, folder,
                       offered);
}

Result<std::vector<std::string>> MountService::exports(std::size_t limit, Deadline deadline) {
    std::vector<std::string> names;
    KZ_CHECK_CONTEXT(connection_.call(
                         deadline,
                         [](rpc_context* rpc, RpcConnection::Callback done, void* data) {
                             return rpc_mount3_export_async(rpc, done, data);
                         },
                         [&](const void* data) {
                             const exportnode* each = *static_cast<exportnode* const*>(data);
                             for (; each != nullptr && names.size() < limit; each = each->ex_next)
                                 names.emplace_back(each->ex_dir != nullptr ? each->ex_dir : "");
                         },
                         kMaxRpcListReply),
                     fmt::format("mount service of {}", server_.host));
    return names;
}

}  // namespace kz::storage
