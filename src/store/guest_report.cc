#include "store/guest_report.h"

#include "os/file.h"
#include "store/states.h"

namespace kz::store {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kMaxReport = 64 * 1024;
constexpr std::size_t kMaxAddresses = 256;
constexpr mode_t kFileMode = 0644;

Path report_file(const HostPaths& paths, std::string_view zone) {
    return paths.zone_run_dir(zone) / "guest.json";
}

Result<GuestReport> parse_report(std::string_view text) {
    KZ_TRY(const Json object, parse_json(text));
    KZ_CHECK(check_format(object, kFormat));
    GuestReport report;
    KZ_TRY(report.agent, json_text(object, "agent"));
    KZ_TRY(report.usable, json_bool(object, "usable"));
    const auto addresses = object.find("addresses");
    if (addresses == object.end() || !addresses->is_array() || addresses->size() > kMaxAddresses)
        return fail(Errc::corrupt, "addresses: not a list");
    for (const Json& each : *addresses) {
        GuestAddress& address = report.addresses.emplace_back();
        KZ_TRY(address.interface, json_text(each, "interface"));
        KZ_TRY(address.address, json_text(each, "address"));
    }
    return report;
}

}  // namespace

Path agent_socket(const HostPaths& paths, std::string_view zone) {
    return paths.zone_run_dir(zone) / "agent.sock";
}

Json to_json(const GuestReport& report) {
    Json addresses = Json::array();
    for (const GuestAddress& each : report.addresses)
        addresses.push_back({{"interface", each.interface}, {"address", each.address}});
    return {{"agent", report.agent}, {"usable", report.usable}, {"addresses", std::move(addresses)}};
}

Result<GuestReport> load_guest_report(const HostPaths& paths, std::string_view zone) {
    const Path file = report_file(paths, zone);
    KZ_TRY(const std::string text, read_file(file, kMaxReport));
    Result<GuestReport> report = parse_report(text);
    if (!report) return std::unexpected(std::move(report).error().context(file.string()));
    return report;
}

Result<void> save_guest_report(const HostPaths& paths, std::string_view zone, const GuestReport& report) {
    Json object = to_json(report);
    object["format"] = kFormat;
    return write_file_atomic(report_file(paths, zone), render_json(object, 2) + "\n", kFileMode);
}

Result<void> remove_guest_report(const HostPaths& paths, std::string_view zone) {
    return remove_file(report_file(paths, zone));
}

}  // namespace kz::store
