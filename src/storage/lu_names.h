// The names of disks as sysfs and udev write them. Internal to storage.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kz::storage {

// A name of sysfs ("naa.5000c500a1b2c3d4", "eui.0025385b71b00001") as a SURI has it, in lower case; nothing
// for names of other kinds ("t10....", "uuid....") and lengths.
std::optional<std::string> luname_of_wwid(std::string_view wwid);
// The same of the name of a link in /dev/disk/by-id: "wwn-0x5000c500a1b2c3d4", "scsi-3600144f0...",
// "dm-uuid-mpath-3600144f0...", "nvme-eui....".
std::optional<std::string> luname_of_link(std::string_view link);
// The same of the name of a port, "0x21000024ff3a1b2c".
std::optional<std::string> name_of_port(std::string_view port);

}  // namespace kz::storage
