// The MOUNT protocol of NFSv3: what a host exports, and the handle of a folder in it. Internal to storage.
#pragma once

#include <string>
#include <vector>

#include "storage/nfs_rpc.h"
#include "storage/suri.h"

namespace kz::storage {

// A file or folder, as its server names it: 1 to 64 bytes.
using NfsHandle = std::string;
inline constexpr std::size_t kMaxNfsHandle = 64;

// Who asks whom.
struct NfsServer {
    std::string host;
    NfsIdentity identity;
    // "alice:staff (uid 1000, gid 50)", for messages.
    std::string account;

    // Errors: Errc::not_found for a user or group that this host does not know.
    static Result<NfsServer> of(const Suri& suri);
};

struct NfsMount {
    std::string folder;
    NfsHandle handle;
};

class MountService {
  public:
    // Errors: Errc::unavailable, Errc::timeout.
    static Result<MountService> open(const NfsServer& server, Deadline deadline);

    // Errors: Errc::not_found, Errc::permission, Errc::io.
    Result<NfsHandle> mount(const std::string& folder, Deadline deadline);
    // The folder itself if the server mounts it, which is what QEMU's client does, else the nearest above it
    // that it mounts. Errors: Errc::not_found when none of them is exported (says what is), Errc::permission
    // when one is, but not to us.
    Result<NfsMount> mount_nearest(const std::string& folder, Deadline deadline);
    // At most `limit` of them. Names are those of the server: not checked.
    Result<std::vector<std::string>> exports(std::size_t limit, Deadline deadline);

    const std::string& address() const { return connection_.address(); }

  private:
    MountService(NfsServer server, RpcConnection connection)
        : server_(std::move(server)), connection_(std::move(connection)) {}
    Error explain_refusal(const std::string& folder, Error refusal, Deadline deadline);

    NfsServer server_;
    RpcConnection connection_;
};

// What a server names may hold anything: '?' for what a terminal would act upon.
std::string printable(std::string text);

// "/a/b/c" is "/a/b"; "/a" is "/".
std::string nfs_parent(const std::string& path);

}  // namespace kz::storage
