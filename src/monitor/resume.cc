// Resume: out of a suspend image (monitor/suspend.h).
#include <sys/socket.h>

#include <chrono>

#include "base/text.h"
#include "image/page_reader.h"
#include "image/reader.h"
#include "migrate/image_machine.h"
#include "migrate/pump_group.h"
#include "monitor/carried_stream.h"
#include "monitor/image_place.h"
#include "monitor/lazy_resume.h"
#include "monitor/page_image.h"
#include "monitor/suspend.h"
#include "monitor/suspend_image.h"
#include "os/file.h"
#include "os/socket.h"
#include "qemu/migration.h"
#include "qemu/postcopy.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kStreamTime{2};
constexpr std::chrono::seconds kSocketTime{10};
// QEMU does neither while one of its processors waits for a page.
constexpr std::chrono::seconds kStopTime{5};
// For the devices, which touch some of the memory.
constexpr std::chrono::minutes kLoadTime{2};
constexpr milliseconds kLoadLook{2};

Result<void> check_image(ZoneRun& run, const image::ImageInfo& info, const storage::HostData& data) {
    const auto refuse = [&](const std::string& why) {
        return fail(Errc::wrong_state,
                    "the suspend image {} cannot be resumed: {}\nTo boot afresh and lose what was in memory: "
                    "zoneadm -z {} boot -x discard-image",
                    data.suspend->location, why, run.zone());
    };
    if (info.zone_uuid != run.uuid())
        return refuse(fmt::format("it is an image of another zone ({})", info.zone_name));
    if (info.image_id != data.suspend->image_id) return refuse("it is not the image that host data records");
    if (info.epoch > data.epoch) return refuse("it is newer than the disk");
    if (const std::string other = migrate::machine_mismatch(info, run.config()); !other.empty())
        return refuse(other);
    const std::vector<std::string> made_with = migrate::device_entries(info);
    if (made_with != device_list(run.config()))
        return refuse(fmt::format("it was made with other devices ({})", join(made_with, ", ")));
    return {};
}

Result<image::ImageReader> open_image(const ZoneRun& run, const storage::SuspendRecord& record,
                                      const Secret& key) {
    KZ_TRY(const ImagePlace place, ImagePlace::recorded(record));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(run.paths()));
    KZ_TRY(std::unique_ptr<image::Medium> medium, place.open(access));
    return image::ImageReader::open(std::move(medium), key.view());
}

// All of the image into QEMU.
Result<void> read_image(ZoneRun& run, const image::ImageReader& reader) {
    qemu::Qmp& qmp = run.machine()->qmp();
    std::optional<image::PageReader> pages;
    if (reader.info().layout == image::Layout::pages) {
        KZ_TRY(pages, image::PageReader::open(reader));
    }
    const unsigned channels = pages ? 1 : reader.info().channel_count;
    KZ_CHECK(qemu::set_up_incoming(qmp, channels - 1));
    KZ_CHECK(qemu::start_incoming(qmp, "unix:in.sock"));
    KZ_TRY(const std::unique_ptr<migrate::PumpGroup> pumps, migrate::PumpGroup::create());
    KZ_CHECK(pumps->connect_channels(
        run.machine()->socket_folder() / "in.sock", channels,
        [&](unsigned channel, int fd, const stream::PumpRules& rules, stream::PumpCounters& counters) {
            Result<stream::PumpTotals> totals = pages ? replay_pages(*pages, fd, rules, counters)
                                                      : reader.replay(channel, fd, rules, counters);
            if (totals) ::shutdown(fd, SHUT_WR);
            return totals;
        },
        Deadline::after(kSocketTime)));
    KZ_CHECK(wait_for_stream(qmp, *pumps, Deadline::after(kStreamTime), run.interrupt().fd()));
    KZ_CHECK(pumps->join());
    return {};
}

// Host data forget the image. A write of unknown outcome is settled: given up too early, an image that is
// consumed would be lost with the machine that holds its memory.
Result<void> consume_image(ZoneRun& run, const storage::SuspendRecord& record) {
    const Result<void> written = run.write_host_state("running", std::nullopt);
    if (written) return {};
    KZ_TRY(const storage::HostData settled, run.settle_host_data(kSettleTime));
    if (!settled.suspend) return {};
    if (settled.suspend->image_id == record.image_id) return std::unexpected(written.error());
    return fail(Errc::wrong_state, "host data record another suspend image now");
}

// A resume on its way: what its journal entry tells.
struct Resume {
    storage::SuspendRecord record;
    Json facts;
    steady_clock::time_point begun = steady_clock::now();
};

// Names the machine that does not have all its memory yet, for a monitor that finds it.
Path missing_memory_file(const ZoneRun& run) {
    return run.paths().zone_run_dir(run.zone()) / "missing-memory";
}

std::string text_of(const ProcessIdentity& machine) {
    return fmt::format("{}:{}\n", machine.pid, machine.start_time);
}

// Memory that comes while the guest runs.
MemoryServer::Actions serving_actions(ZoneRun& run, const std::shared_ptr<Resume>& resume) {
    return {.paused =
                [&run](const Error& error) {
                    run.log().error("the suspend image cannot be read: {}; the guest is paused until it can",
                                    error.message());
                    run.console().notice("paused: its suspend image cannot be read");
                    // A processor that waits for a page keeps QEMU from answering; it stands still all the
                    // same.
                    if (run.machine()->qmp().execute("stop", Json::object(), Deadline::after(kStopTime)))
                        run.guest_stopped();
                },
            .goes_on = [&run]() -> Result<void> {
                KZ_CHECK(run.continue_guest(Deadline::after(kStopTime)));
                run.log().info("the suspend image was read: the guest goes on");
                run.console().notice("resuming");
                return {};
            },
            .all_in =
                [&run, resume] {
                    resume->facts["all_memory_ms"] = milliseconds_since(resume->begun);
                    run.log().info("all memory is in");
                    if (const auto removed = remove_file(missing_memory_file(run)); !removed)
                        run.log().error("{}", removed.error().message());
                    note_move(run, "resume", resume->facts);
                    discard_image(run.paths(), resume->record);
                },
            .lost =
                [&run](const Error& error) {
                    run.log().error("the zone's memory did not come whole: {}", error.message());
                    run.machine()->fence();
                }};
}

// QEMU has taken the devices in and could run.
Result<void> wait_until_loaded(ZoneRun& run, MemoryServer& server) {
    qemu::Qmp& qmp = run.machine()->qmp();
    const Deadline deadline = Deadline::after(kLoadTime);
    while (true) {
        if (const auto failure = server.failure()) return std::unexpected(*failure);
        KZ_TRY(const Json status, qmp.execute("query-status"));
        if (json_text(status, "status").value_or("") == "paused") return {};
        KZ_TRY(const qemu::MigrationState state, qemu::query_migration(qmp));
        if (qemu::migration_ended(state.status) && state.status != qemu::MigrationStatus::completed)
            return fail(Errc::io, "QEMU: {}", state.error.empty() ? "loading failed" : state.error);
        const auto moment = wait_readable(run.interrupt().fd(), deadline.earlier(Deadline::after(kLoadLook)));
        if (moment) return fail(Errc::cancelled, "cancelled");
        if (deadline.passed()) return fail(Errc::timeout, "QEMU does not load the devices");
    }
}

// Why QEMU cannot run without its memory, for the log.
std::string why_not_lazy(const Error& error) {
    const Result<std::string> allowed = read_file("/proc/sys/vm/unprivileged_userfaultfd", 16);
    if (allowed && allowed->starts_with('0'))
        return fmt::format("{} (sysctl vm.unprivileged_userfaultfd is 0)", error.message());
    return error.message();
}

// Nothing when memory is to be loaded before the guest runs, and why.
std::optional<std::string> cannot_be_lazy(ZoneRun& run, const image::ImageInfo& info, bool eager) {
    if (eager) return "as asked";
    if (info.layout != image::Layout::pages) return "the image is of the old layout";
    if (const auto set = qemu::set_up_postcopy_incoming(run.machine()->qmp()); !set)
        return why_not_lazy(set.error());
    return std::nullopt;
}

Result<std::unique_ptr<MemoryServer>> start_serving(ZoneRun& run, std::unique_ptr<image::ImageReader> reader,
                                                    const std::shared_ptr<Resume>& resume) {
    KZ_CHECK(qemu::start_incoming(run.machine()->qmp(), "unix:in.sock"));
    KZ_TRY_CONTEXT(UniqueFd socket,
                   unix_connect(run.machine()->socket_folder() / "in.sock", Deadline::after(kSocketTime)),
                   "connecting to QEMU");
    KZ_TRY(std::unique_ptr<MemoryServer> server,
           MemoryServer::start(std::move(reader), std::move(socket), serving_actions(run, resume)));
    KZ_CHECK(wait_until_loaded(run, *server));
    return server;
}

// Consumed before the first instruction: from here on a crash boots afresh.
Result<void> consume_and_run(ZoneRun& run, Resume& resume) {
    run.console().notice("resuming");
    KZ_CHECK(consume_image(run, resume.record));
    KZ_CHECK(run.record_owned());
    resume.facts["pause_ms"] = milliseconds_since(resume.begun);
    KZ_CHECK(run.run_guest());
    run.machine()->announce(run.log());
    return {};
}

Result<void> resume_lazily(ZoneRun& run, std::unique_ptr<image::ImageReader> reader,
                           const std::shared_ptr<Resume>& resume) {
    KZ_TRY_CONTEXT(std::unique_ptr<MemoryServer> owned, start_serving(run, std::move(reader), resume),
                   "the suspend image could not be loaded; the zone stays suspended");
    KZ_CHECK(write_file_atomic(missing_memory_file(run), text_of(run.machine()->process().identity()), 0600));
    MemoryServer& server = *owned;
    run.serve_memory(std::move(owned));
    KZ_CHECK(server.commit());
    KZ_CHECK(consume_and_run(run, *resume));
    server.guest_runs();
    return {};
}

Result<void> resume_eagerly(ZoneRun& run, const image::ImageReader& reader, Resume& resume) {
    KZ_CHECK_CONTEXT(read_image(run, reader),
                     "the suspend image could not be loaded; the zone stays suspended");
    KZ_CHECK(consume_and_run(run, resume));
    resume.facts["all_memory_ms"] = resume.facts["pause_ms"];
    discard_image(run.paths(), resume.record);
    note_move(run, "resume", resume.facts);
    return {};
}

}  // namespace

bool memory_is_missing(const ZoneRun& run, const ProcessIdentity& machine) {
    const Result<std::string> named = read_file(missing_memory_file(run), 64);
    return named && *named == text_of(machine);
}

Result<void> resume_zone(ZoneRun& run, const storage::HostData& data, bool eager) {
    const auto resume = std::make_shared<Resume>(Resume{*data.suspend, {}});
    KZ_TRY(const Secret key, key_of(run));
    KZ_TRY_CONTEXT(image::ImageReader opened, open_image(run, *data.suspend, key),
                   fmt::format("the suspend image {} cannot be read (to boot afresh and lose what was in "
                               "memory: zoneadm -z {} boot -x discard-image)",
                               data.suspend->location, run.zone()));
    auto reader = std::make_unique<image::ImageReader>(std::move(opened));
    const image::ImageInfo& info = reader->info();
    KZ_TRY(migrate::ImageMachine machine, migrate::image_machine(info, run.config()));
    run.become(std::move(machine.config));
    KZ_CHECK(check_image(run, info, data));
    KZ_CHECK(run.start_machine({.boot_args = {},
                                .machine_type = info.machine_type,
                                .accel = accel_of(info),
                                .incoming = true,
                                .shape = machine.shape}));
    const std::optional<std::string> why_not = cannot_be_lazy(run, info, eager);
    resume->facts = {{"bytes", reader->totals().file_bytes},
                     {"lazy", !why_not},
                     {"cipher", crypto::cipher_name(info.cipher)},
                     {"connections", info.channel_count - 1}};
    if (!why_not) return resume_lazily(run, std::move(reader), resume);
    run.log().info("memory is loaded before the zone runs: {}", *why_not);
    return resume_eagerly(run, *reader, *resume);
}

}  // namespace kz::monitor
