// Renaming a zone's files as one. Internal to store.
//
// Theory of operation: the intent is written to etc/zones/.rename ("OLD NEW\n") before the first file moves
// and removed after the last. Each move is done only where the old file still is, so that doing all of them
// again is harmless: whoever opens the registry after a crash completes the rename.
#pragma once

#include <string_view>

#include "os/paths.h"

namespace kz::store {

// Errors: Errc::busy when another rename is under way.
Result<void> begin_rename(const HostPaths& paths, std::string_view old_name, std::string_view new_name);
// Nothing to do when no rename was begun.
Result<void> complete_rename(const HostPaths& paths);

}  // namespace kz::store
