// Arbitrary text as a host's settings: what is accepted is consistent, and what is not is refused by its
// place.
#include <cstdlib>

#include "base/bytes.h"
#include "store/settings.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto settings = store::parse_settings(as_text(ByteView(data, size)), "settings");
    if (!settings) {
        if (settings.error().code() != Errc::invalid_argument) std::abort();
        if (!settings.error().message().starts_with("settings:")) std::abort();
        return 0;
    }
    const storage::LeaseTimings& lease = settings->lease;
    if (!lease.check() || settings->storage_timeout >= lease.pause) std::abort();
    if (lease.renew >= lease.pause || lease.pause >= lease.fence || lease.fence >= lease.takeover)
        std::abort();
    return 0;
}
