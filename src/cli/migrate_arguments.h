// The command line of zoneadm migrate. For zoneadm_migrate.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/client.h"

namespace kz::cli {

struct MigrateArguments {
    client::MigrateOptions options;
    bool quiet = false;
    bool verbose = false;
    bool json = false;
    bool boot_writable = false;
    // --set-bandwidth: nothing is moved; the migration that is under way may use so much. 0: no limit.
    std::optional<std::uint64_t> set_bandwidth{};
};

// `words` are the sub-command's name and what follows it. Errors: Errc::invalid_argument with the reason, or
// without a text where the usage says it all.
Result<MigrateArguments> read_migrate_arguments(const std::vector<std::string>& words);

}  // namespace kz::cli
