// What a QEMU taken over by its guest may send to the monitor: the stream is cut in parts of sizes that the
// input chooses, and each line is read as a message.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "qemu/qmp_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace kz::qemu;
    constexpr std::size_t kCap = 4096;
    LineBuffer lines;
    kz::ByteView rest(data, size);
    while (!rest.empty()) {
        const std::size_t part = std::min<std::size_t>(rest.size(), 1U + rest.front() % 64U);
        if (!lines.append(rest.first(part), kCap)) return 0;
        rest = rest.subspan(part);
        while (const auto line = lines.next_line()) {
            if (line->find('\n') != line->npos || line->empty()) std::abort();
            const auto message = parse_qmp_message(*line);
            if (!message) continue;
            const auto* event = std::get_if<QmpEvent>(&*message);
            if (event != nullptr && (event->name.empty() || !event->data.is_object())) std::abort();
        }
    }
    return 0;
}
