#include "install/host_profile.h"

#include "base/text.h"
#include "install/profile_checks.h"
#include "install/profile_time_zone.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxFile = 64 * 1024;

std::string host_time_zone(const Path& etc) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(etc / "localtime", error);
    constexpr std::string_view kFolder = "zoneinfo/";
    const std::size_t at = target.find(kFolder);
    std::string zone = at == std::string::npos ? "" : target.substr(at + kFolder.size());
    if (zone.empty()) {
        const Result<std::string> text = read_file(etc / "timezone", kMaxFile);
        zone = text ? std::string(trim(*text)) : "";
    }
    const bool usable = !zone.empty() && check_time_zone(zone) && read_time_zone(zone);
    return usable ? zone : "";
}

std::string host_locale(const Path& etc) {
    for (const char* name : {"locale.conf", "default/locale"}) {
        const Result<std::string> text = read_file(etc / name, kMaxFile);
        if (!text) continue;
        for (const std::string& line : split(*text, '\n')) {
            if (!line.starts_with("LANG=")) continue;
            std::string locale = line.substr(5);
            std::erase_if(locale, [](char c) { return c == '"' || c == '\''; });
            if (check_locale(locale)) return locale;
        }
    }
    return {};
}

}  // namespace

Profile with_host_defaults(Profile profile, const Path& etc) {
    if (profile.time_zone.empty()) profile.time_zone = host_time_zone(etc);
    if (profile.locale.empty()) profile.locale = host_locale(etc);
    return profile;
}

Result<void> check_profile_here(const Profile& profile) {
    if (!profile.time_zone.empty()) KZ_CHECK(read_time_zone(profile.time_zone));
    return {};
}

}  // namespace kz::install
