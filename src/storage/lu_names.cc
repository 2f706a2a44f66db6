#include "storage/lu_names.h"

#include <algorithm>

#include "base/text.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

std::optional<std::string> luname(std::string_view kind, std::string_view digits) {
    if (digits.size() != 16 && digits.size() != 32) return std::nullopt;
    if (!std::ranges::all_of(digits, is_hex)) return std::nullopt;
    return fmt::format("{}.{}", kind, to_lower(digits));
}

// What udev and multipath put before a name for its type.
std::optional<std::string> luname_of_typed(std::string_view text) {
    if (text.starts_with('3')) return luname("naa", text.substr(1));
    if (text.starts_with('2')) return luname("eui", text.substr(1));
    return std::nullopt;
}

}  // namespace

std::optional<std::string> luname_of_wwid(std::string_view wwid) {
    const std::string_view text = trim(wwid);
    if (text.starts_with("naa.")) return luname("naa", text.substr(4));
    if (text.starts_with("eui.")) return luname("eui", text.substr(4));
    return std::nullopt;
}

std::optional<std::string> luname_of_link(std::string_view link) {
    const auto after = [link](std::string_view prefix) {
        return link.starts_with(prefix) ? std::optional(link.substr(prefix.size())) : std::nullopt;
    };
    if (const auto rest = after("wwn-0x")) return luname("naa", *rest);
    if (const auto rest = after("nvme-eui.")) return luname("eui", *rest);
    if (const auto rest = after("scsi-")) return luname_of_typed(*rest);
    if (const auto rest = after("dm-uuid-mpath-")) return luname_of_typed(*rest);
    return std::nullopt;
}

std::optional<std::string> name_of_port(std::string_view port) {
    const std::string_view text = trim(port);
    if (!text.starts_with("0x")) return std::nullopt;
    return luname("naa", text.substr(2));
}

}  // namespace kz::storage
