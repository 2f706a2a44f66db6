// Arbitrary text as the file of CHAP secrets, and each of its lines as a portal. A portal that is accepted
// renders to a text that parses to the same value; no error shows what a file of secrets holds.
#include <cstdlib>

#include "base/text.h"
#include "storage/chap_secrets.h"
#include "storage/iscsi_portal.h"

using namespace kz;
using namespace kz::storage;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes(data, size);
    const auto secrets = ChapSecrets::parse(bytes);
    if (!secrets && !secrets.error().message().starts_with("line ")) std::abort();
    if (secrets) {
        const ChapLogin* login = secrets->find("iqn.2026-11.org.x:y", "storage1");
        if (login != nullptr &&
            (login->user.empty() || login->password.empty() || login->password.size() > kMaxChapWord))
            std::abort();
    }
    for (const std::string& line : split(as_text(bytes), '\n')) {
        const auto portal = parse_portal(line);
        if (!portal) continue;
        if (parse_portal(portal->text()) != *portal) std::abort();
        if (parse_listed_portal(portal->text() + ",1", *portal) != *portal) std::abort();
    }
    return 0;
}
