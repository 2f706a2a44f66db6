#include "migrate/peer_trust.h"

#include <algorithm>

#include "base/text.h"
#include "migrate/peer_keys.h"

namespace kz::migrate {

Result<TrustDecision> TrustDecision::prepare(const HostPaths& paths, const PeerAddress& address,
                                             const TrustPolicy& policy) {
    KZ_TRY(const KnownHosts known, KnownHosts::load(paths));
    KZ_TRY(std::vector<std::string> pinned, known.find(address.known_hosts_name()));
    return TrustDecision(paths, address, policy, std::move(pinned));
}

bool TrustDecision::judge(const std::string& shown) {
    shown_ = shown;
    bool good = false;
    if (!pinned_.empty())
        good = std::ranges::find(pinned_, shown) != pinned_.end();
    else
        good = policy_.accept_unknown || policy_.expected || (!approved_.empty() && shown == approved_);
    if (policy_.expected && shown != *policy_.expected) good = false;
    refused_ = !good;
    return good;
}

Result<void> TrustDecision::resolve() {
    if (!pinned_.empty() && std::ranges::find(pinned_, shown_) == pinned_.end()) return changed();
    if (policy_.expected)
        return fail(Errc::permission, "host '{}' has the key\n  {}\nand not the expected\n  {}", host_,
                    shown_, *policy_.expected);
    // A host that shows another key than a moment ago is not asked about again.
    if (!policy_.question || !approved_.empty()) return unknown();
    const bool yes =
        policy_.question(fmt::format("The authenticity of host '{}' can't be established.\n"
                                     "Host key fingerprint is {}.\n"
                                     "Are you sure you want to continue connecting (yes/no)? ",
                                     host_, shown_));
    if (!yes) return fail(Errc::permission, "host key verification of '{}' failed", host_);
    approved_ = shown_;
    return {};
}

Result<void> TrustDecision::remember() const {
    if (!pinned_.empty()) return {};
    return remember_host(paths_, name_, shown_);
}

std::unexpected<Error> TrustDecision::changed() const {
    return fail(
        Errc::permission,
        "THE KEY OF HOST '{}' HAS CHANGED!\n"
        "It shows   {}\n"
        "known was  {}\n"
        "Either the host was set up anew, or somebody sits between you and it. When you know that the\n"
        "new key is right (kz-radd --fingerprint on that host prints it), remove the line of '{}'\n"
        "from {} and connect again.",
        host_, shown_, join(pinned_, ", "), name_, (paths_.rad_dir() / "known_hosts").string());
}

std::unexpected<Error> TrustDecision::unknown() const {
    return fail(
        Errc::permission,
        "the key of host '{}' is not known:\n"
        "  {}\n"
        "Connect once from a terminal, or compare it with kz-radd --fingerprint on that host and use\n"
        "--fingerprint (--accept-new takes whatever key it shows), or add\n"
        "the line '{} {}'\nto {}. ssh://{} goes by the keys that ssh knows.",
        host_, shown_, name_, shown_, (paths_.rad_dir() / "known_hosts").string(), host_);
}

}  // namespace kz::migrate
