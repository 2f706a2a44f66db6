#include "install/apt_sources.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <iomanip>
#include <locale>
#include <set>
#include <sstream>

#include "base/text.h"
#include "crypto/hash.h"
#include "install/tools.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxReleaseFile = 16 * 1024 * 1024;
constexpr const char* kOsRelease = "/etc/os-release";

bool belongs_to(const IndexTarget& target, const std::string& release) {
    const std::array<std::string, 3> suites = {release, release + "-updates", release + "-security"};
    return target.origin == "Debian" && std::ranges::find(suites, target.codename) != suites.end();
}

// ".../HOST_debian_dists_bookworm_main_binary-amd64_Packages" -> "...HOST_debian_dists_bookworm_"
std::string release_prefix(const IndexTarget& target) {
    constexpr std::string_view kDists = "_dists_";
    const std::size_t at = target.file.rfind(kDists);
    if (at == std::string::npos) return {};
    std::string release = target.release;
    std::ranges::replace(release, '/', '_');
    return target.file.substr(0, at + kDists.size()) + release + "_";
}

// What apt knows of the archive now. A list that was never fetched adds nothing.
void add_state(const std::set<std::string>& prefixes, AptSources& sources) {
    crypto::Sha256 digest;
    for (const std::string& prefix : prefixes) {
        for (const char* name : {"InRelease", "Release"}) {
            const Result<std::string> text = read_file(prefix + name, kMaxReleaseFile);
            if (!text) continue;
            digest.update(as_bytes(*text));
            sources.newest = std::max(sources.newest, release_date(*text));
            break;
        }
    }
    sources.state_digest = to_hex(digest.finish());
}

Result<void> add_host_sources(const Activity& activity, AptSources& sources) {
    KZ_TRY(const std::string apt, find_tool("apt-get"));
    KZ_TRY(const std::string output, activity.run({apt, "indextargets", "--format",
                                                   std::string(kIndexTargetFormat), "Created-By: Packages"}));
    std::set<std::string> prefixes;
    for (const IndexTarget& target : parse_index_targets(output)) {
        if (!belongs_to(target, sources.release)) continue;
        std::string line = fmt::format("deb {} {} {}", target.uri, target.release, target.component);
        if (std::ranges::find(sources.lines, line) == sources.lines.end()) sources.lines.push_back(line);
        prefixes.insert(release_prefix(target));
    }
    if (prefixes.empty()) {
        return fail(Errc::not_found,
                    "this machine's apt has no list of packages of Debian {}: is it among its sources, and "
                    "has apt-get update run?",
                    sources.release);
    }
    add_state(prefixes, sources);
    return {};
}

Result<std::string> host_release() {
    const Result<std::string> text = read_file(kOsRelease, kMaxReleaseFile);
    const std::string id = text ? os_release_value(*text, "ID") : "";
    const std::string release = text ? os_release_value(*text, "VERSION_CODENAME") : "";
    if (id == "debian" && !release.empty()) return release;
    return fail(Errc::unsupported,
                "this host is no Debian: a manifest for it names 'release' and 'sources' of its own");
}

}  // namespace

std::vector<IndexTarget> parse_index_targets(std::string_view output) {
    std::vector<IndexTarget> targets;
    for (const std::string& line : split(output, '\n')) {
        const std::vector<std::string> fields = split(line, '|');
        if (fields.size() == 6)
            targets.push_back({fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]});
    }
    return targets;
}

std::string os_release_value(std::string_view text, std::string_view key) {
    for (const std::string& line : split(text, '\n')) {
        if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '=') continue;
        std::string value = line.substr(key.size() + 1);
        std::erase_if(value, [](char c) { return c == '"' || c == '\''; });
        return value;
    }
    return {};
}

std::string fetch_configuration(std::string_view dump) {
    constexpr std::array<std::string_view, 12> kWanted = {
        "Proxy",  "Verify-",   "CaInfo",  "CAInfo",  "SslCert",    "SslKey",
        "Valid-", "ValidTime", "Retries", "Timeout", "Check-Date", "Proxy-Auto-Detect"};
    std::string configuration;
    for (const std::string& line : split(dump, '\n')) {
        const std::string_view name = std::string_view(line).substr(0, line.find(' '));
        const bool wanted = std::ranges::any_of(
            kWanted, [&](std::string_view part) { return name.find(part) != std::string_view::npos; });
        if (line.starts_with("Acquire::") && wanted && !line.ends_with(" \"\";"))
            configuration += line + "\n";
    }
    return configuration;
}

std::int64_t release_date(std::string_view text) {
    constexpr std::string_view kDate = "\nDate: ";
    const std::size_t at = text.find(kDate);
    if (at == std::string_view::npos) return 0;
    const std::size_t begin = at + kDate.size();
    std::istringstream stream(std::string(text.substr(begin, text.find('\n', begin) - begin)));
    stream.imbue(std::locale::classic());
    std::tm date{};
    stream >> std::get_time(&date, "%a, %d %b %Y %H:%M:%S");
    return stream ? static_cast<std::int64_t>(::timegm(&date)) : 0;
}

Result<AptSources> find_apt_sources(const Manifest& manifest, const Activity& activity) {
    AptSources sources;
    sources.release = manifest.release;
    if (sources.release.empty()) {
        KZ_TRY(sources.release, host_release());
    }
    for (const std::string& source : manifest.sources) {
        if (source != kHostSources) {
            sources.lines.push_back(source);
        } else {
            KZ_CHECK(add_host_sources(activity, sources));
        }
    }
    KZ_TRY(const std::string apt_config, find_tool("apt-config"));
    KZ_TRY(const std::string dump, activity.run({apt_config, "dump"}));
    sources.configuration = fetch_configuration(dump);
    return sources;
}

}  // namespace kz::install
