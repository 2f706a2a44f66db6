// Arbitrary text as a manifest. What is refused names a line; what is accepted holds nothing that could
// become an option, a path outside or a second command.
#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "install/manifest.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    const auto manifest = install::parse_manifest(as_text({data, size}), "fuzz");
    if (!manifest) {
        if (manifest.error().code() != Errc::invalid_argument ||
            !manifest.error().message().starts_with("fuzz:"))
            std::abort();
        return 0;
    }
    for (const std::string& package : manifest->packages) {
        if (package.empty() || package.front() == '-' || package.find_first_of(" ,/\n") != std::string::npos)
            std::abort();
    }
    for (const install::ManifestFile& file : manifest->files) {
        if (!file.path.is_absolute() || file.path.string().find("/../") != std::string::npos) std::abort();
    }
    if (manifest->kernel_arguments.find_first_of("\n;`$") != std::string::npos) std::abort();
    return 0;
}
