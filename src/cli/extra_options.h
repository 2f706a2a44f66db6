// The options of a sub-command that are words: -x name, -x name=value. For zoneadm.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kz::cli {

struct ExtraOption {
    std::string_view name;
    // What the value is called in messages; empty: it takes none.
    std::string_view value;
    bool value_optional;
    // Called with the value, or "" without one.
    std::function<Result<void>(const std::string& value)> take;
};

// Gives `text`, the argument of one -x, to its option. Errors: Errc::not_found for one that does not exist,
// naming those that do; Errc::invalid_argument for a missing or superfluous value, and what `take` refuses.
Result<void> take_extra_option(const std::vector<ExtraOption>& options, std::string_view text);

// Of an option that takes no value.
ExtraOption extra_flag(std::string_view name, bool& flag);

}  // namespace kz::cli
