// Random UUIDs: zones, hosts, images, migrations. For every floor.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kz {

// Version 4, in lower case: "69ed2e6a-e25a-4d36-a022-ed7261ed8899". Fails only when the kernel gives no
// entropy.
Result<std::string> random_uuid();

// 8-4-4-4-12 hexadecimal digits of either case, of any version.
bool is_uuid(std::string_view text);

}  // namespace kz
