// Finding logical units behind portals. Internal to storage.
#pragma once

#include <functional>

#include "storage/iscsi_unit.h"

namespace kz::storage {

struct FoundUnit {
    std::unique_ptr<IscsiUnit> unit;
    UnitIdentity identity;
};

// The logical unit that a SURI of type iscsi names.
//
// A SURI with a target: at the SURI's portals; if they do not have it, where their discovery says it is. A
// SURI with a luname: every target that their discovery lists is looked at, so that two different units
// under one name are seen; the same unit behind several targets is fine. Errors: Errc::not_found,
// Errc::wrong_state for two units under one name, those of IscsiSession and IscsiUnit.
Result<FoundUnit> locate_unit(const Suri& suri, const StorageAccess& access, const IscsiInitiator& initiator,
                              Deadline deadline);

// The targets behind `portals`, each with where it can be reached. Errors: when none of them answers.
struct TargetList {
    struct Entry {
        std::string name;
        std::string host;                    // for the choice of the CHAP login: as the user names it
        std::vector<IscsiPortal> addresses;  // in the order to try
    };
    std::vector<Entry> targets;
    std::vector<std::string> problems;  // of portals that did not answer, or lists cut short
};
Result<TargetList> list_targets(const std::vector<IscsiPortal>& portals, const IscsiInitiator& initiator,
                                Deadline deadline);

// Logs in by the first address that works. Errors: that of the only one, or all in one.
Result<std::unique_ptr<IscsiSession>> log_in_to(const TargetList::Entry& target,
                                                const IscsiInitiator& initiator, Deadline deadline);

// Identifies every LUN of a session's target and gives it to `take`; what is there but no disk, or gone
// meanwhile, is left out. Returns the session for further use. Errors: only those of the session itself.
struct ScannedUnit {
    unsigned lun = 0;
    Result<UnitIdentity> identity;
};
Result<std::unique_ptr<IscsiSession>> scan_units(std::unique_ptr<IscsiSession> session, Deadline deadline,
                                                 const std::function<void(ScannedUnit)>& take);

}  // namespace kz::storage
