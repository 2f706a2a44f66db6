// Arbitrary text as a profile. What is refused names a line; what is accepted is written out and read again
// as the same, and can say no more in a file of the zone than one line of it.
#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "install/profile.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    const auto profile = install::parse_profile(as_text({data, size}), "fuzz");
    if (!profile) {
        if (profile.error().code() != Errc::invalid_argument ||
            !profile.error().message().starts_with("fuzz:"))
            std::abort();
        return 0;
    }
    const auto again = install::parse_profile(install::render_profile(*profile), "fuzz");
    if (!again || *again != *profile) std::abort();
    const auto one_line = [](const std::string& text) {
        return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
    };
    for (const install::ProfileUser& user : profile->users) {
        if (!one_line(user.name + user.full_name + user.shell + user.sudo + user.password_hash)) std::abort();
        if (user.full_name.find(':') != std::string::npos) std::abort();
    }
    for (const install::ProfileInterface& one : profile->interfaces) {
        for (const std::string& address : one.addresses)
            if (!one_line(address)) std::abort();
    }
    if (!one_line(profile->host_name + profile->time_zone + profile->locale)) std::abort();
    return 0;
}
