#include "monitor/suspend.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "base/text.h"
#include "image/page_reader.h"
#include "image/reader.h"
#include "image/writer.h"
#include "migrate/offer.h"
#include "migrate/pump_group.h"
#include "monitor/carried_stream.h"
#include "monitor/image_place.h"
#include "monitor/lazy_resume.h"
#include "monitor/live_suspend.h"
#include "monitor/page_image.h"
#include "os/file.h"
#include "os/socket.h"
#include "qemu/migration.h"
#include "qemu/postcopy.h"
#include "store/journal.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kStreamTime{2};
constexpr std::chrono::seconds kSocketTime{10};
// How long an operation waits for storage that has to tell what came of a write.
constexpr std::chrono::minutes kSettleTime{10};
constexpr std::chrono::seconds kStopTime{5};
// For the devices, which touch some of the memory.
constexpr std::chrono::minutes kLoadTime{2};
constexpr milliseconds kLoadLook{2};

// What the machine is made of, so that an image is never loaded into another one.
std::vector<std::string> device_list(const ZoneRun& run) {
    std::vector<std::string> devices;
    for (const zone::Device& device : run.config().devices())
        devices.push_back(fmt::format("disk{} {}", device.id, device.storage));
    for (const zone::Anet& anet : run.config().anets())
        devices.push_back(fmt::format("net{} {}", anet.id, mac_of(run.config(), anet)));
    return devices;
}

Result<image::ImageInfo> describe(const ZoneRun& run, const std::string& accel, std::uint64_t epoch,
                                  image::Layout layout, unsigned channels) {
    image::ImageInfo info;
    info.zone_uuid = run.uuid();
    info.zone_name = run.zone();
    info.epoch = epoch;
    info.machine_type = run.runtime().machine_type;
    info.qemu_version = run.runtime().qemu_version;
    KZ_TRY(const std::string model, qemu::cpu_model_for(run.config().cpu_arch(), accel));
    info.cpu_model = fmt::format("{} {}", accel, model);
    info.memory_bytes = run.config().memory_bytes();
    info.cpu_count = run.config().cpu_count();
    info.devices = device_list(run);
    info.created_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
    info.layout = layout;
    info.channel_count = channels;
    return info;
}

unsigned memory_channels(const ZoneRun& run) {
    const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
    return migrate::memory_connections(run.config().memory_bytes(), cpus, cpus, 0);
}

// QEMU's own channels into an image of that layout; the guest is stopped.
Result<void> record_channels(ZoneRun& run, image::ImageWriter& writer) {
    const unsigned channels = writer.info().channel_count - 1;
    qemu::Qmp& qmp = run.machine()->qmp();
    KZ_TRY(const std::unique_ptr<migrate::PumpGroup> pumps, migrate::PumpGroup::create());
    const Path socket = run.machine()->socket_folder() / "out.sock";
    KZ_TRY(UniqueFd listener, unix_listen(socket, 0600));
    KZ_CHECK(run.machine()->give_to_machine(socket));
    pumps->accept_channels(std::move(listener), channels + 1,
                           [&writer](unsigned channel, int fd, const stream::PumpRules& rules,
                                     stream::PumpCounters& counters) -> Result<stream::PumpTotals> {
                               KZ_TRY(const std::unique_ptr<image::ImageChannelWriter> out,
                                      writer.channel(channel));
                               return stream::pump_in(fd, *out, rules, counters);
                           });
    KZ_CHECK(qemu::set_up_outgoing(qmp, {.channels = channels}));
    KZ_CHECK(qemu::start_outgoing(qmp, "unix:out.sock"));
    const Result<qemu::MigrationState> ended =
        wait_for_stream(qmp, *pumps, Deadline::after(kStreamTime), run.interrupt().fd());
    if (!ended) {
        stop_sending(qmp, *pumps);
        return std::unexpected(ended.error());
    }
    KZ_CHECK(pumps->join());
    return {};
}

// Undoes a suspend that failed before host data recorded the image.
Error go_on(ZoneRun& run, Error cause) {
    run.interrupt().reset();
    return std::move(cause).context("suspend failed").append(run.let_guest_go_on());
}

void note(ZoneRun& run, std::string_view move, Json facts) {
    if (const auto noted = store::append_journal(run.paths(), run.zone(), move, std::move(facts)); !noted)
        run.log().error("journal: {}", noted.error().message());
}

Result<Secret> key_of(const ZoneRun& run) {
    return run.registry().keysource(run.zone());
}

// "tcg Nehalem": what ran it must run it again.
std::string accel_of(const image::ImageInfo& info) {
    return info.cpu_model.substr(0, info.cpu_model.find(' '));
}

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
    KZ_TRY(const image::ImageInfo now,
           describe(run, accel_of(info), info.epoch, info.layout, info.channel_count));
    if (info.memory_bytes != now.memory_bytes)
        return refuse(fmt::format("it has {} of memory, the zone is configured with {}",
                                  render_size(info.memory_bytes), render_size(now.memory_bytes)));
    if (info.cpu_count != now.cpu_count)
        return refuse(
            fmt::format("it has {} CPUs, the zone is configured with {}", info.cpu_count, now.cpu_count));
    if (info.devices != now.devices)
        return refuse(fmt::format("it was made with other devices ({})", join(info.devices, ", ")));
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

struct SuspendRequest {
    bool live = true;
    bool old_layout = false;
};

Result<SuspendRequest> read_request(const Json& json) {
    SuspendRequest request;
    if (json.contains("stop_first")) {
        KZ_TRY(const bool stop_first, json_bool(json, "stop_first"));
        request.live = !stop_first;
    }
    if (json.contains("old_layout")) {
        KZ_TRY(request.old_layout, json_bool(json, "old_layout"));
    }
    if (request.old_layout) request.live = false;
    return request;
}

struct WrittenImage {
    storage::SuspendRecord record;
    image::ImageTotals totals;
    Recording recording;
    unsigned connections = 0;
};

Result<image::ImageWriter> create_image(ZoneRun& run, const ImagePlace& place, const zone::Config& newest,
                                        bool old_layout) {
    KZ_TRY(const storage::HostData data, run.disk().read_owned(run.uuid()));
    KZ_TRY(const std::string accel, json_text(run.runtime().details, "accel"));
    const image::Layout layout = old_layout ? image::Layout::channels : image::Layout::pages;
    const unsigned channels = old_layout ? memory_channels(run) : opening_threads();
    KZ_TRY(image::ImageInfo info, describe(run, accel, data.epoch, layout, channels + 1));
    KZ_TRY(const Secret key, key_of(run));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(run.paths()));
    KZ_TRY_CONTEXT(std::unique_ptr<image::Medium> medium,
                   place.create(newest, run.config().memory_bytes(), access), "suspend image");
    KZ_TRY_CONTEXT(
        image::ImageWriter writer,
        image::ImageWriter::create(std::move(medium), std::move(info), key.view(), crypto::kDefaultCipher),
        "suspend image");
    return writer;
}

// The guest stands still afterwards, or, when it fails, does as it likes.
Result<WrittenImage> write_image(ZoneRun& run, const ImagePlace& place, image::ImageWriter& writer,
                                 const SuspendRequest& request) {
    Recording recording{.stopped = steady_clock::now(), .passes = 1};
    if (!request.live) {
        KZ_CHECK(run.machine()->qmp().execute("stop"));
        run.guest_stopped();
    }
    if (request.old_layout) {
        KZ_CHECK(record_channels(run, writer));
    } else {
        KZ_TRY(recording, record_pages(run, writer, request.live));
    }
    KZ_TRY(const image::ImageTotals totals, writer.finish());
    return WrittenImage{{writer.info().image_id, place.location(), utc_timestamp()},
                        totals,
                        recording,
                        writer.info().channel_count - 1};
}

// Host data record the image: the zone is suspended. On failure the guest goes on, unless nobody can tell.
Result<void> record_suspended(ZoneRun& run, const storage::SuspendRecord& record) {
    const Result<void> recorded = run.write_host_state("installed", record);
    if (recorded) return {};
    // The write may have reached the disk all the same: then the image must stay, and the guest may not go
    // on.
    const Result<storage::HostData> now = run.settle_host_data(kSettleTime);
    if (!now) {
        // Neither the image nor the stopped machine may be given up before the disk has told.
        return std::unexpected(
            Error(recorded.error())
                .context("suspend failed")
                .append(fmt::format("the storage does not tell whether the zone is suspended: it stands "
                                    "still, and its image {} is kept, until 'zoneadm -z {} halt'",
                                    record.location, run.zone())));
    }
    if (now->suspend && now->suspend->image_id == record.image_id) return {};
    discard_image(run.paths(), record);
    return std::unexpected(go_on(run, recorded.error()));
}

std::int64_t milliseconds_since(steady_clock::time_point moment) {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - moment).count();
}

}  // namespace

Result<Json> suspend_zone(ZoneRun& run, const Json& json, Caller& caller) {
    if (run.runtime().state != zone::State::running)
        return fail(Errc::wrong_state, "suspend operation is invalid for {} zones.",
                    zone::state_name(run.runtime().state));
    KZ_TRY(SuspendRequest request, read_request(json));
    KZ_CHECK(run.wait_for_memory());
    // Where to is asked of the configuration as it is now; of what, of the one that the zone was started
    // with.
    KZ_TRY(const zone::Config newest, run.registry().load_config(run.zone()));
    KZ_TRY(const ImagePlace place, ImagePlace::configured(newest));
    const auto begun = steady_clock::now();
    const auto attempt = [&]() -> Result<WrittenImage> {
        KZ_TRY(image::ImageWriter writer, create_image(run, place, newest, request.old_layout));
        run.console().notice("suspending");
        Result<WrittenImage> written = write_image(run, place, writer, request);
        if (!written) return std::unexpected(go_on(run, written.error()));
        return written;
    };
    Result<WrittenImage> written = attempt();
    if (!written && written.error().code() == Errc::no_space && request.live) {
        // Pages that changed meanwhile took room twice.
        caller.message(
            "there is no room for memory that changes while it is copied; stopping the zone first.");
        request.live = false;
        written = attempt();
    }
    if (!written) return std::unexpected(written.error());
    KZ_CHECK(record_suspended(run, written->record));
    const Json report{{"bytes", written->totals.file_bytes},
                      {"memory_bytes", written->totals.plain_bytes},
                      {"pause_ms", milliseconds_since(written->recording.stopped)},
                      {"total_ms", milliseconds_since(begun)},
                      {"live", request.live},
                      {"passes", written->recording.passes},
                      {"cipher", crypto::cipher_name(crypto::kDefaultCipher)},
                      {"connections", written->connections}};
    note(run, "suspend", report);
    KZ_CHECK(finish_suspend(run, written->record));
    return report;
}

Result<void> finish_suspend(ZoneRun& run, const storage::SuspendRecord& record) {
    run.end_machine();
    run.console().notice("halted");
    run.log().info("suspended to {} (image {})", record.location, record.image_id);
    const Result<void> recorded = run.set_down(zone::State::installed, {zone::Aux::suspended});
    run.finish();
    return recorded;
}

namespace {

// A resume on its way: what its journal entry tells.
struct Resume {
    storage::SuspendRecord record;
    Json facts;
    steady_clock::time_point begun = steady_clock::now();
};

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
                KZ_CHECK(run.continue_guest());
                run.log().info("the suspend image was read: the guest goes on");
                run.console().notice("resuming");
                return {};
            },
            .all_in =
                [&run, resume] {
                    resume->facts["all_memory_ms"] = milliseconds_since(resume->begun);
                    run.log().info("all memory is in");
                    note(run, "resume", resume->facts);
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
    MemoryServer& server = run.serve_memory(std::move(owned));
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
    note(run, "resume", resume.facts);
    return {};
}

}  // namespace

Result<void> resume_zone(ZoneRun& run, const storage::HostData& data, bool eager) {
    const auto resume = std::make_shared<Resume>(Resume{*data.suspend, {}});
    KZ_TRY(const Secret key, key_of(run));
    KZ_TRY_CONTEXT(image::ImageReader opened, open_image(run, *data.suspend, key),
                   fmt::format("the suspend image {} cannot be read (to boot afresh and lose what was in "
                               "memory: zoneadm -z {} boot -x discard-image)",
                               data.suspend->location, run.zone()));
    auto reader = std::make_unique<image::ImageReader>(std::move(opened));
    const image::ImageInfo& info = reader->info();
    KZ_CHECK(check_image(run, info, data));
    KZ_CHECK(run.start_machine(
        {.boot_args = {}, .machine_type = info.machine_type, .accel = accel_of(info), .incoming = true}));
    const std::optional<std::string> why_not = cannot_be_lazy(run, info, eager);
    resume->facts = {{"bytes", reader->totals().file_bytes},
                     {"lazy", !why_not},
                     {"cipher", crypto::cipher_name(info.cipher)},
                     {"connections", info.channel_count - 1}};
    if (!why_not) return resume_lazily(run, std::move(reader), resume);
    run.log().info("memory is loaded before the zone runs: {}", *why_not);
    return resume_eagerly(run, *reader, *resume);
}

void remove_image_draft(const ZoneRun& run) {
    if (!run.config().suspend()) return;
    if (const Result<ImagePlace> place = ImagePlace::configured(run.config())) place->remove_draft();
}

void discard_image(const HostPaths& paths, const storage::SuspendRecord& record) {
    const auto discard = [&]() -> Result<void> {
        KZ_TRY(const ImagePlace place, ImagePlace::recorded(record));
        KZ_TRY(const storage::StorageAccess access, store::storage_access(paths));
        return place.discard(access);
    };
    // Host data do not name it any more: what is left of it harms nobody.
    [[maybe_unused]] const Result<void> discarded = discard();
}

}  // namespace kz::monitor
