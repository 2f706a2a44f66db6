// The accounts of a new Debian system. For the Debian builder.
#pragma once

#include <vector>

#include "base/result.h"
#include "install/activity.h"
#include "install/profile.h"
#include "os/paths.h"

namespace kz::install {

// Makes the accounts, or changes those that are there, by the new system's own programs; root too. Errors:
// Errc::invalid_argument for a name that the system uses itself.
Result<void> add_users(const std::vector<ProfileUser>& users, const Activity& activity, const Path& tree,
                       const Path& work);

}  // namespace kz::install
