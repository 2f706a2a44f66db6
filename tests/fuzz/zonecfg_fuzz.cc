// Arbitrary bytes as a stored configuration. What is accepted is written out and read again as the same;
// verifying, comparing and showing it must not fail either.
#include <cstdlib>
#include <string>

#include "base/bytes.h"
#include "zone/export.h"
#include "zone/verify.h"
#include "zonecfg/info.h"
#include "zonecfg/parse_export.h"

using namespace kz;

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    const auto config = zonecfg::parse_export(as_text({data, size}), "fuzz");
    if (!config) return 0;
    const std::string text = zone::export_text(*config, /*with_secrets=*/true);
    const auto again = zonecfg::parse_export(text, "fuzz");
    if (!again || *again != *config || zone::export_text(*again, true) != text) std::abort();
    if (!zone::differences(*config, *again).empty()) std::abort();
    if (!zone::machine_differences(*config, *again).empty()) std::abort();
    static_cast<void>(zone::verify(*config));
    static_cast<void>(zonecfg::info_text(*config));
    static_cast<void>(config->devices());
    static_cast<void>(config->anets());
    return 0;
}
