// A stream that QEMU sends or loads while a PumpGroup carries it: waiting for its end, and giving it up. For
// the monitor's suspend and migrations.
#pragma once

#include <initializer_list>

#include "migrate/pump_group.h"
#include "qemu/migration.h"

namespace kz::monitor {

// As qemu::wait_for_end, and ends as soon as a pump has failed: QEMU may take its time to notice, or never
// do. The pumps' error comes first, QEMU's complaint is only its consequence.
Result<qemu::MigrationState> wait_for_stream(qemu::Qmp& qmp, const migrate::PumpGroup& pumps,
                                             Deadline deadline, int cancel_fd);
// Ends what QEMU sends, in the order that QEMU bears: it has let go of its sockets when this returns.
void stop_sending(qemu::Qmp& qmp, migrate::PumpGroup& pumps);

}  // namespace kz::monitor
