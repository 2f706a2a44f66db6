#include "stream/two_way.h"

#include <sys/socket.h>

#include <thread>

#include "os/io.h"

namespace kz::stream {

Result<void> pump_both_ways(int local_fd, int sealed_fd, RecordSealer& sealer, RecordOpener& opener,
                            const PumpRules& rules, TwoWayCounters counters) {
    KZ_TRY(const EventFd halt, EventFd::create());
    Result<PumpTotals> opened = PumpTotals{};
    std::jthread incoming([&] {
        opened = pump_open(sealed_fd, local_fd, opener, {.cancel_fd = halt.fd()}, counters.opened);
        if (opened) {
            ::shutdown(local_fd, SHUT_WR);
        } else {
            // The other half watches this connection.
            ::shutdown(sealed_fd, SHUT_RDWR);
        }
    });
    const Result<PumpTotals> sealed = pump_seal(local_fd, sealed_fd, sealer, rules, counters.sealed);
    if (!sealed) halt.signal();
    incoming.join();
    const bool only_consequence = !sealed && !opened && opened.error().code() != Errc::cancelled;
    if (only_consequence || (sealed && !opened)) return std::unexpected(std::move(opened).error());
    if (!sealed) {
        ::shutdown(sealed_fd, SHUT_RDWR);
        return std::unexpected(sealed.error());
    }
    return {};
}

}  // namespace kz::stream
