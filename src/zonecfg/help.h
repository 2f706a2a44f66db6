// The texts of `help`. For zonecfg; the schema and the table of verbs say what there is.
#pragma once

#include <string>
#include <string_view>

#include "zone/schema.h"
#include "zonecfg/command.h"

namespace kz::zonecfg {

// How the program is called; also what an error on its command line prints.
std::string usage_text();
// A list of the commands with their usage.
std::string commands_text();
std::string syntax_text();
std::string verb_text(const VerbInfo& verb);
// The properties of a resource type, or of the global scope when nullptr.
std::string properties_text(const zone::ResourceSpec* resource);

}  // namespace kz::zonecfg
