// How a suspend image names the layout of its machine (qemu/machine.h): as one more of its devices, so that
// it is compared with them. For src/monitor and src/client.
#pragma once

#include <string>
#include <vector>

namespace kz::qemu {

// "machine layout 2". Empty for layout 1, which was not named.
std::string layout_device(unsigned layout);
// The layout that a list of devices names; 1 where it names none.
unsigned layout_among(const std::vector<std::string>& devices);

}  // namespace kz::qemu
