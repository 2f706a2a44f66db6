#include <algorithm>

#include "base/text.h"
#include "storage/discover.h"
#include "storage/iscsi_locate.h"

namespace kz::storage {
namespace {

// One LUN that was seen, or a problem.
struct Sight {
    std::string target;
    unsigned lun = 0;
    UnitIdentity identity;
};

struct Found {
    std::vector<Sight> sights;  // of one unit, through several targets
};

// What stands between "iscsi://" and the next slash, as a SURI shall have it.
struct Place {
    std::string authority;
    std::vector<IscsiPortal> portals;
};

Result<Place> place_of(std::string_view portal, const StorageAccess& access) {
    constexpr std::string_view kScheme = "iscsi://";
    if (portal.starts_with(kScheme)) {
        portal.remove_prefix(kScheme.size());
        portal = portal.substr(0, portal.find('/'));
    }
    Place place;
    if (portal.empty()) {
        KZ_TRY(place.portals, portals_of_file(access.iscsi_portals));
        return place;
    }
    KZ_TRY_CONTEXT(const IscsiPortal parsed, parse_portal(portal), portal);
    const std::string text = parsed.text();
    place.authority = parsed.port == kIscsiPort ? text.substr(0, text.rfind(':')) : text;
    place.portals = {parsed};
    return place;
}

void add_suri(std::vector<Suri>& suris, const std::string& text) {
    // Not every name that a target tells is one that a SURI can hold: they are shown, not offered.
    const auto suri = Suri::parse(text);
    if (suri && std::ranges::find(suris, *suri) == suris.end()) suris.push_back(*suri);
}

std::vector<Suri> suris_of(const Found& found, const std::string& authority) {
    std::vector<Suri> out;
    for (const std::string& name : found.sights.front().identity.names)
        if (!name.starts_with("t10.")) add_suri(out, fmt::format("iscsi://{}/luname.{}", authority, name));
    for (const Sight& sight : found.sights)
        add_suri(out, fmt::format("iscsi://{}/target.{},lun.{}", authority, sight.target, sight.lun));
    return out;
}

DiscoveredVolume described(const Found& found, const std::string& authority) {
    const Sight& first = found.sights.front();
    const UnitIdentity& identity = first.identity;
    return {.suris = suris_of(found, authority),
            .size_bytes = identity.capacity.bytes(),
            .block_bytes = identity.capacity.block_bytes,
            .vendor = identity.inquiry.vendor,
            .product = identity.inquiry.product,
            .serial = identity.serial,
            .name = identity.names.empty() ? "" : identity.names.front(),
            .target = first.target,
            .problem = ""};
}

DiscoveredVolume with_problem(const std::string& target, std::string problem) {
    DiscoveredVolume out;
    out.target = target;
    out.problem = std::move(problem);
    return out;
}

// Through another target it is the same unit; two with one name behind one target are two.
void add_sight(std::vector<Found>& units, Sight sight) {
    const auto same = std::ranges::find_if(units, [&](const Found& found) {
        return !sight.identity.names.empty() && found.sights.front().identity.same_unit(sight.identity) &&
               std::ranges::find(found.sights, sight.target, &Sight::target) == found.sights.end();
    });
    if (same != units.end())
        same->sights.push_back(std::move(sight));
    else
        units.push_back({.sights = {std::move(sight)}});
}

// Two units that answer to one luname: neither can be used by it.
void tell_of_twins(std::vector<DiscoveredVolume>& volumes) {
    std::vector<std::pair<Suri, std::size_t>> names;
    for (std::size_t i = 0; i < volumes.size(); ++i)
        for (const Suri& suri : volumes[i].suris)
            if (suri.luname()) names.emplace_back(suri, i);
    for (const auto& [suri, index] : names) {
        const auto bearers =
            std::ranges::count_if(names, [&](const auto& each) { return each.first == suri; });
        if (bearers < 2) continue;
        std::erase(volumes[index].suris, suri);
        volumes[index].problem =
            fmt::format("another logical unit has the name {} too; it is left out here", *suri.luname());
    }
}

struct Survey {
    std::vector<Found> units;
    std::vector<DiscoveredVolume> problems;
};

Result<void> look_at(const TargetList::Entry& target, const std::string& authority,
                     const IscsiInitiator& initiator, Deadline deadline, Survey& survey) {
    KZ_TRY(auto session, log_in_to(target, initiator, deadline));
    auto scanned = scan_units(std::move(session), deadline, [&](ScannedUnit unit) {
        if (unit.identity) {
            add_sight(survey.units,
                      {.target = target.name, .lun = unit.lun, .identity = *std::move(unit.identity)});
            return;
        }
        auto problem = with_problem(target.name, unit.identity.error().message());
        add_suri(problem.suris, fmt::format("iscsi://{}/target.{},lun.{}", authority, target.name, unit.lun));
        survey.problems.push_back(std::move(problem));
    });
    if (!scanned) return std::unexpected(std::move(scanned).error());
    return {};
}

}  // namespace

Result<std::vector<DiscoveredVolume>> discover_iscsi(std::string_view portal, const StorageAccess& access) {
    KZ_TRY(const Place place, place_of(portal, access));
    KZ_TRY(const IscsiInitiator initiator, IscsiInitiator::create(access));
    KZ_TRY(const TargetList list,
           list_targets(place.portals, initiator, Deadline::after(access.operation_timeout)));
    Survey survey;
    for (const std::string& problem : list.problems)
        survey.problems.push_back(with_problem("", problem));
    for (const TargetList::Entry& target : list.targets) {
        const Deadline deadline = Deadline::after(access.operation_timeout);
        const auto looked = look_at(target, place.authority, initiator, deadline, survey);
        if (!looked) survey.problems.push_back(with_problem(target.name, looked.error().message()));
    }
    std::vector<DiscoveredVolume> out;
    for (const Found& found : survey.units)
        out.push_back(described(found, place.authority));
    tell_of_twins(out);
    std::ranges::move(survey.problems, std::back_inserter(out));
    return out;
}

Result<std::vector<Suri>> names_of(const Suri& suri, const StorageAccess& access) {
    if (suri.type() != SuriType::iscsi)
        return fail(Errc::invalid_argument, "{}: not of type iscsi", suri.render());
    KZ_TRY(const IscsiInitiator initiator, IscsiInitiator::create(access));
    KZ_TRY_CONTEXT(const FoundUnit here,
                   locate_unit(suri, access, initiator, Deadline::after(access.operation_timeout)),
                   suri.render());
    const std::string whole = suri.normalized().render();
    constexpr std::string_view kScheme = "iscsi://";
    const std::string authority =
        whole.substr(kScheme.size(), whole.find('/', kScheme.size()) - kScheme.size());
    KZ_TRY(const std::vector<DiscoveredVolume> all, discover_iscsi(whole, access));
    for (const DiscoveredVolume& volume : all)
        if (std::ranges::find(volume.suris, suri.normalized()) != volume.suris.end()) return volume.suris;
    // Behind a target that the portal does not list.
    const Found found{
        .sights = {
            {.target = here.unit->session().target(), .lun = here.unit->lun(), .identity = here.identity}}};
    std::vector<Suri> out = suris_of(found, authority);
    if (std::ranges::find(out, suri.normalized()) == out.end()) out.push_back(suri);
    return out;
}

}  // namespace kz::storage
