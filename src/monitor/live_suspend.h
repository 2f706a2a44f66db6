// Recording a machine into a suspend image by page, while its guest runs or after it was stopped. For the
// monitor's own files.
//
// Theory of operation. QEMU sends its migration stream over one local socket; it is taken apart as it comes
// (qemu/ram_stream.h), the pages are sealed by several threads (image/page_writer.h), all else is kept as it
// is. Live, QEMU copies memory while the guest runs, and then what has changed meanwhile, pass by pass; it
// stops the guest when what is left would take no longer than the pause that is wanted, or after a few
// passes in any case: nobody waits for a guest that is being suspended to become quiet. Pages that came more
// than once count as they came last.
#pragma once

#include <chrono>

#include "image/writer.h"
#include "monitor/zone_run.h"

namespace kz::monitor {

struct Recording {
    std::chrono::steady_clock::time_point stopped;  // when the guest stood still
    std::uint64_t passes = 0;                       // over memory
};

// Into an image of layout `pages`, whose writer is then ready to finish. With `live` the guest is stopped on
// the way; without, it stands still already. On failure QEMU's migration has ended, and the guest runs or
// stands still.
Result<Recording> record_pages(ZoneRun& run, image::ImageWriter& writer, bool live);

}  // namespace kz::monitor
