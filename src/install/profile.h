// Profile: what a new zone is called, where it is, and who may log in. Written by sysconfig create-profile,
// applied by the installers of zones; for both.
//
// Theory of operation
//
// A profile is one YAML document of at most 64 KiB, a `#cloud-config` of cloud-init with the keys below.
// Every cloud image understands it; that is why it may say nothing of our own making. All keys are optional.
// Others are refused: what would not be applied must not be believed to have been.
//
//   #cloud-config                     the first line, as cloud-init wants it
//   hostname: ant1                    without it: the name of the zone
//   timezone: Europe/Berlin           a name of the time zone database
//   locale: de_DE.UTF-8
//   keyboard:
//     layout: de                      also model, variant, options, as of keyboard(5)
//   users:
//     - name: root                    without this entry root is as the installer leaves it: locked
//       lock_passwd: false            no password opens a locked account
//       hashed_passwd: $6$...         as of crypt(5); passwords themselves are refused
//     - name: jack                    up to 16 users, and root
//       gecos: Jack the Administrator
//       shell: /bin/bash
//       sudo: ALL=(ALL:ALL) ALL       or ALL=(ALL:ALL) NOPASSWD:ALL, or false
//       lock_passwd: true
//       ssh_authorized_keys: [ssh-ed25519 AAAA... jack@here]
//   network:                          without it: what the zone's configuration says
//     version: 2
//     ethernets:
//       eth0:                         the zone's first anet, whatever its kernel calls it; eth1 the second
//         dhcp4: true                 also dhcp6; neither and no addresses: the interface is left alone
//         addresses: [192.0.2.5/24, "2001:db8::5/64"]
//         routes:
//           - {to: default, via: 192.0.2.1}
//         nameservers:
//           addresses: [192.0.2.53]
//           search: [example.com]
//
// cloud-init takes `network` from another file than the rest, the `network-config` of its data source, and
// ignores it here. An installer that leaves the rest to cloud-init hands it over there, as it stands; so the
// format of that file is the format of this key (network-config version 2).
//
// What is read may come from anybody: YAML with anchors, aliases, tags, more than 8 levels or 4096 nodes is
// refused, and every value is held to the characters that its place in a file of the zone allows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/paths.h"

namespace kz::install {

inline constexpr std::string_view kProfileFileName = "sc_profile.yaml";

// As of keyboard(5). All empty: the profile does not say.
struct ProfileKeyboard {
    std::string layout;
    std::string model;
    std::string variant;
    std::string options;
    bool operator==(const ProfileKeyboard&) const = default;
};

struct ProfileInterface {
    std::string name;  // "eth0"
    bool dhcp4 = false;
    bool dhcp6 = false;
    std::vector<std::string> addresses;  // with prefix
    std::vector<std::string> routers;    // at most one of each family
    std::vector<std::string> name_servers;
    std::vector<std::string> search;
    bool operator==(const ProfileInterface&) const = default;
};

// root too. An empty text: the profile does not say. Without a hash the account is locked.
struct ProfileUser {
    std::string name;
    std::string full_name;
    std::string shell;
    std::string sudo;  // one of the two rules above
    std::string password_hash;
    std::vector<std::string> ssh_keys;
    bool operator==(const ProfileUser&) const = default;
};

// Empty texts and lists: the profile does not say.
struct Profile {
    std::string host_name;
    std::string time_zone;
    std::string locale;
    ProfileKeyboard keyboard;
    std::vector<ProfileUser> users;
    std::vector<ProfileInterface> interfaces;
    bool operator==(const Profile&) const = default;
};

// `origin` names the text in errors: "ORIGIN:LINE: ...". Errors: Errc::invalid_argument.
Result<Profile> parse_profile(std::string_view text, std::string_view origin);

// A file, or a folder that holds sc_profile.yaml. Errors: those of reading and parsing.
Result<Profile> load_profile(const Path& path);

// Whether every system has that locale, without a definition of its own.
bool needs_no_definition(std::string_view locale);

// A text that parse_profile() reads as the same. Wants values that the checks of profile_checks.h accept.
std::string render_profile(const Profile& profile);

}  // namespace kz::install
