#include "client/image_file.h"

#include <chrono>

#include "base/text.h"
#include "image/reader.h"
#include "image/volume_medium.h"
#include "migrate/image_machine.h"
#include "storage/volume.h"
#include "store/host.h"

namespace kz::client {
namespace {

Result<std::unique_ptr<image::Medium>> open_place(const Client& client, const std::string& place) {
    const Result<storage::Suri> suri = storage::Suri::parse(place);
    if (!suri) return image::open_file_medium(place);
    if (suri->type() == storage::SuriType::file) return image::open_file_medium(suri->local_path());
    KZ_TRY(const storage::StorageAccess access, store::storage_access(client.paths()));
    KZ_TRY(std::unique_ptr<storage::Volume> volume, storage::open_volume(*suri, access));
    return image::open_volume_medium(std::move(volume));
}

// The zone of this host that the image claims to be of.
std::optional<std::string> zone_of(const Client& client, const std::string& uuid) {
    const auto statuses = client.statuses();
    if (!statuses) return std::nullopt;
    for (const store::ZoneStatus& status : *statuses) {
        if (status.uuid == uuid) return status.name;
    }
    return std::nullopt;
}

std::string utc_text(std::uint64_t milliseconds) {
    const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
    std::tm parts{};
    std::array<char, 32> text{};
    if (::gmtime_r(&seconds, &parts) == nullptr ||
        std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return std::to_string(milliseconds);
    return text.data();
}

Json describe(const image::ImageInfo& info) {
    return {{"image_id", info.image_id},
            {"zone", info.zone_name},
            {"uuid", info.zone_uuid},
            {"epoch", info.epoch},
            {"created", utc_text(info.created_ms)},
            {"machine", info.machine_type},
            {"qemu", info.qemu_version},
            {"cpu", info.cpu_model},
            {"cpus", info.cpu_count},
            {"memory_bytes", info.memory_bytes},
            {"devices", migrate::device_entries(info)},
            {"cipher", crypto::cipher_name(info.cipher)},
            {"layout", image::layout_name(info.layout)}};
}

struct Opened {
    image::ImageReader reader;
    std::string zone;
};

Json describe(const Opened& opened) {
    Json facts = describe(opened.reader.info());
    facts["verified_as"] = opened.zone;
    facts["bytes"] = opened.reader.totals().file_bytes;
    facts["records"] = opened.reader.totals().records;
    facts["plain_bytes"] = opened.reader.totals().plain_bytes;
    return facts;
}

Result<Opened> open_with_key(const Client& client, const std::string& zone,
                             std::unique_ptr<image::Medium> medium) {
    KZ_TRY(const store::Registry registry, store::Registry::open(client.paths()));
    KZ_TRY(const Secret key, registry.keysource(zone));
    KZ_TRY(image::ImageReader reader, image::ImageReader::open(std::move(medium), key.view()));
    return Opened{std::move(reader), zone};
}

}  // namespace

Result<Json> image_info(const Client& client, const std::string& place) {
    KZ_TRY(std::unique_ptr<image::Medium> medium, open_place(client, place));
    KZ_TRY(const image::ImageInfo info, image::read_info(*medium));
    const std::optional<std::string> zone = zone_of(client, info.zone_uuid);
    if (!zone) return describe(info);
    const Result<Opened> opened = open_with_key(client, *zone, std::move(medium));
    if (opened) return describe(*opened);
    // A key that may not be read is as good as none.
    if (opened.error().code() == Errc::not_found) return describe(info);
    return std::unexpected(opened.error());
}

Result<Json> verify_image(const Client& client, const std::string& place, const Reporter& reporter) {
    KZ_TRY(std::unique_ptr<image::Medium> medium, open_place(client, place));
    KZ_TRY(const image::ImageInfo info, image::read_info(*medium));
    const std::optional<std::string> zone = zone_of(client, info.zone_uuid);
    if (!zone)
        return fail(Errc::not_found,
                    "the image says that it is of zone {} ({}), whose key this host does not have",
                    info.zone_name, info.zone_uuid);
    KZ_TRY(const Opened opened, open_with_key(client, *zone, std::move(medium)));
    const std::uint64_t all = opened.reader.totals().records;
    KZ_CHECK(opened.reader.verify_all(reporter.cancel_fd, [&](const image::ImageTotals& seen) {
        if (reporter.progress) reporter.progress({{"records", seen.records}, {"of", all}});
    }));
    return describe(opened);
}

}  // namespace kz::client
