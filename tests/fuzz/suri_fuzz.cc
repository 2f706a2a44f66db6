// Arbitrary text as a SURI. What is accepted renders to a text that parses to the same value, and normalizing
// is stable; a local path never leaves where it belongs.
#include <cstdlib>

#include "storage/suri.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto suri = storage::Suri::parse(text);
    if (!suri) {
        if (suri.error().code() != Errc::invalid_argument || !suri.error().message().starts_with("position "))
            std::abort();
        return 0;
    }
    const auto again = storage::Suri::parse(suri->render());
    if (!again || *again != *suri) std::abort();
    const storage::Suri normal = suri->normalized();
    if (normal.normalized() != normal) std::abort();
    const auto normal_again = storage::Suri::parse(normal.render());
    if (!normal_again || *normal_again != normal) std::abort();
    const std::string path = suri->local_path().string();
    if (path.find("/../") != std::string::npos || path.find('\0') != std::string::npos) std::abort();
    if (suri->type() == storage::SuriType::dev && !path.starts_with("/dev/")) std::abort();
    return 0;
}
