// What a new zone takes from its host where nobody says otherwise. For the command that installs zones.
#pragma once

#include <string>

#include "base/result.h"
#include "install/profile.h"
#include "os/paths.h"

namespace kz::install {

// The profile, with the time zone and the locale of this host where it has none. What this host has and no
// zone could use is left out. `etc` is the host's /etc.
Profile with_host_defaults(Profile profile, const Path& etc = "/etc");

// Whether this host knows what the profile names. Errors: Errc::not_found for a time zone.
Result<void> check_profile_here(const Profile& profile);

}  // namespace kz::install
