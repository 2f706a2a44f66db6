// The programs of the host that the installers run. For the installers.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kz::install {

// The path of a program in PATH or in the folders of system programs, which are not in everybody's PATH.
// Errors: Errc::not_found names the Debian package to install.
Result<std::string> find_tool(std::string_view name);

}  // namespace kz::install
