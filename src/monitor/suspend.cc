#include "monitor/suspend.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "base/text.h"
#include "image/reader.h"
#include "image/writer.h"
#include "migrate/offer.h"
#include "migrate/pump_group.h"
#include "monitor/carried_stream.h"
#include "monitor/image_place.h"
#include "os/socket.h"
#include "qemu/migration.h"
#include "store/journal.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::hours kStreamTime{2};
constexpr std::chrono::seconds kSocketTime{10};
// How long an operation waits for storage that has to tell what came of a write.
constexpr std::chrono::minutes kSettleTime{10};

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
                                  unsigned channels) {
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
    info.channel_count = channels;
    return info;
}

unsigned memory_channels(const ZoneRun& run) {
    const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
    return migrate::memory_connections(run.config().memory_bytes(), cpus, cpus, 0);
}

// QEMU's stream into the image; the guest is stopped.
Result<image::ImageTotals> write_image(ZoneRun& run, image::ImageWriter& writer, unsigned channels) {
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
    return writer.finish();
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
    KZ_TRY(const image::ImageInfo now, describe(run, accel_of(info), info.epoch, info.channel_count));
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

Result<void> read_image(ZoneRun& run, const image::ImageReader& reader) {
    qemu::Qmp& qmp = run.machine()->qmp();
    const unsigned channels = reader.info().channel_count;
    KZ_CHECK(qemu::set_up_incoming(qmp, channels - 1));
    KZ_CHECK(qemu::start_incoming(qmp, "unix:in.sock"));
    KZ_TRY(const std::unique_ptr<migrate::PumpGroup> pumps, migrate::PumpGroup::create());
    KZ_CHECK(pumps->connect_channels(
        run.machine()->socket_folder() / "in.sock", channels,
        [&reader](unsigned channel, int fd, const stream::PumpRules& rules, stream::PumpCounters& counters) {
            Result<stream::PumpTotals> totals = reader.replay(channel, fd, rules, counters);
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

}  // namespace

Result<Json> suspend_zone(ZoneRun& run, Caller&) {
    if (run.runtime().state != zone::State::running)
        return fail(Errc::wrong_state, "suspend operation is invalid for {} zones.",
                    zone::state_name(run.runtime().state));
    // Where to is asked of the configuration as it is now; of what, of the one that the zone was started
    // with.
    KZ_TRY(const zone::Config newest, run.registry().load_config(run.zone()));
    KZ_TRY(const ImagePlace place, ImagePlace::configured(newest));
    KZ_TRY(const storage::HostData data, run.disk().read_owned(run.uuid()));
    const unsigned channels = memory_channels(run);
    KZ_TRY(const std::string accel, json_text(run.runtime().details, "accel"));
    KZ_TRY(image::ImageInfo info, describe(run, accel, data.epoch, channels + 1));
    KZ_TRY(const Secret key, key_of(run));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(run.paths()));
    KZ_TRY_CONTEXT(std::unique_ptr<image::Medium> medium,
                   place.create(newest, run.config().memory_bytes(), access), "suspend image");
    KZ_TRY_CONTEXT(
        image::ImageWriter writer,
        image::ImageWriter::create(std::move(medium), std::move(info), key.view(), crypto::kDefaultCipher),
        "suspend image");
    run.console().notice("suspending");
    const auto stopped = steady_clock::now();
    if (const auto stop = run.machine()->qmp().execute("stop"); !stop)
        return std::unexpected(go_on(run, stop.error()));
    run.guest_stopped();
    const Result<image::ImageTotals> totals = write_image(run, writer, channels);
    if (!totals) return std::unexpected(go_on(run, totals.error()));
    const storage::SuspendRecord record{writer.info().image_id, place.location(), utc_timestamp()};
    if (const Result<void> recorded = run.write_host_state("installed", record); !recorded) {
        // The write may have reached the disk all the same: then the image must stay, and the guest may not
        // go on.
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
        if (!now->suspend || now->suspend->image_id != record.image_id) {
            discard_image(run.paths(), record);
            return std::unexpected(go_on(run, recorded.error()));
        }
    }
    const auto elapsed = std::chrono::duration_cast<milliseconds>(steady_clock::now() - stopped);
    const Json report{{"bytes", totals->file_bytes},
                      {"memory_bytes", totals->plain_bytes},
                      {"pause_ms", elapsed.count()},
                      {"cipher", crypto::cipher_name(crypto::kDefaultCipher)},
                      {"connections", channels}};
    note(run, "suspend", report);
    KZ_CHECK(finish_suspend(run, record));
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

Result<void> resume_zone(ZoneRun& run, const storage::HostData& data) {
    const auto begun = steady_clock::now();
    KZ_TRY(const Secret key, key_of(run));
    KZ_TRY_CONTEXT(const image::ImageReader reader, open_image(run, *data.suspend, key),
                   fmt::format("the suspend image {} cannot be read (to boot afresh and lose what was in "
                               "memory: zoneadm -z {} boot -x discard-image)",
                               data.suspend->location, run.zone()));
    KZ_CHECK(check_image(run, reader.info(), data));
    KZ_CHECK(run.start_machine({.boot_args = {},
                                .machine_type = reader.info().machine_type,
                                .accel = accel_of(reader.info()),
                                .incoming = true}));
    KZ_CHECK_CONTEXT(read_image(run, reader),
                     "the suspend image could not be loaded; the zone stays suspended");
    run.console().notice("resuming");
    // Consumed before the first instruction: from here on a crash boots afresh.
    KZ_CHECK(consume_image(run, *data.suspend));
    KZ_CHECK(run.record_owned());
    KZ_CHECK(run.run_guest());
    discard_image(run.paths(), *data.suspend);
    note(run, "resume",
         {{"bytes", reader.totals().file_bytes},
          {"pause_ms", std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun).count()},
          {"cipher", crypto::cipher_name(reader.info().cipher)},
          {"connections", reader.info().channel_count - 1}});
    return {};
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
