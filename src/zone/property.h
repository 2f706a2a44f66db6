// Checking one value against its row of the schema, with the errors that zonecfg prints. For zone only.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "zone/names.h"
#include "zone/schema.h"

namespace kz::zone {

// The canonical form of the value. Errors: Errc::invalid_argument, as of invalid_value().
Result<std::string> check_value(const PropertySpec& spec, std::string_view text);

// "OFFENDING: Invalid argument" and a line that says what the property must be.
std::unexpected<Error> invalid_value(const PropertySpec& spec, std::string_view offending);

// "NAME: No such property type".
std::unexpected<Error> no_such_property(std::string_view name);

}  // namespace kz::zone
