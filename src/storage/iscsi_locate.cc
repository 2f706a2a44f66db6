#include "storage/iscsi_locate.h"

#include <algorithm>

#include "base/text.h"

namespace kz::storage {
namespace {

// One attempt among several may take this part of the time that is left: a portal that is dead must not
// starve those behind it.
constexpr int kShare = 4;
constexpr std::chrono::milliseconds kLeast{500};

Deadline attempt_deadline(Deadline whole, bool last) {
    const int left = whole.poll_timeout();
    if (last || left < 0) return whole;
    return whole.earlier(Deadline::after(std::max(kLeast, std::chrono::milliseconds(left / kShare))));
}

// All of them as one: the code is that of the first.
Error combined(std::vector<Error> errors) {
    Error out = std::move(errors.front());
    for (std::size_t i = 1; i < errors.size(); ++i)
        out = std::move(out).append(errors[i].message());
    return out;
}

// `answered`: which of the portal's addresses did.
Result<std::vector<ListedTarget>> targets_of_portal(const IscsiPortal& portal,
                                                    const IscsiInitiator& initiator, Deadline deadline,
                                                    IscsiPortal& answered) {
    KZ_TRY(const auto addresses, resolve(portal));
    std::vector<Error> errors;
    for (const IscsiPortal& address : addresses) {
        const Deadline until = attempt_deadline(deadline, &address == &addresses.back());
        auto list = IscsiSession::send_targets(address, initiator, portal.host, until);
        answered = address;
        if (list) return list;
        errors.push_back(std::move(list).error());
    }
    return std::unexpected(combined(std::move(errors)));
}

// Resolved, with the one that answered in front: it is known to be reachable.
std::vector<IscsiPortal> addresses_of(const ListedTarget& target, const IscsiPortal& answered) {
    if (target.portals.empty()) return {answered};
    std::vector<IscsiPortal> out;
    for (const IscsiPortal& portal : target.portals) {
        const auto addresses = resolve(portal);
        if (!addresses) continue;  // of several portals, one with a bad name is no loss
        for (const IscsiPortal& address : *addresses)
            if (std::ranges::find(out, address) == out.end()) out.push_back(address);
    }
    const auto known = std::ranges::find(out, answered);
    if (known != out.end()) std::rotate(out.begin(), known, known + 1);
    return out;
}

void add_entry(TargetList& list, const ListedTarget& target, const IscsiPortal& asked,
               const IscsiPortal& answered) {
    const std::vector<IscsiPortal> addresses = addresses_of(target, answered);
    auto entry = std::ranges::find(list.targets, target.name, &TargetList::Entry::name);
    if (entry == list.targets.end())
        entry = list.targets.insert(entry, {.name = target.name, .host = asked.host, .addresses = {}});
    for (const IscsiPortal& address : addresses)
        if (std::ranges::find(entry->addresses, address) == entry->addresses.end())
            entry->addresses.push_back(address);
}

// Finds the one unit with a name among all that are looked at.
class NameSearch {
  public:
    NameSearch(std::string luname, const IscsiInitiator& initiator)
        : luname_(to_lower(luname)), initiator_(initiator) {}

    Result<void> look_at(const TargetList::Entry& target, Deadline deadline);
    Result<FoundUnit> finish(const TargetList& list, const Suri& suri);

  private:
    struct Match {
        UnitIdentity identity;
        std::string where;
        std::string target;
        unsigned lun = 0;
    };
    Result<void> check_same(const Match& match) const;

    std::string luname_;
    const IscsiInitiator& initiator_;
    std::vector<Match> matches_;
    std::unique_ptr<IscsiSession> session_;  // of the first match
    std::vector<std::string> problems_;
};

Result<void> NameSearch::look_at(const TargetList::Entry& target, Deadline deadline) {
    auto session = log_in_to(target, initiator_, deadline);
    if (!session) {
        problems_.push_back(session.error().message());
        return {};
    }
    const std::string where = (*session)->where();
    const std::size_t before = matches_.size();
    auto scanned = scan_units(*std::move(session), deadline, [&](ScannedUnit unit) {
        if (!unit.identity)
            problems_.push_back(unit.identity.error().message());
        else if (unit.identity->is_named(luname_))
            matches_.push_back({.identity = *std::move(unit.identity),
                                .where = fmt::format("{}, LUN {}", where, unit.lun),
                                .target = target.name,
                                .lun = unit.lun});
    });
    if (!scanned) {
        matches_.resize(before);
        problems_.push_back(scanned.error().message());
        return {};
    }
    for (std::size_t i = std::max<std::size_t>(before, 1); i < matches_.size(); ++i)
        KZ_CHECK(check_same(matches_[i]));
    if (before == 0 && !matches_.empty()) session_ = *std::move(scanned);
    return {};
}

Result<void> NameSearch::check_same(const Match& match) const {
    const Match& first = matches_.front();
    if (match.identity.same_unit(first.identity) && match.target != first.target) return {};
    return fail(Errc::wrong_state,
                "two logical units answer to the name {}: {}: {}; and {}: {}. Give one of them another name "
                "on its target, or name the one meant by target and LUN",
                luname_, first.where, first.identity.description(), match.where,
                match.identity.description());
}

Result<FoundUnit> NameSearch::finish(const TargetList& list, const Suri& suri) {
    if (!matches_.empty())
        return FoundUnit{.unit = std::make_unique<IscsiUnit>(std::move(session_), matches_.front().lun),
                         .identity = std::move(matches_.front().identity)};
    std::vector<std::string> problems = list.problems;
    problems.insert(problems.end(), problems_.begin(), problems_.end());
    constexpr std::size_t kShown = 5;
    if (problems.size() > kShown) problems.resize(kShown);
    return fail(Errc::not_found, "{}: none of the {} targets there shows this host a LUN of that name{}{}",
                suri.render(), list.targets.size(), problems.empty() ? "" : "; ", join(problems, "; "));
}

Result<FoundUnit> identified(std::unique_ptr<IscsiSession> session, unsigned lun, Deadline deadline) {
    auto unit = std::make_unique<IscsiUnit>(std::move(session), lun);
    KZ_TRY(UnitIdentity identity, unit->identify(deadline));
    return FoundUnit{.unit = std::move(unit), .identity = std::move(identity)};
}

Result<FoundUnit> locate_by_name(const Suri& suri, const std::vector<IscsiPortal>& portals,
                                 const IscsiInitiator& initiator, Deadline deadline) {
    KZ_TRY(const TargetList list, list_targets(portals, initiator, deadline));
    NameSearch search(*suri.luname(), initiator);
    for (const TargetList::Entry& target : list.targets) {
        if (deadline.passed())
            return fail(Errc::timeout, "{}: not all of its {} targets could be looked at in time",
                        suri.render(), list.targets.size());
        KZ_CHECK(search.look_at(target, deadline));
    }
    return search.finish(list, suri);
}

// At one portal, or where it says that the target is.
Result<std::unique_ptr<IscsiSession>> log_in_at(const IscsiPortal& portal, const std::string& target,
                                                const IscsiInitiator& initiator, Deadline deadline) {
    KZ_TRY(auto addresses, resolve(portal));
    TargetList::Entry entry{.name = to_lower(target), .host = portal.host, .addresses = std::move(addresses)};
    auto direct = log_in_to(entry, initiator, deadline);
    if (direct || direct.error().code() != Errc::not_found) return direct;
    const auto listed = list_targets({portal}, initiator, deadline);
    if (!listed) return direct;
    const auto found = std::ranges::find(listed->targets, entry.name, &TargetList::Entry::name);
    if (found == listed->targets.end()) return direct;
    TargetList::Entry others{.name = entry.name, .host = entry.host, .addresses = {}};
    std::ranges::copy_if(found->addresses, std::back_inserter(others.addresses),
                         [&](const IscsiPortal& each) {
                             return std::ranges::find(entry.addresses, each) == entry.addresses.end();
                         });
    if (others.addresses.empty()) return direct;
    return log_in_to(others, initiator, deadline);
}

Result<FoundUnit> locate_by_target(const Suri& suri, const std::vector<IscsiPortal>& portals,
                                   const IscsiInitiator& initiator, Deadline deadline) {
    constexpr unsigned kHighestLun = 16383;
    const unsigned lun = suri.lun().value_or(0);
    if (lun > kHighestLun)
        return fail(Errc::invalid_argument, "{}: the highest LUN is {}", suri.render(), kHighestLun);
    std::vector<Error> errors;
    for (const IscsiPortal& portal : portals) {
        const Deadline until = attempt_deadline(deadline, &portal == &portals.back());
        auto session = log_in_at(portal, *suri.target(), initiator, until);
        if (session) return identified(*std::move(session), lun, deadline);
        errors.push_back(std::move(session).error());
    }
    return std::unexpected(combined(std::move(errors)));
}

}  // namespace

Result<TargetList> list_targets(const std::vector<IscsiPortal>& portals, const IscsiInitiator& initiator,
                                Deadline deadline) {
    TargetList out;
    std::vector<Error> errors;
    for (const IscsiPortal& portal : portals) {
        const Deadline until = attempt_deadline(deadline, &portal == &portals.back());
        IscsiPortal answered;
        auto listed = targets_of_portal(portal, initiator, until, answered);
        if (!listed) {
            errors.push_back(std::move(listed).error());
            continue;
        }
        for (const ListedTarget& target : *listed)
            add_entry(out, target, portal, answered);
    }
    if (errors.size() == portals.size()) return std::unexpected(combined(std::move(errors)));
    for (const Error& error : errors)
        out.problems.push_back(error.message());
    return out;
}

Result<std::unique_ptr<IscsiSession>> log_in_to(const TargetList::Entry& target,
                                                const IscsiInitiator& initiator, Deadline deadline) {
    std::vector<Error> errors;
    for (const IscsiPortal& address : target.addresses) {
        const Deadline until = attempt_deadline(deadline, &address == &target.addresses.back());
        auto session = IscsiSession::log_in(address, target.name, initiator, target.host, until);
        if (session) return session;
        errors.push_back(std::move(session).error());
    }
    if (errors.empty())
        return fail(Errc::unavailable, "target {}: none of the addresses listed for it can be used",
                    target.name);
    return std::unexpected(combined(std::move(errors)));
}

Result<std::unique_ptr<IscsiSession>> scan_units(std::unique_ptr<IscsiSession> session, Deadline deadline,
                                                 const std::function<void(ScannedUnit)>& take) {
    KZ_TRY(const LunList list, IscsiUnit::report_luns(*session, deadline));
    for (const unsigned lun : list.luns) {
        IscsiUnit unit(std::move(session), lun);
        auto identity = unit.identify(deadline);
        session = unit.release();
        if (!identity && !session->alive()) return std::unexpected(std::move(identity).error());
        // A controller is no disk; a LUN that was taken away meanwhile is none either.
        if (!identity &&
            (identity.error().code() == Errc::unsupported || identity.error().code() == Errc::not_found))
            continue;
        take({.lun = lun, .identity = std::move(identity)});
    }
    return session;
}

Result<FoundUnit> locate_unit(const Suri& suri, const StorageAccess& access, const IscsiInitiator& initiator,
                              Deadline deadline) {
    KZ_TRY(const auto portals, portals_of(suri, access));
    return suri.luname() ? locate_by_name(suri, portals, initiator, deadline)
                         : locate_by_target(suri, portals, initiator, deadline);
}

}  // namespace kz::storage
