// NfsSession: the procedures of NFSv3 that volumes need, over one connection. Internal to storage.
//
// Every procedure ends by the deadline that the session was given last. A server that asks for patience
// (NFS3ERR_JUKEBOX) is asked again until then. Errors of procedures say what the server answered and, where
// it is about rights, who asked; the file is for the caller to name. After Errc::timeout, and after every
// fault of the connection, it is broken() (see storage/nfs_rpc.h).
#pragma once

#include <array>
#include <optional>

#include "base/bytes.h"
#include "storage/nfs_mount.h"

namespace kz::storage {

enum class NfsType { file = 1, folder, other };

struct NfsAttributes {
    NfsType type = NfsType::other;
    std::uint64_t size = 0;
    std::uint64_t fsid = 0;
    std::uint64_t fileid = 0;
    bool same_file(const NfsAttributes& other) const {
        return type == other.type && fsid == other.fsid && fileid == other.fileid;
    }
};

struct NfsObject {
    NfsHandle handle;
    NfsAttributes attributes;
};

struct NfsEntry {
    std::string name;
    std::optional<NfsAttributes> attributes;
    NfsHandle handle;  // empty: not told
};

// How much one call may carry, made sane.
struct NfsLimits {
    std::uint32_t read = 0;
    std::uint32_t write = 0;
};

// What a creator is known by, should it have to ask whether it was the creator.
using NfsVerifier = std::array<char, 8>;

struct NfsListing {
    std::vector<NfsEntry> entries;
    bool complete = false;
};

class NfsSession {
  public:
    // Errors: Errc::unavailable, Errc::timeout.
    static Result<NfsSession> open(const NfsServer& server, const std::string& address, std::uint16_t port,
                                   Deadline deadline);

    void set_deadline(Deadline deadline) { deadline_ = deadline; }
    bool usable() const { return !connection_.broken() && !connection_.closed_by_peer(); }
    bool broken() const { return connection_.broken(); }
    // Ends the connection: the session is broken() from now on.
    void abandon() { connection_.close(); }

    Result<NfsAttributes> attributes(const NfsHandle& handle);
    // `name` is one component.
    Result<NfsObject> lookup(const NfsHandle& folder, const std::string& name);
    Result<NfsLimits> limits(const NfsHandle& handle);
    // Whether we may read and change it; Errc::permission, which tells why, if not.
    Result<void> check_access(const NfsHandle& file);

    // Fills `out`, of at most NfsLimits::read bytes, or less of it; at least one byte.
    Result<std::size_t> read(const NfsHandle& file, std::uint64_t offset, MutableBytes out);
    // As many as the server took, at least one byte; they are on stable storage. Nothing is sent to a server
    // that does not answer a call without effect just before.
    Result<std::size_t> write(const NfsHandle& file, std::uint64_t offset, ByteView bytes);

    // Fails with Errc::already_exists unless the file was made by this very call, or an earlier one with the
    // same verifier. The file is empty, and its mode whatever the server gives it.
    Result<NfsObject> create(const NfsHandle& folder, const std::string& name, const NfsVerifier& verifier);
    Result<void> set_mode(const NfsHandle& file, std::uint32_t mode);
    // Also sets its times, which create() leaves at values of no meaning.
    Result<void> set_size(const NfsHandle& file, std::uint64_t size);
    Result<NfsObject> make_folder(const NfsHandle& folder, const std::string& name, std::uint32_t mode);
    Result<void> remove(const NfsHandle& folder, const std::string& name);
    Result<void> remove_folder(const NfsHandle& folder, const std::string& name);
    // At most about `limit` entries.
    Result<NfsListing> list(const NfsHandle& folder, std::size_t limit);

  private:
    NfsSession(NfsServer server, RpcConnection connection, Deadline deadline)
        : server_(std::move(server)), connection_(std::move(connection)), deadline_(deadline) {}

    template <typename Reply>
    Result<void> ask(const RpcConnection::Start& start, const std::function<Result<void>(const Reply&)>& take,
                     std::uint32_t max_reply = kMaxRpcReply);
    Result<void> probe();
    Error failure(int status) const;
    Result<NfsObject> object(const NfsHandle& folder, const std::string& name, NfsObject found, bool told);

    NfsServer server_;
    RpcConnection connection_;
    Deadline deadline_;
};

}  // namespace kz::storage
