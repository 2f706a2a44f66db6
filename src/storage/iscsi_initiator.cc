#include "storage/iscsi_initiator.h"

#include <sys/random.h>

#include <cerrno>

namespace kz::storage {

Result<IscsiInitiator> IscsiInitiator::create(const StorageAccess& access) {
    IscsiInitiator initiator;
    // The protocol needs a name; without one of our own the target is told that it is nobody's.
    initiator.name_ =
        access.initiator_name.empty() ? "iqn.2026-11.org.kzones:unnamed" : access.initiator_name;
    initiator.secrets_path_ = access.chap_secrets;
    KZ_TRY(initiator.secrets_, ChapSecrets::load(access.chap_secrets));
    std::uint64_t random = 0;
    if (::getrandom(&random, sizeof(random), 0) != sizeof(random)) return fail_errno(errno, "getrandom");
    initiator.session_random_ = static_cast<std::uint32_t>(random & 0xffffff);
    initiator.session_qualifier_ = static_cast<std::uint16_t>(random >> 48);
    return initiator;
}

}  // namespace kz::storage
