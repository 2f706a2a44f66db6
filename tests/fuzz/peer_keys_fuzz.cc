// Arbitrary text as known_hosts, as authorized_keys and as the address of a host. Adding to a file must keep
// every line that was there, and what was added is found again.
#include <algorithm>
#include <cstdlib>

#include "migrate/peer_address.h"
#include "migrate/peer_keys.h"

using namespace kz;

namespace {

const std::string kFingerprint = "SHA256:" + std::string(42, 'x') + "A";

void extend_known_hosts(std::string_view text) {
    auto hosts = migrate::KnownHosts::parse(text);
    if (!hosts) return;
    const std::string before = hosts->render();
    if (!hosts->add("node1", kFingerprint)) return;
    if (!hosts->render().starts_with(before)) std::abort();
    const auto found = migrate::KnownHosts::parse(hosts->render())->find("node1");
    if (!found || std::ranges::find(*found, kFingerprint) == found->end()) std::abort();
}

void extend_authorized_keys(std::string_view text) {
    auto keys = migrate::AuthorizedKeys::parse(text);
    if (!keys) return;
    const bool known = keys->find(kFingerprint).has_value();
    if (!keys->add(kFingerprint, "node1")) std::abort();
    if (migrate::AuthorizedKeys::parse(keys->render())->find(kFingerprint) != "node1") std::abort();
    // Nobody gets in by a line that is not his: the text can hardly hold this very fingerprint by chance.
    if (known && text.find(kFingerprint) == std::string_view::npos) std::abort();
}

void parse_address(std::string_view text) {
    const auto address = migrate::PeerAddress::parse(text);
    if (address && migrate::PeerAddress::parse(address->render()) != *address) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    extend_known_hosts(text);
    extend_authorized_keys(text);
    parse_address(text);
    return 0;
}
