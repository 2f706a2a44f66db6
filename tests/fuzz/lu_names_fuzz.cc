// Arbitrary names of disks and ports, as sysfs and udev have them: those that are understood name a LUN in a
// SURI.
#include <cstdlib>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/text.h"
#include "storage/lu_names.h"
#include "storage/suri.h"

using namespace kz;
using namespace kz::storage;

namespace {

void check(const std::optional<std::string>& name) {
    if (!name) return;
    const auto suri = Suri::parse("lu:luname." + *name);
    if (!suri || suri->luname() != *name || to_lower(*name) != *name) std::abort();
    // It is known again where sysfs shows it.
    if (luname_of_wwid(*name) != *name) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    for (const std::string& line : split(as_text(ByteView(data, size)), '\n')) {
        check(luname_of_wwid(line));
        check(luname_of_link(line));
        const auto port = name_of_port(line);
        check(port);
        if (port && !port->starts_with("naa.")) std::abort();
    }
    return 0;
}
