#include "storage/nfs_session.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "storage/nfs_wire.h"

namespace kz::storage {
namespace {

using Callback = RpcConnection::Callback;

constexpr std::uint32_t kMinTransfer = 4096;
// Below what libnfs takes as one reply.
constexpr std::uint32_t kMaxTransfer = 512 * 1024;
constexpr std::uint32_t kListingBytes = 32 * 1024;
constexpr useconds_t kPatience = 50'000;

nfs_fh3 wire(const NfsHandle& handle) {
    return {{static_cast<u_int>(handle.size()), const_cast<char*>(handle.data())}};
}

diropargs3 wire(const NfsHandle& folder, const std::string& name) {
    return {wire(folder), const_cast<char*>(name.c_str())};
}

NfsHandle handle_of(const nfs_fh3& handle) {
    return handle.data.data_len <= kMaxNfsHandle ? NfsHandle(handle.data.data_val, handle.data.data_len)
                                                 : NfsHandle();
}

NfsAttributes attributes_of(const fattr3& given) {
    const NfsType type = given.type == NF3REG   ? NfsType::file
                         : given.type == NF3DIR ? NfsType::folder
                                                : NfsType::other;
    return {type, given.size, given.fsid, given.fileid};
}

std::optional<NfsAttributes> attributes_of(const post_op_attr& given) {
    if (given.attributes_follow == 0) return std::nullopt;
    return attributes_of(given.post_op_attr_u.attributes);
}

NfsHandle handle_of(const post_op_fh3& given) {
    return given.handle_follows != 0 ? handle_of(given.post_op_fh3_u.handle) : NfsHandle();
}

std::uint32_t sane(std::uint32_t transfer) {
    // Whole pages, so that writes end on the blocks of volumes.
    return std::clamp(transfer, kMinTransfer, kMaxTransfer) / kMinTransfer * kMinTransfer;
}

sattr3 no_attributes() {
    sattr3 attributes;
    std::memset(&attributes, 0, sizeof attributes);
    return attributes;
}

sattr3 mode_attribute(std::uint32_t mode) {
    sattr3 attributes = no_attributes();
    attributes.mode.set_it = 1;
    attributes.mode.set_mode3_u.mode = mode;
    return attributes;
}

}  // namespace

Result<NfsSession> NfsSession::open(const NfsServer& server, const std::string& address, std::uint16_t port,
                                    Deadline deadline) {
    KZ_TRY_CONTEXT(RpcConnection connection, RpcConnection::open(address, port, server.identity, deadline),
                   fmt::format("cannot reach the NFS service of {}", server.host));
    return NfsSession(server, std::move(connection), deadline);
}

Error NfsSession::failure(int status) const {
    switch (status) {
        case NFS3ERR_NOENT:
        case NFS3ERR_NOTDIR:
            return Error(Errc::not_found, "no such file or folder");
        case NFS3ERR_PERM:
        case NFS3ERR_ACCES: {
            Error error = Error::make(Errc::permission, "the server denies it to {}", server_.account);
            if (server_.identity.uid != 0) return error;
            return std::move(error).append(
                "servers take root of another host for nobody (root_squash): name another user in the SURI");
        }
        case NFS3ERR_ROFS:
            return Error(Errc::permission, "the server exports it for reading only");
        case NFS3ERR_NOSPC:
            return Error(Errc::no_space, "no space left on the server");
        case NFS3ERR_DQUOT:
            return Error::make(Errc::no_space, "the quota of {} on the server is used up", server_.account);
        case NFS3ERR_EXIST:
            return Error(Errc::already_exists, "exists already");
        case NFS3ERR_FBIG:
            return Error(Errc::invalid_argument, "larger than the server can store");
        case NFS3ERR_NAMETOOLONG:
            return Error(Errc::invalid_argument, "a name that is longer than the server can store");
        case NFS3ERR_ISDIR:
            return Error(Errc::invalid_argument, "a folder, not a file");
        case NFS3ERR_STALE:
        case NFS3ERR_BADHANDLE:
            return Error(Errc::not_found, "it was removed on the server, or is no longer exported");
        case NFS3ERR_JUKEBOX:
            return Error(Errc::timeout, "the server asked for patience until the time was over");
        default:
            return Error::make(Errc::io, "the server answers {} ({})", nfsstat3_to_str(status), status);
    }
}

template <typename Reply>
Result<void> NfsSession::ask(const RpcConnection::Start& start,
                             const std::function<Result<void>(const Reply&)>& take, std::uint32_t max_reply) {
    while (true) {
        nfsstat3 status = NFS3_OK;
        Result<void> taken;
        KZ_CHECK_CONTEXT(connection_.call(
                             deadline_, start,
                             [&](const void* data) {
                                 const auto& reply = *static_cast<const Reply*>(data);
                                 status = reply.status;
                                 if (status == NFS3_OK) taken = take(reply);
                             },
                             max_reply),
                         fmt::format("NFS service of {}", server_.host));
        if (status == NFS3_OK) return taken;
        if (status != NFS3ERR_JUKEBOX || deadline_.passed()) return std::unexpected(failure(status));
        ::usleep(kPatience);
    }
}

Result<NfsAttributes> NfsSession::attributes(const NfsHandle& handle) {
    NfsAttributes found;
    GETATTR3args args{wire(handle)};
    KZ_CHECK(ask<GETATTR3res>([&](rpc_context* rpc, Callback done,
                                  void* data) { return rpc_nfs3_getattr_async(rpc, done, &args, data); },
                              [&](const GETATTR3res& reply) -> Result<void> {
                                  found = attributes_of(reply.GETATTR3res_u.resok.obj_attributes);
                                  return {};
                              }));
    return found;
}

// Of a reply that may leave out handle (empty) and attributes (not `told`).
Result<NfsObject> NfsSession::object(const NfsHandle& folder, const std::string& name, NfsObject found,
                                     bool told) {
    if (found.handle.empty()) return lookup(folder, name);
    if (!told) {
        KZ_TRY(found.attributes, attributes(found.handle));
    }
    return found;
}

Result<NfsObject> NfsSession::lookup(const NfsHandle& folder, const std::string& name) {
    NfsObject found;
    std::optional<NfsAttributes> told;
    LOOKUP3args args{wire(folder, name)};
    KZ_CHECK(ask<LOOKUP3res>([&](rpc_context* rpc, Callback done,
                                 void* data) { return rpc_nfs3_lookup_async(rpc, done, &args, data); },
                             [&](const LOOKUP3res& reply) -> Result<void> {
                                 found.handle = handle_of(reply.LOOKUP3res_u.resok.object);
                                 told = attributes_of(reply.LOOKUP3res_u.resok.obj_attributes);
                                 return {};
                             }));
    if (found.handle.empty()) return fail(Errc::protocol, "the server gives a file handle that is none");
    if (told) found.attributes = *told;
    return object(folder, name, std::move(found), told.has_value());
}

Result<NfsLimits> NfsSession::limits(const NfsHandle& handle) {
    NfsLimits found;
    FSINFO3args args{wire(handle)};
    KZ_CHECK(ask<FSINFO3res>([&](rpc_context* rpc, Callback done,
                                 void* data) { return rpc_nfs3_fsinfo_async(rpc, done, &args, data); },
                             [&](const FSINFO3res& reply) -> Result<void> {
                                 found = {sane(reply.FSINFO3res_u.resok.rtmax),
                                          sane(reply.FSINFO3res_u.resok.wtmax)};
                                 return {};
                             }));
    return found;
}

Result<void> NfsSession::check_access(const NfsHandle& file) {
    std::uint32_t granted = 0;
    ACCESS3args args{wire(file), ACCESS3_READ | ACCESS3_MODIFY};
    KZ_CHECK(ask<ACCESS3res>([&](rpc_context* rpc, Callback done,
                                 void* data) { return rpc_nfs3_access_async(rpc, done, &args, data); },
                             [&](const ACCESS3res& reply) -> Result<void> {
                                 granted = reply.ACCESS3res_u.resok.access;
                                 return {};
                             }));
    if ((granted & args.access) == args.access) return {};
    if ((granted & ACCESS3_MODIFY) == 0) {
        // A write of nothing fails for the same reason, but tells it.
        const Result<std::size_t> tried = write(file, 0, {});
        if (!tried && tried.error().code() == Errc::permission) return std::unexpected(tried.error());
    }
    return std::unexpected(failure(NFS3ERR_ACCES));
}

Result<std::size_t> NfsSession::read(const NfsHandle& file, std::uint64_t offset, MutableBytes out) {
    std::size_t got = 0;
    READ3args args{wire(file), offset, static_cast<count3>(out.size())};
    KZ_CHECK(ask<READ3res>(
        [&](rpc_context* rpc, Callback done, void* data) {
            return rpc_nfs3_read_async(rpc, done, &args, data);
        },
        [&](const READ3res& reply) -> Result<void> {
            const auto& data = reply.READ3res_u.resok.data;
            if (data.data_len > out.size() || data.data_len != reply.READ3res_u.resok.count)
                return fail(Errc::protocol, "the server answers a read with another length than it says");
            got = data.data_len;
            if (got > 0) std::memcpy(out.data(), data.data_val, got);
            return {};
        }));
    if (got == 0) return fail(Errc::io, "shorter than it was when opened");
    return got;
}

Result<void> NfsSession::probe() {
    KZ_CHECK_CONTEXT(
        connection_.call(
            deadline_,
            [](rpc_context* rpc, Callback done, void* data) { return rpc_nfs3_null_async(rpc, done, data); },
            nullptr),
        fmt::format("NFS service of {}", server_.host));
    return {};
}

Result<std::size_t> NfsSession::write(const NfsHandle& file, std::uint64_t offset, ByteView bytes) {
    KZ_CHECK(probe());
    std::size_t taken = 0;
    bool durable = false;
    WRITE3args args{
        wire(file),
        offset,
        static_cast<count3>(bytes.size()),
        FILE_SYNC,
        {static_cast<u_int>(bytes.size()), reinterpret_cast<char*>(const_cast<Byte*>(bytes.data()))}};
    KZ_CHECK(ask<WRITE3res>([&](rpc_context* rpc, Callback done,
                                void* data) { return rpc_nfs3_write_async(rpc, done, &args, data); },
                            [&](const WRITE3res& reply) -> Result<void> {
                                taken = reply.WRITE3res_u.resok.count;
                                durable = reply.WRITE3res_u.resok.committed == FILE_SYNC;
                                return {};
                            }));
    if (!durable && !bytes.empty())
        return fail(Errc::protocol, "the server did not write to stable storage, as it was asked to");
    if (taken > bytes.size() || (taken == 0 && !bytes.empty()))
        return fail(Errc::protocol, "the server says that it wrote {} of {} bytes", taken, bytes.size());
    return taken;
}

Result<NfsObject> NfsSession::create(const NfsHandle& folder, const std::string& name,
                                     const NfsVerifier& verifier) {
    NfsObject made;
    std::optional<NfsAttributes> told;
    CREATE3args args;
    std::memset(&args, 0, sizeof args);
    args.where = wire(folder, name);
    args.how.mode = EXCLUSIVE;
    std::memcpy(args.how.createhow3_u.verf, verifier.data(), verifier.size());
    KZ_CHECK(ask<CREATE3res>([&](rpc_context* rpc, Callback done,
                                 void* data) { return rpc_nfs3_create_async(rpc, done, &args, data); },
                             [&](const CREATE3res& reply) -> Result<void> {
                                 made.handle = handle_of(reply.CREATE3res_u.resok.obj);
                                 told = attributes_of(reply.CREATE3res_u.resok.obj_attributes);
                                 return {};
                             }));
    if (told) made.attributes = *told;
    return object(folder, name, std::move(made), told.has_value());
}

Result<void> NfsSession::set_mode(const NfsHandle& file, std::uint32_t mode) {
    SETATTR3args args;
    std::memset(&args, 0, sizeof args);
    args.object = wire(file);
    args.new_attributes = mode_attribute(mode);
    return ask<SETATTR3res>([&](rpc_context* rpc, Callback done,
                                void* data) { return rpc_nfs3_setattr_async(rpc, done, &args, data); },
                            [](const SETATTR3res&) -> Result<void> { return {}; });
}

Result<void> NfsSession::set_size(const NfsHandle& file, std::uint64_t size) {
    SETATTR3args args;
    std::memset(&args, 0, sizeof args);
    args.object = wire(file);
    args.new_attributes.size.set_it = 1;
    args.new_attributes.size.set_size3_u.size = size;
    args.new_attributes.atime.set_it = SET_TO_SERVER_TIME;
    args.new_attributes.mtime.set_it = SET_TO_SERVER_TIME;
    return ask<SETATTR3res>([&](rpc_context* rpc, Callback done,
                                void* data) { return rpc_nfs3_setattr_async(rpc, done, &args, data); },
                            [](const SETATTR3res&) -> Result<void> { return {}; });
}

Result<NfsObject> NfsSession::make_folder(const NfsHandle& folder, const std::string& name,
                                          std::uint32_t mode) {
    NfsObject made;
    std::optional<NfsAttributes> told;
    MKDIR3args args{wire(folder, name), mode_attribute(mode)};
    KZ_CHECK(ask<MKDIR3res>([&](rpc_context* rpc, Callback done,
                                void* data) { return rpc_nfs3_mkdir_async(rpc, done, &args, data); },
                            [&](const MKDIR3res& reply) -> Result<void> {
                                made.handle = handle_of(reply.MKDIR3res_u.resok.obj);
                                told = attributes_of(reply.MKDIR3res_u.resok.obj_attributes);
                                return {};
                            }));
    if (told) made.attributes = *told;
    return object(folder, name, std::move(made), told.has_value());
}

Result<void> NfsSession::remove(const NfsHandle& folder, const std::string& name) {
    REMOVE3args args{wire(folder, name)};
    return ask<REMOVE3res>([&](rpc_context* rpc, Callback done,
                               void* data) { return rpc_nfs3_remove_async(rpc, done, &args, data); },
                           [](const REMOVE3res&) -> Result<void> { return {}; });
}

Result<void> NfsSession::remove_folder(const NfsHandle& folder, const std::string& name) {
    RMDIR3args args{wire(folder, name)};
    return ask<RMDIR3res>([&](rpc_context* rpc, Callback done,
                              void* data) { return rpc_nfs3_rmdir_async(rpc, done, &args, data); },
                          [](const RMDIR3res&) -> Result<void> { return {}; });
}

Result<NfsListing> NfsSession::list(const NfsHandle& folder, std::size_t limit) {
    NfsListing listing;
    READDIRPLUS3args args;
    std::memset(&args, 0, sizeof args);
    args.dir = wire(folder);
    args.dircount = kListingBytes;
    args.maxcount = kListingBytes;
    while (!listing.complete && listing.entries.size() < limit) {
        const std::size_t before = listing.entries.size();
        KZ_CHECK(ask<READDIRPLUS3res>(
            [&](rpc_context* rpc, Callback done, void* data) {
                return rpc_nfs3_readdirplus_async(rpc, done, &args, data);
            },
            [&](const READDIRPLUS3res& reply) -> Result<void> {
                const READDIRPLUS3resok& part = reply.READDIRPLUS3res_u.resok;
                std::memcpy(args.cookieverf, part.cookieverf, sizeof args.cookieverf);
                for (const entryplus3* each = part.reply.entries; each != nullptr; each = each->nextentry) {
                    args.cookie = each->cookie;
                    listing.entries.push_back({each->name != nullptr ? each->name : "",
                                               attributes_of(each->name_attributes),
                                               handle_of(each->name_handle)});
                }
                listing.complete = part.reply.eof != 0;
                return {};
            },
            kMaxRpcListReply));
        // It neither ends nor goes on.
        if (!listing.complete && listing.entries.size() == before) break;
    }
    return listing;
}

}  // namespace kz::storage
