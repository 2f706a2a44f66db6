#include "storage/credentials.h"

#include <grp.h>
#include <pwd.h>
#include <sys/fsuid.h>

#include <utility>
#include <vector>

#include "base/text.h"

namespace kz::storage {
namespace {

constexpr std::size_t kLookupBuffer = 16 * 1024;

std::optional<id_t> number(const std::string& name) {
    const auto value = parse_u64(name);
    // The highest id means "no change" to the kernel.
    if (!value || *value >= UINT32_MAX) return std::nullopt;
    return static_cast<id_t>(*value);
}

// Only a second call tells whether the first was obeyed.
uid_t current_fsuid() {
    return static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1)));
}
gid_t current_fsgid() {
    return static_cast<gid_t>(::setfsgid(static_cast<gid_t>(-1)));
}

}  // namespace

Result<uid_t> find_user(const std::string& name) {
    if (const auto id = number(name)) return *id;
    std::vector<char> buffer(kLookupBuffer);
    passwd entry{};
    passwd* found = nullptr;
    ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) return fail(Errc::not_found, "user '{}' does not exist on this host", name);
    return found->pw_uid;
}

Result<gid_t> find_group(const std::string& name) {
    if (const auto id = number(name)) return *id;
    std::vector<char> buffer(kLookupBuffer);
    group entry{};
    group* found = nullptr;
    ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) return fail(Errc::not_found, "group '{}' does not exist on this host", name);
    return found->gr_gid;
}

Result<ScopedCredentials> ScopedCredentials::enter(const Suri& suri) {
    if (!suri.user()) return ScopedCredentials(std::nullopt);
    KZ_TRY(const uid_t uid, find_user(*suri.user()));
    KZ_TRY(const gid_t gid, find_group(*suri.group()));
    // Constructed before the change, so that a change that is half made is undone.
    ScopedCredentials scope(Previous{current_fsuid(), current_fsgid()});
    ::setfsgid(gid);
    ::setfsuid(uid);
    if (current_fsuid() != uid || current_fsgid() != gid)
        return fail(Errc::permission, "cannot act as {}:{}", *suri.user(), *suri.group());
    return scope;
}

ScopedCredentials::ScopedCredentials(ScopedCredentials&& other) noexcept
    : previous_(std::exchange(other.previous_, std::nullopt)) {}

ScopedCredentials::~ScopedCredentials() {
    if (!previous_) return;
    ::setfsuid(previous_->uid);
    ::setfsgid(previous_->gid);
}

}  // namespace kz::storage
