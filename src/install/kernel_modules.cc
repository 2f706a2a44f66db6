#include "install/kernel_modules.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "base/text.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/process.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxModuleSize = 16 * 1024 * 1024;

std::string strip_suffix(std::string_view file_name) {
    return module_name(file_name.substr(0, file_name.find(".ko")));
}

// Debian 13 and later compress modules.
Result<std::string> read_module(const Path& path) {
    if (path.extension() != ".xz") return read_file(path, kMaxModuleSize);
    KZ_TRY(const std::string xz, find_tool("xz"));
    return run_checked({xz, "-dc", path});
}

}  // namespace

std::string module_name(std::string_view name) {
    std::string normal(name);
    std::ranges::replace(normal, '-', '_');
    return normal;
}

std::vector<std::string> module_dependencies(ByteView module) {
    constexpr std::string_view kKey("\0depends=", 9);
    const std::string_view text = as_text(module);
    const std::size_t key = text.find(kKey);
    if (key == std::string_view::npos) return {};
    const std::string_view rest = text.substr(key + kKey.size());
    std::vector<std::string> names;
    for (const std::string& name : split(rest.substr(0, rest.find('\0')), ',')) {
        if (!name.empty()) names.push_back(module_name(name));
    }
    return names;
}

Result<ModuleIndex> ModuleIndex::scan(const Path& folder) {
    ModuleIndex index;
    index.folder_ = folder;
    std::error_code error;
    for (auto it = std::filesystem::recursive_directory_iterator(folder / "kernel", error);
         !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
        const Path& path = it->path();
        if (path.extension() != ".ko" && !path.string().ends_with(".ko.xz")) continue;
        index.modules_[strip_suffix(path.filename().string())] = path.lexically_relative(folder);
    }
    if (error) return fail_errno(error.value(), folder.string());
    KZ_TRY(const std::string built_in, read_file(folder / "modules.builtin", kMaxModuleSize));
    for (const std::string& line : split(built_in, '\n')) {
        if (!line.empty()) index.built_in_[strip_suffix(Path(line).filename().string())] = line;
    }
    return index;
}

struct ModuleIndex::Walk {
    std::vector<KernelModule> ordered;
    std::set<std::string> open;
    std::set<std::string> done;
};

Result<void> ModuleIndex::visit(const std::string& name, Walk& walk) const {
    if (walk.done.contains(name) || built_in_.contains(name)) return {};
    const auto found = modules_.find(name);
    if (found == modules_.end()) return fail(Errc::not_found, "this kernel has no module {}", name);
    if (!walk.open.insert(name).second) return fail(Errc::corrupt, "the module {} needs itself", name);
    KZ_TRY_CONTEXT(const std::string content, read_module(folder_ / found->second), name);
    KernelModule module{
        name, found->second, module_dependencies(as_bytes(content)), {content.begin(), content.end()}};
    if (module.path.extension() == ".xz") module.path.replace_extension();
    for (const std::string& needed : module.dependencies)
        KZ_CHECK_CONTEXT(visit(needed, walk), name);
    walk.ordered.push_back(std::move(module));
    walk.done.insert(name);
    return {};
}

Result<std::vector<KernelModule>> ModuleIndex::closure(const std::vector<std::string>& names) const {
    Walk walk;
    for (const std::string& name : names)
        KZ_CHECK(visit(module_name(name), walk));
    return std::move(walk.ordered);
}

std::string render_modules_dep(const std::vector<KernelModule>& modules) {
    std::string text;
    std::map<std::string, std::set<std::string>> needed_by;
    for (auto module = modules.begin(); module != modules.end(); ++module) {
        std::set<std::string>& all = needed_by[module->name];
        for (const std::string& name : module->dependencies) {
            all.insert(name);
            all.insert(needed_by[name].begin(), needed_by[name].end());
        }
        text += module->path.string() + ":";
        // modprobe loads from the last to the first, so the loading order is turned round.
        for (auto other = std::make_reverse_iterator(module); other != modules.rend(); ++other) {
            if (all.contains(other->name)) text += " " + other->path.string();
        }
        text += "\n";
    }
    return text;
}

}  // namespace kz::install
