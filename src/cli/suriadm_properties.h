// The properties that suriadm prints, and how. For suriadm's own files.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/suri.h"

namespace kz::cli {

// The original's, and at the end those that only this system has.
inline constexpr std::array<std::string_view, 23> kSuriProperties{"create-size",
                                                                  "create-supported",
                                                                  "file-permissions",
                                                                  "group",
                                                                  "hostname",
                                                                  "initiator",
                                                                  "is-slice",
                                                                  "lun",
                                                                  "luname",
                                                                  "mapped-dev",
                                                                  "mapped-devs",
                                                                  "mount-options",
                                                                  "mountpoint",
                                                                  "mountpoint-prefix",
                                                                  "path",
                                                                  "port",
                                                                  "removable",
                                                                  "target",
                                                                  "teardown-supported",
                                                                  "uri",
                                                                  "uri-type",
                                                                  "user",
                                                                  "size"};
inline constexpr std::array<std::string_view, 10> kDiscoverProperties{
    "uri", "uris", "size", "product", "serial", "name", "target", "zone", "owner", "state"};

// Names that are missing have no value.
using Properties = std::map<std::string, std::string, std::less<>>;

// What the text of the SURI tells.
Properties suri_properties(const storage::Suri& suri);
// Those that `parse` shows for a SURI of this form.
std::vector<std::string> shown_of_suri(const storage::Suri& suri);

// The value, "-" without one.
std::string property_or_dash(const Properties& properties, std::string_view name);
// One line of values with tabs between them, each "-" when it is absent.
std::string property_line(const Properties& properties, const std::vector<std::string>& names);
// The table "PROPERTY    VALUE".
std::string property_table(const Properties& properties, const std::vector<std::string>& names, bool header);

// Text from a disk, fit for a terminal and for a field between tabs: '?' for all but printable ASCII.
std::string harmless_text(std::string_view text);

}  // namespace kz::cli
