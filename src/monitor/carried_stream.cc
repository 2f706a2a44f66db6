#include "monitor/carried_stream.h"

namespace kz::monitor {
namespace {

constexpr std::chrono::milliseconds kLook{100};
constexpr std::chrono::seconds kStopTime{30};

}  // namespace

Result<qemu::MigrationState> wait_for_stream(qemu::Qmp& qmp, const migrate::PumpGroup& pumps,
                                             Deadline deadline, int cancel_fd) {
    while (true) {
        Result<qemu::MigrationState> ended =
            qemu::wait_for_end(qmp, deadline.earlier(Deadline::after(kLook)), cancel_fd);
        if (ended) return ended;
        if (const auto failure = pumps.failure()) return std::unexpected(*failure);
        if (ended.error().code() != Errc::timeout || deadline.passed()) return ended;
    }
}

void stop_sending(qemu::Qmp& qmp, migrate::PumpGroup& pumps) {
    pumps.cancel();
    [[maybe_unused]] const auto cancelled = qemu::cancel_migration(qmp);
    [[maybe_unused]] const auto ended =
        qemu::wait_for_status(qmp, {qemu::MigrationStatus::none}, Deadline::after(kStopTime));
}

}  // namespace kz::monitor
