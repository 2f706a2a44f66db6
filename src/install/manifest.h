// Manifest: what `zoneadm install -m NAME` builds, as read from share/manifests/NAME.yaml. For the installers
// and the command that starts them. The keys are described in docs/manifests.md.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "install/profile.h"
#include "os/paths.h"

namespace kz::install {

// A file that the manifest adds to the root file system.
struct ManifestFile {
    Path path;  // absolute, without "..", in the zone
    mode_t mode = 0644;
    std::string content;
};

inline constexpr std::string_view kMiniBuilder = "mini";
inline constexpr std::string_view kDebianBuilder = "debian";

struct Manifest {
    std::string name;
    std::string builder;  // one of the two above
    std::string description;
    std::vector<std::string> packages;
    std::uint64_t minimum_size = 0;  // bytes that the zone sees of its disk
    std::uint64_t size = 0;          // of disks that are made for it; 0: not said
    std::string kernel_arguments;
    std::vector<ManifestFile> files;

    // mini only
    std::vector<std::string> initramfs_modules;
    std::vector<std::string> modules;

    // debian only
    std::string kernel;                // a package; one of `packages` too
    std::string release;               // empty: the host's
    std::vector<std::string> sources;  // lines of sources.list; kHostSources stands for the host's
    bool documentation = true;
    std::vector<ProfileUser> users;
    std::vector<std::string> commands;  // for the shell, in the new system

    std::string text;  // as it was read
};
inline constexpr std::string_view kHostSources = "host";

// `origin` names the text in errors: "ORIGIN:LINE: ...". Unknown, doubled and missing keys, values of the
// wrong kind and an unknown version or builder are Errc::invalid_argument.
Result<Manifest> parse_manifest(std::string_view text, std::string_view origin);

// "mini" is SHARE/manifests/mini.yaml; anything with a slash or ending in .yaml is a path.
// Errors: Errc::not_found names the manifests that there are.
Result<Manifest> load_manifest(std::string_view path_or_name, const Path& share);

}  // namespace kz::install
