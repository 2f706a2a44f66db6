// What makes one zone of a Debian base: its name, addresses, keys, accounts, place and language. For the
// Debian builder.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "install/request.h"
#include "install/tree_builder.h"
#include "os/paths.h"

namespace kz::install {

struct RootFiles {
    std::string root_uuid;
    std::string grub_config;
};

// Into an unpacked base. `work` takes what is needed meanwhile.
Result<void> apply_identity(const InstallRequest& request, const RootFiles& root, const Activity& activity,
                            const Path& tree, const Path& work);

// Name, network, and, where the profile says them, time zone and keyboard. `has_resolved`: the system has
// systemd-resolved.
void add_place(const InstallRequest& request, bool has_resolved, TreeBuilder& files);
// The content of /etc/default/locale.
std::string locale_file(std::string_view locale);

// The files of systemd-networkd for the request's interfaces: first the profile's word, then the zone's
// configuration, and DHCP for what neither names.
std::vector<ManifestFile> network_files(const InstallRequest& request);

// The line of locale.gen for a locale, as the file SUPPORTED of Debian has it; empty when it has none.
// "de_DE.utf8" and "de_DE.UTF-8" are one.
std::string find_locale(std::string_view supported, std::string_view locale);

}  // namespace kz::install
