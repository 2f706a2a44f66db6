// The options of sysconfig create-profile, and the profile that they make. For sysconfig.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "install/profile.h"
#include "os/paths.h"

namespace kz::cli {

extern const char* const kCreateProfileUsage;

struct CreateProfileOptions {
    Path output;                // -o; empty: the current folder
    bool replace = false;       // -f
    Path log;                   // -l; empty: the place of the host
    std::optional<Path> check;  // --check: nothing is made
    // Whether an option said something about the zone: then there are no questions.
    bool answered = false;
    install::Profile profile;

    // The file that -o means.
    Path file() const;
};

// An account that sysconfig makes is an administrator: bash, and sudo, which asks for the password if there
// is one.
void finish_user_account(install::ProfileUser& user);

// `argv[0]` is the sub-command. Reads the files that options name. Errors: Errc::unsupported with an empty
// text for what is no option (the usage says the rest), others for values that cannot be taken.
Result<CreateProfileOptions> read_create_profile_options(int argc, char** argv);

}  // namespace kz::cli
