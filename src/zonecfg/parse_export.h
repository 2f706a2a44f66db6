// Reading a stored or sent configuration: the zonecfg language without its dialogue. For store, migration and
// rad.
//
// Takes what zone/export.h writes, and whatever else of the editing commands (add, select, remove, set,
// clear, end, cancel) an administrator has put into the file by hand; `create -b` may only be the first
// command.
#pragma once

#include <string_view>

#include "base/result.h"
#include "zone/config.h"

namespace kz::zonecfg {

// A longer text is refused before it is read.
inline constexpr std::size_t kMaxConfigText = 1024 * 1024;

// The configuration of a zone of this name (which a `set zonename` in the text must not contradict). What
// only concerns the whole is not checked: see zone/verify.h. Errors: Errc::invalid_argument, "line 3: memlzr:
// Invalid argument ...".
Result<zone::Config> parse_export(std::string_view text, std::string_view zone_name);

}  // namespace kz::zonecfg
