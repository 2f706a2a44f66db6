// BaseCache: whole systems as mmdebstrap made them, packed, kept for the next installation. For the Debian
// builder.
//
// FOLDER/bases/lock           held while one is made or unpacked
// FOLDER/bases/KEY.tar.zst    one base: everything that zones of the same manifest have in common
// FOLDER/bases/KEY.json       {"name": manifest, "sha256": of the archive}; written last: complete with it
// FOLDER/bases/.new-xxxxxx/   one being made, or the remains of a crash (removed by the next user)
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "install/activity.h"
#include "os/file.h"
#include "os/paths.h"

namespace kz::install {

struct BaseRequest {
    std::string name;  // of the manifest; the older bases of the same name go when a new one is there
    std::string key;   // hexadecimal; names what the base is made of
    // Makes the system in the given folder, which does not exist, with `work` for whatever else it needs.
    std::function<Result<void>(const Path& tree, const Path& work)> make;
    std::int64_t newest_time = 0;  // no file of the base is younger; seconds since 1970, 0: as they are
};

class BaseCache {
  public:
    // Waits for the lock. Errors: Errc::cancelled.
    static Result<BaseCache> open(const Path& folder, const Activity& activity);

    // Unpacks the base into the existing, empty folder `tree`; makes it first when there is none or when it
    // is damaged. When it cannot be made and an older one of the same name is whole, that one is used and
    // said.
    Result<void> unpack(const BaseRequest& request, const Path& tree);

  private:
    BaseCache(Path folder, const Activity& activity, FileLock lock)
        : folder_(std::move(folder)), activity_(activity), lock_(std::move(lock)) {}

    Result<void> make(const BaseRequest& request);
    Result<void> pack(const BaseRequest& request, const Path& tree, const Path& archive) const;
    // The archive of a key, when it is whole.
    Result<Path> whole(const std::string& key) const;
    Result<std::string> older(const BaseRequest& request) const;
    void remove_others(const BaseRequest& request) const;
    void remove_remains() const;

    Path folder_;
    const Activity& activity_;
    FileLock lock_;
};

}  // namespace kz::install
