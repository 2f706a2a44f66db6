// What the values of a profile may be. For the reader of profiles, and for what asks people for such values.
//
// Every check answers Errc::invalid_argument with a sentence that quotes the value, or nothing. A value that
// passes is printable ASCII and safe in the file of the zone that it is for.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kz::install {

inline constexpr std::string_view kSudoWithPassword = "ALL=(ALL:ALL) ALL";
inline constexpr std::string_view kSudoWithoutPassword = "ALL=(ALL:ALL) NOPASSWD:ALL";

// Labels of letters, digits and hyphens, with dots between; 64 at most, as the kernel has it.
Result<void> check_host_name(const std::string& text);
// The form only; whether this host knows it, profile_time_zone.h says.
Result<void> check_time_zone(const std::string& text);
Result<void> check_locale(const std::string& text);
// Of each of the four keys of the keyboard.
Result<void> check_keyboard(const std::string& text);
Result<void> check_user_name(const std::string& text);
Result<void> check_full_name(const std::string& text);
Result<void> check_shell(const std::string& text);
Result<void> check_sudo(const std::string& text);
// A line of an authorized_keys file, without options. A private key is refused without quoting it.
Result<void> check_ssh_key(const std::string& text);
// What crypt(3) here can check a password against, and is not weak. Never quotes the value.
Result<void> check_password_hash(const std::string& text);
// "eth0" to "eth99".
Result<void> check_interface(const std::string& text);
Result<void> check_address(const std::string& text);
Result<void> check_address_with_prefix(const std::string& text);
Result<void> check_domain(const std::string& text);

}  // namespace kz::install
