#include "client/disk_move_offer.h"

#include <thread>

#include "crypto/random.h"
#include "image/reader.h"
#include "migrate/image_machine.h"
#include "migrate/offer_gather.h"
#include "monitor/image_place.h"
#include "monitor/live_record.h"
#include "qemu/probe.h"
#include "store/runtime.h"
#include "zone/export.h"

namespace kz::client {
namespace {

Result<image::ImageInfo> read_image_info(const store::Registry& registry, const zone::Config& config,
                                         const storage::SuspendRecord& record) {
    KZ_TRY(const monitor::ImagePlace place, monitor::ImagePlace::recorded(record));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(registry.paths()));
    KZ_TRY(std::unique_ptr<image::Medium> medium, place.open(access));
    KZ_TRY(const Secret key, registry.keysource(config.name()));
    KZ_TRY(const image::ImageReader reader, image::ImageReader::open(std::move(medium), key.view()));
    return reader.info();
}

Result<void> describe_machine(const store::Registry& registry, const zone::Config& config,
                              const storage::HostData& data, migrate::Offer& offer) {
    if (data.suspend) {
        KZ_TRY_CONTEXT(const image::ImageInfo info, read_image_info(registry, config, *data.suspend),
                       fmt::format("source: the suspend image {}", data.suspend->location));
        offer.machine_type = info.machine_type;
        // "tcg Nehalem": the accelerator and the CPU's model.
        offer.accel = info.cpu_model.substr(0, info.cpu_model.find(' '));
        offer.facts.qemu_version = info.qemu_version;
        offer.facts.image_id = info.image_id;
        KZ_TRY(const migrate::ImageMachine machine, migrate::image_machine(info, config));
        offer.live = migrate::live_part(machine.config, config);
        offer.shape = machine.shape;
    } else if (const auto runtime = store::load_runtime(registry.paths(), config.name());
               runtime && store::is_alive(runtime->qemu)) {
        offer.machine_type = runtime->machine_type;
        offer.accel = json_text(runtime->details, "accel").value_or("");
        offer.facts.qemu_version = runtime->qemu_version;
        KZ_TRY(const zone::Config live, monitor::live_config(*runtime, config));
        offer.live = migrate::live_part(live, config);
        KZ_TRY(offer.shape, monitor::recorded_shape(*runtime));
    }
    if (offer.accel.empty()) return {};
    KZ_TRY_CONTEXT(const qemu::QemuInfo qemu, qemu::probe_qemu({.cache_dir = registry.paths().cache_dir()}),
                   "source");
    KZ_TRY_CONTEXT(offer.facts.cpu, qemu::probe_cpu_models(qemu.binary, offer.accel), "source");
    return {};
}

}  // namespace

Result<migrate::Offer> make_disk_offer(const store::Registry& registry, const zone::Config& config,
                                       migrate::MoveKind kind, store::BootDisk& disk,
                                       const storage::HostData& data) {
    KZ_TRY(const store::HostIdentity host, store::host_identity(registry.paths()));
    KZ_TRY(const Bytes id, crypto::random_bytes(16));
    migrate::Offer offer;
    offer.kind = kind;
    offer.migration_id = to_hex(id);
    offer.zone_uuid = data.zone_uuid;
    offer.configuration = zone::export_text(config, /*with_secrets=*/true);
    offer.source = host.as_owner();
    offer.cpus = std::max(1U, std::thread::hardware_concurrency());
    migrate::gather_host(config, offer.facts);
    if (kind == migrate::MoveKind::warm) KZ_CHECK(describe_machine(registry, config, data, offer));
    KZ_CHECK(migrate::gather_storage({config, registry.paths(), disk}, offer.facts));
    return offer;
}

}  // namespace kz::client
