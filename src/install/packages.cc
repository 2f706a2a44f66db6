#include "install/packages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <set>

#include "base/text.h"
#include "install/temp_folder.h"
#include "install/tools.h"

namespace kz::install {
namespace {

constexpr std::string_view kKernelPrefix = "linux-image-";
constexpr std::size_t kDigestShown = 16;
constexpr std::size_t kMaxRecordSize = 64 * 1024;

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    for (const std::string& line : split(text, '\n')) {
        if (const std::string_view trimmed = trim(line); !trimmed.empty()) lines.emplace_back(trimmed);
    }
    return lines;
}

// apt writes the colon of an epoch as %3a in file names.
std::string decode_version(std::string text) {
    const std::size_t colon = text.find("%3a");
    return colon == std::string::npos ? text : text.replace(colon, 3, ":");
}

std::string folder_name(const PackageCandidate& candidate) {
    return fmt::format("{}_{}_{}", candidate.name, candidate.version,
                       candidate.digest.substr(0, kDigestShown));
}

UnpackedPackage package_at(const Path& tree) {
    const std::vector<std::string> parts = split(tree.filename().string(), '_');
    return {parts[0], parts.size() > 1 ? parts[1] : "", tree};
}

// The names of renamed folders must not outlive a crash without what is in them.
Result<void> sync_file_system(const Path& folder) {
    KZ_TRY(const UniqueFd fd, open_file(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (::syncfs(fd.get()) != 0) return fail_errno(errno, folder.string());
    return {};
}

Result<Path> only_deb_in(const Path& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".deb") return entry.path();
    }
    return fail(Errc::not_found, "apt-get download left no package");
}

}  // namespace

Result<PackageCandidate> parse_print_uris(std::string_view output) {
    const std::vector<std::string> lines = lines_of(output);
    const std::vector<std::string> fields = lines.empty() ? lines : split(lines.back(), ' ');
    if (fields.size() != 4) return fail(Errc::protocol, "apt-get names no file to download");
    const std::vector<std::string> file = split(fields[1], '_');
    const std::size_t colon = fields[3].find(':');
    if (file.size() != 3 || colon == std::string::npos) {
        return fail(Errc::protocol, "apt-get names a file that is not understood: {}", lines.back());
    }
    PackageCandidate candidate{file[0], decode_version(file[1]), fields[3].substr(colon + 1)};
    const bool hex =
        std::ranges::all_of(candidate.digest, [](unsigned char c) { return std::isxdigit(c) != 0; });
    const bool plain = (candidate.name + candidate.version).find('/') == std::string::npos;
    if (!hex || candidate.digest.size() < kDigestShown || !plain) {
        return fail(Errc::protocol, "apt-get names a file that is not understood: {}", lines.back());
    }
    return candidate;
}

std::optional<std::string> parse_kernel_dependency(std::string_view output) {
    constexpr std::string_view kDepends = "Depends: ";
    for (const std::string& line : lines_of(output)) {
        if (!line.starts_with(kDepends)) continue;
        std::string name = line.substr(kDepends.size());
        if (name.starts_with(kKernelPrefix)) return name;
    }
    return std::nullopt;
}

Result<PackageCache> PackageCache::open(const Path& folder, const Activity& activity) {
    KZ_CHECK(make_directories(folder / "packages", 0755));
    KZ_CHECK(make_directories(folder / "sets", 0755));
    for (bool told = false;; told = true) {
        KZ_CHECK(activity.check());
        Result<FileLock> lock =
            FileLock::acquire(folder / "lock", Deadline::after(std::chrono::milliseconds(200)));
        if (lock) return PackageCache(folder, activity, *std::move(lock));
        if (lock.error().code() != Errc::busy) return std::unexpected(lock.error());
        if (!told) activity.say("Waiting for another installation that uses the package cache");
    }
}

Result<PackageSet> PackageCache::fetch(const std::string& set_name, const std::vector<std::string>& names) {
    Result<PackageSet> set = fetch_from_apt(names);
    if (set) {
        KZ_CHECK(record(set_name, names, *set));
        remove_unused();
        return set;
    }
    if (set.error().code() == Errc::cancelled) return set;
    std::optional<PackageSet> earlier = recorded(set_name, names);
    if (!earlier) return std::unexpected(std::move(set).error().context("cannot get the packages"));
    activity_.say("Packages are not to be had now ({}); using those of an earlier installation",
                  set.error().message());
    return *std::move(earlier);
}

Result<PackageSet> PackageCache::fetch_from_apt(const std::vector<std::string>& names) const {
    PackageSet set;
    for (const std::string& name : names) {
        KZ_TRY_CONTEXT(UnpackedPackage package, fetch_one(name), name);
        set.packages.push_back(std::move(package));
    }
    return set;
}

Result<UnpackedPackage> PackageCache::fetch_one(const std::string& name) const {
    KZ_CHECK(activity_.check());
    KZ_TRY(const std::string wanted, concrete_name(name));
    KZ_TRY(const std::string apt, find_tool("apt-get"));
    KZ_TRY(const std::string uris, activity_.run({apt, "-q", "download", "--print-uris", wanted}));
    KZ_TRY(const PackageCandidate candidate, parse_print_uris(uris));
    const Path target = packages_dir() / folder_name(candidate);
    if (!std::filesystem::exists(target)) {
        activity_.say("Fetching {} {}", candidate.name, candidate.version);
        KZ_CHECK(download(candidate, target));
    }
    return UnpackedPackage{candidate.name, candidate.version, target};
}

// linux-image-cloud-amd64 is an empty package that depends on the newest kernel; linux-image-6.1... is a
// kernel.
Result<std::string> PackageCache::concrete_name(const std::string& name) const {
    const bool unversioned = name.starts_with(kKernelPrefix) && name.size() > kKernelPrefix.size() &&
                             !std::isdigit(static_cast<unsigned char>(name[kKernelPrefix.size()]));
    if (!unversioned) return name;
    KZ_TRY(const std::string apt_cache, find_tool("apt-cache"));
    KZ_TRY_CONTEXT(const std::string depends, activity_.run({apt_cache, "depends", "--important", name}),
                   "is the list of packages there (apt-get update)?");
    return parse_kernel_dependency(depends).value_or(name);
}

Result<void> PackageCache::download(const PackageCandidate& candidate, const Path& target) const {
    KZ_TRY(const std::string apt, find_tool("apt-get"));
    KZ_TRY(const std::string dpkg_deb, find_tool("dpkg-deb"));
    KZ_TRY(const TempFolder staging, TempFolder::create(packages_dir(), ".new-"));
    std::vector<std::string> command = {
        apt, "-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"};
    // apt would else try to become a user who cannot write here, and warn.
    if (::geteuid() == 0) command.insert(command.end(), {"-o", "APT::Sandbox::User=root"});
    command.insert(command.end(), {"download", candidate.name + "=" + candidate.version});
    KZ_CHECK(activity_.run(std::move(command), staging.path()));
    KZ_TRY(const Path deb, only_deb_in(staging.path()));
    const Path tree = staging.path() / "tree";
    KZ_CHECK(activity_.run({dpkg_deb, "-x", deb, tree}));
    KZ_CHECK(sync_file_system(tree));
    if (::rename(tree.c_str(), target.c_str()) != 0) return fail_errno(errno, target.string());
    return sync_directory(packages_dir());
}

std::optional<PackageSet> PackageCache::recorded(const std::string& set_name,
                                                 const std::vector<std::string>& names) const {
    const Result<std::string> text = read_file(sets_dir() / set_name, kMaxRecordSize);
    if (!text) return std::nullopt;
    const std::vector<std::string> lines = lines_of(*text);
    if (lines.size() != names.size()) return std::nullopt;
    PackageSet set{{}, true};
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::vector<std::string> fields = split(lines[i], ' ');
        if (fields.size() != 2 || fields[0] != names[i]) return std::nullopt;
        const Path tree = packages_dir() / fields[1];
        if (!std::filesystem::is_directory(tree)) return std::nullopt;
        set.packages.push_back(package_at(tree));
    }
    return set;
}

Result<void> PackageCache::record(const std::string& set_name, const std::vector<std::string>& names,
                                  const PackageSet& set) const {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += fmt::format("{} {}\n", names[i], set.packages[i].tree.filename().string());
    }
    return write_file_atomic(sets_dir() / set_name, text, 0644);
}

// A cache that cannot be tidied up is no reason to fail.
void PackageCache::remove_unused() const {
    std::set<std::string> used;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(sets_dir(), ignored)) {
        const Result<std::string> text = read_file(entry.path(), kMaxRecordSize);
        if (!text) return;
        for (const std::string& line : lines_of(*text))
            used.insert(split(line, ' ').back());
    }
    std::vector<Path> unused;
    for (const auto& entry : std::filesystem::directory_iterator(packages_dir(), ignored)) {
        if (!used.contains(entry.path().filename().string())) unused.push_back(entry.path());
    }
    for (const Path& path : unused)
        std::filesystem::remove_all(path, ignored);
}

}  // namespace kz::install
