// Where this machine's apt takes Debian from, for a system that is to come from the same places. For the
// Debian builder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "install/activity.h"
#include "install/manifest.h"

namespace kz::install {

struct AptSources {
    std::string release;             // "bookworm"
    std::vector<std::string> lines;  // of sources.list
    std::string configuration;       // of apt.conf: proxies, certificates, how old an index may be
    std::string state_digest;        // changes whenever apt-get update brings something new
    std::int64_t newest = 0;         // when the newest index was made, seconds since 1970; 0: not known
};

// One line of `apt-get indextargets`, with the fields of kIndexTargetFormat.
struct IndexTarget {
    std::string origin;
    std::string codename;
    std::string uri;
    std::string release;
    std::string component;
    std::string file;
};
inline constexpr std::string_view kIndexTargetFormat =
    "$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(FILENAME)";
std::vector<IndexTarget> parse_index_targets(std::string_view output);

// The value of a key of os-release(5); empty when there is none.
std::string os_release_value(std::string_view text, std::string_view key);

// The lines of `apt-config dump` that say how files are fetched here.
std::string fetch_configuration(std::string_view dump);

// The seconds since 1970 of the Date field of a Release file; 0 when there is none.
std::int64_t release_date(std::string_view text);

// Errors: Errc::unsupported when this host is no Debian and the manifest names no release or no sources of
// its own, Errc::not_found when apt has no list of packages of that release.
Result<AptSources> find_apt_sources(const Manifest& manifest, const Activity& activity);

}  // namespace kz::install
