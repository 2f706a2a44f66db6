#include "install/profile_time_zone.h"

#include <algorithm>

#include "base/text.h"
#include "install/profile_checks.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxZone = 64 * 1024;
constexpr std::size_t kMaxTable = 1024 * 1024;

std::unexpected<Error> no_database(const Path& zone_info) {
    return fail(Errc::not_found, "this host has no time zones in {}; install the package tzdata",
                zone_info.string());
}

}  // namespace

Result<std::string> read_time_zone(const std::string& name, const Path& zone_info) {
    KZ_CHECK(check_time_zone(name));
    std::error_code error;
    const Path file = zone_info / name;
    if (!std::filesystem::exists(zone_info, error)) {
        if (name == "UTC" || name == "Etc/UTC") return std::string();
        return no_database(zone_info);
    }
    if (!std::filesystem::is_regular_file(file, error))
        return fail(Errc::not_found, "this host knows no time zone '{}'", name);
    Result<std::string> content = read_file(file, kMaxZone);
    if (content && !content->starts_with("TZif"))
        return fail(Errc::not_found, "'{}' is not a time zone", name);
    return content;
}

Result<std::vector<std::string>> list_time_zones(const Path& zone_info) {
    const Result<std::string> table = read_file(zone_info / "zone.tab", kMaxTable);
    if (!table && table.error().code() == Errc::not_found) return no_database(zone_info);
    if (!table) return std::unexpected(table.error());
    std::vector<std::string> names{"UTC"};
    for (const std::string& line : split(*table, '\n')) {
        const std::vector<std::string> columns = split(line, '\t');
        if (!line.starts_with('#') && columns.size() >= 3 && check_time_zone(columns[2]))
            names.push_back(columns[2]);
    }
    std::ranges::sort(names);
    return names;
}

}  // namespace kz::install
