// PackageCache: Debian packages, fetched by this machine's own apt and unpacked, kept for the next
// installation. For the installers.
//
// FOLDER/lock                          held while packages are fetched or read
// FOLDER/packages/NAME_VERSION_DIGEST/ one unpacked package; complete as soon as it has this name
// FOLDER/packages/.new-xxxxxx/         one being unpacked, or the remains of a crash (removed by the next
// user) FOLDER/sets/NAME                     which of them an installation used last: "REQUESTED FOLDER"
// lines
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "install/activity.h"
#include "os/file.h"
#include "os/paths.h"

namespace kz::install {

struct UnpackedPackage {
    std::string name;
    std::string version;
    Path tree;
};

struct PackageSet {
    std::vector<UnpackedPackage> packages;  // one for each name asked for
    bool offline = false;                   // apt could not deliver; these are of an earlier installation
};

// One package as apt names it before it is downloaded.
struct PackageCandidate {
    std::string name;
    std::string version;
    std::string digest;  // hexadecimal, of whatever kind the archive uses
};
// The last line that `apt-get download --print-uris` prints, "'URI' NAME_VERSION_ARCH.deb SIZE KIND:DIGEST".
Result<PackageCandidate> parse_print_uris(std::string_view output);
// The first "Depends: linux-image-..." of `apt-cache depends`; nothing when there is none.
std::optional<std::string> parse_kernel_dependency(std::string_view output);

// Holds the cache's lock until it is destroyed, so that nobody removes what this one reads.
class PackageCache {
  public:
    // Waits for the lock. Errors: Errc::cancelled.
    static Result<PackageCache> open(const Path& folder, const Activity& activity);

    // `set_name` names the record for use without a network; it must be usable as a file name. When apt fails
    // and the record of an earlier call with the same names is whole, that one is used and said.
    Result<PackageSet> fetch(const std::string& set_name, const std::vector<std::string>& names);

  private:
    PackageCache(Path folder, const Activity& activity, FileLock lock)
        : folder_(std::move(folder)), activity_(activity), lock_(std::move(lock)) {}

    Result<PackageSet> fetch_from_apt(const std::vector<std::string>& names) const;
    Result<UnpackedPackage> fetch_one(const std::string& name) const;
    Result<std::string> concrete_name(const std::string& name) const;
    Result<void> download(const PackageCandidate& candidate, const Path& target) const;
    std::optional<PackageSet> recorded(const std::string& set_name,
                                       const std::vector<std::string>& names) const;
    Result<void> record(const std::string& set_name, const std::vector<std::string>& names,
                        const PackageSet& set) const;
    void remove_unused() const;
    Path packages_dir() const { return folder_ / "packages"; }
    Path sets_dir() const { return folder_ / "sets"; }

    Path folder_;
    const Activity& activity_;
    FileLock lock_;
};

}  // namespace kz::install
