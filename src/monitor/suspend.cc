#include "monitor/suspend.h"

#include <chrono>
#include <thread>

#include "base/text.h"
#include "image/writer.h"
#include "migrate/offer.h"
#include "migrate/pump_group.h"
#include "monitor/carried_stream.h"
#include "monitor/image_place.h"
#include "monitor/live_suspend.h"
#include "monitor/page_image.h"
#include "monitor/suspend_image.h"
#include "os/socket.h"
#include "qemu/migration.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kStreamTime{2};

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
    KZ_TRY(image::ImageInfo info, describe_machine(run, accel, data.epoch, layout, channels + 1));
    KZ_TRY(const Secret key, key_of(run));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(run.paths()));
    KZ_TRY_CONTEXT(std::unique_ptr<image::Medium> medium,
                   place.create(newest, run.shape().memory_bytes, access), "suspend image");
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
        if (!request.live) run.console().notice("suspending");
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
    note_move(run, "suspend", report);
    KZ_CHECK(finish_suspend(run, written->record));
    return report;
}

Result<void> finish_suspend(ZoneRun& run, const storage::SuspendRecord& record) {
    run.end_machine("the zone was suspended");
    run.console().notice("halted");
    run.log().info("suspended to {} (image {})", record.location, record.image_id);
    const Result<void> recorded = run.set_down(zone::State::installed, {zone::Aux::suspended});
    run.finish();
    return recorded;
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
