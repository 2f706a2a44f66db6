// Kernel modules: which file a name stands for, and what must be loaded before it. For the installers; the
// host needs no depmod.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "os/paths.h"

namespace kz::install {

// "virtio-rng" and "virtio_rng" are one module; this is the second spelling.
std::string module_name(std::string_view name);

// The names in a module's own list of what it needs ("depends=" of its .modinfo section).
std::vector<std::string> module_dependencies(ByteView module);

struct KernelModule {
    std::string name;
    Path path;  // below the modules' folder, always ending in .ko
    std::vector<std::string> dependencies;
    Bytes content;  // never compressed
};

// The modules of one kernel.
class ModuleIndex {
  public:
    // `folder` is /lib/modules/RELEASE. Lists the files, reads none of them.
    static Result<ModuleIndex> scan(const Path& folder);

    // The named modules and all that they need, each once, in an order in which they can be loaded. Modules
    // that are built into the kernel are left out. Errors: Errc::not_found for a module that this kernel has
    // not got, Errc::corrupt for modules that need each other.
    Result<std::vector<KernelModule>> closure(const std::vector<std::string>& names) const;

  private:
    struct Walk;
    Result<void> visit(const std::string& name, Walk& walk) const;

    Path folder_;
    std::map<std::string, Path> modules_;
    std::map<std::string, Path> built_in_;
};

// The text of modules.dep for modules in loading order, as modprobe reads it: "PATH: what it needs, nearest
// first".
std::string render_modules_dep(const std::vector<KernelModule>& modules);

}  // namespace kz::install
