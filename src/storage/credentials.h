// The rights with which a file is used: file://user:group@/path, nfs://user:group@host/path. Internal to
// storage.
#pragma once

#include <sys/types.h>

#include <optional>

#include "storage/suri.h"

namespace kz::storage {

// The number of an account of this host, by its name or the number itself. Errors: Errc::not_found.
Result<uid_t> find_user(const std::string& name);
Result<gid_t> find_group(const std::string& name);

// While it lives, this thread reaches files as the user and group that the SURI names (root squash of a
// mounted NFS share is what they are for). Without credentials in the SURI it changes nothing.
class ScopedCredentials {
  public:
    // Errors: Errc::not_found for an unknown account, Errc::permission when we may not take its rights.
    static Result<ScopedCredentials> enter(const Suri& suri);
    ScopedCredentials(ScopedCredentials&& other) noexcept;
    ScopedCredentials& operator=(ScopedCredentials&&) = delete;
    ~ScopedCredentials();

  private:
    struct Previous {
        uid_t uid;
        gid_t gid;
    };
    explicit ScopedCredentials(std::optional<Previous> previous) : previous_(previous) {}
    std::optional<Previous> previous_;
};

}  // namespace kz::storage
