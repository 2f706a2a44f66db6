// discover: what a storage host offers, and which zones have it.
#include <algorithm>

#include "base/text.h"
#include "cli/suriadm.h"
#include "cli/suriadm_properties.h"
#include "storage/discover.h"
#include "storage/discover_nfs.h"
#include "storage/host_data.h"
#include "storage/volume.h"

namespace kz::cli {
namespace {

using storage::Suri;

struct Found {
    std::vector<Suri> suris;
    Properties properties;
};

struct Listing {
    std::vector<Found> found;
    std::vector<std::string> notes;
};

Found found_of(std::vector<Suri> suris, std::uint64_t bytes) {
    Found found{std::move(suris), {}};
    std::vector<std::string> texts;
    for (const Suri& suri : found.suris)
        texts.push_back(suri.render());
    found.properties["uri"] = texts.empty() ? "" : texts.front();
    found.properties["uris"] = join(texts, " ");
    found.properties["size"] = std::to_string(bytes);
    return found;
}

Result<Listing> list_iscsi(const std::string& location, const storage::StorageAccess& access) {
    KZ_TRY(const std::vector<storage::DiscoveredVolume> volumes, storage::discover_iscsi(location, access));
    Listing listing;
    for (const storage::DiscoveredVolume& volume : volumes) {
        const std::string name = volume.suris.empty() ? volume.target : volume.suris.front().render();
        if (!volume.problem.empty()) {
            listing.notes.push_back(fmt::format("{}: {}", name, volume.problem));
            continue;
        }
        Found found = found_of(volume.suris, volume.size_bytes);
        found.properties["product"] = trim(fmt::format("{} {}", volume.vendor, volume.product));
        found.properties["serial"] = volume.serial;
        found.properties["name"] = volume.name;
        found.properties["target"] = volume.target;
        listing.found.push_back(std::move(found));
    }
    return listing;
}

Result<Listing> list_nfs(const std::string& location, const storage::StorageAccess& access) {
    KZ_TRY(const std::vector<storage::DiscoveredExport> exports, storage::discover_nfs(location, access));
    Listing listing;
    for (const storage::DiscoveredExport& share : exports) {
        if (!share.problem.empty())
            listing.notes.push_back(fmt::format("{}: {}", harmless_text(share.path), share.problem));
        if (share.incomplete)
            listing.notes.push_back(fmt::format("{}: not all files are listed", harmless_text(share.path)));
        for (const storage::DiscoveredFile& file : share.files) {
            Found found = found_of({file.suri}, file.size_bytes);
            found.properties["name"] = harmless_text(file.suri.path().value_or(""));
            listing.found.push_back(std::move(found));
        }
    }
    return listing;
}

// Host data are read without their key: what they say is what somebody wrote there.
Result<void> add_owner(Found& found, const storage::StorageAccess& access) {
    if (found.suris.empty()) return {};
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(found.suris.front(), access));
    if (!storage::guest_bytes(volume->size_bytes())) return {};
    KZ_TRY(const storage::HostDataProbe probe, storage::HostDataArea::probe(*volume));
    using Kind = storage::HostDataProbe::Kind;
    if (probe.kind == Kind::damaged) found.properties["state"] = "damaged";
    if (probe.kind == Kind::newer_version) found.properties["state"] = "newer-version";
    if (!probe.unverified) return {};
    found.properties["zone"] = harmless_text(probe.unverified->zone_uuid);
    found.properties["state"] = harmless_text(probe.unverified->state);
    if (probe.unverified->owner)
        found.properties["owner"] = harmless_text(probe.unverified->owner->host_name);
    return {};
}

// The table of people: sizes with units, and each further SURI on a line of its own.
std::string table_of(const std::vector<Found>& all, bool header) {
    using Row = std::array<std::string, 6>;
    std::vector<Row> rows;
    if (header) rows.push_back({"SIZE", "PRODUCT", "ZONE", "OWNER", "STATE", "URI"});
    for (const Found& found : all) {
        Row row;
        constexpr std::array kNames{"size", "product", "zone", "owner", "state", "uri"};
        for (std::size_t column = 0; column < row.size(); ++column)
            row[column] = property_or_dash(found.properties, kNames[column]);
        row[0] = render_size(parse_u64(row[0]).value_or(0));
        rows.push_back(row);
        for (std::size_t more = 1; more < found.suris.size(); ++more)
            rows.push_back({"", "", "", "", "", found.suris[more].render()});
    }
    std::array<std::size_t, 6> widths{};
    for (const Row& row : rows) {
        for (std::size_t column = 0; column + 1 < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].size() + 2);
    }
    std::string text;
    for (const Row& row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column)
            text += fmt::format("{:<{}}", row[column], widths[column]);
        text += '\n';
    }
    return text;
}

}  // namespace

Result<void> suriadm_discover(const SuriadmCall& call) {
    const std::string& location = call.operands.front();
    const std::string scheme = to_lower(location.substr(0, location.find(':')));
    if (!location.contains("://") || (scheme != "iscsi" && scheme != "nfs"))
        return fail(Errc::invalid_argument, "{}: expected iscsi://HOST or nfs://USER:GROUP@HOST", location);
    KZ_TRY(const storage::StorageAccess access, call.network_access());
    KZ_TRY(Listing listing, scheme == "iscsi" ? list_iscsi(location, access) : list_nfs(location, access));
    for (Found& found : listing.found) {
        if (const Result<void> owner = add_owner(found, access); !owner)
            listing.notes.push_back(owner.error().message());
    }
    if (call.output.empty()) fmt::print("{}", table_of(listing.found, !call.no_header));
    for (const Found& found : listing.found) {
        if (!call.output.empty()) fmt::print("{}", property_line(found.properties, call.output));
    }
    std::fflush(stdout);
    for (const std::string& note : listing.notes)
        suriadm_message(note);
    return {};
}

}  // namespace kz::cli
