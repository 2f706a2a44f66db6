#include "monitor/image_place.h"

#include "image/volume_medium.h"
#include "os/file.h"
#include "storage/volume.h"

namespace kz::monitor {
namespace {

// Records, tags and index of memory that does not compress, and the machine's state.
constexpr std::uint64_t kOverhead = 64ULL << 20;

Result<void> check_not_a_disk(const storage::Suri& suri, const zone::Config& config) {
    for (const zone::Device& device : config.devices()) {
        const Result<storage::Suri> disk = storage::Suri::parse(device.storage);
        if (disk && disk->normalized() == suri.normalized())
            return fail(Errc::invalid_argument, "suspend: storage is the zone's own device {}", device.id);
    }
    return {};
}

bool keeps_what_was_made(storage::SuriType type) {
    return type != storage::SuriType::nfs;
}

}  // namespace

Result<ImagePlace> ImagePlace::of_suri(std::string_view text) {
    KZ_TRY(storage::Suri suri, storage::Suri::parse(text));
    if (suri.type() == storage::SuriType::file) return ImagePlace(Path(suri.local_path()));
    return ImagePlace(std::move(suri));
}

Result<ImagePlace> ImagePlace::configured(const zone::Config& config) {
    const std::optional<zone::Suspend> suspend = config.suspend();
    if (!suspend) {
        return fail(Errc::invalid_argument,
                    "the zone has no suspend resource; add one with\n   zonecfg -z {} 'add suspend; set "
                    "path=/absolute/path; end'",
                    config.name());
    }
    if (!suspend->path.empty()) return ImagePlace(Path(suspend->path));
    KZ_TRY_CONTEXT(ImagePlace place, of_suri(suspend->storage), "suspend: storage");
    return place;
}

Result<ImagePlace> ImagePlace::recorded(const storage::SuspendRecord& record) {
    if (record.location.starts_with('/')) return ImagePlace(Path(record.location));
    KZ_TRY_CONTEXT(ImagePlace place, of_suri(record.location), "host data: suspend image");
    return place;
}

std::string ImagePlace::location() const {
    if (const auto* path = std::get_if<Path>(&place_)) return path->string();
    return std::get<storage::Suri>(place_).render();
}

Result<std::unique_ptr<image::Medium>> ImagePlace::create(const zone::Config& config, std::uint64_t bytes,
                                                          const storage::StorageAccess& access) const {
    if (const auto* path = std::get_if<Path>(&place_)) {
        KZ_CHECK(make_directories(path->parent_path(), 0700));
        return image::create_file_medium(*path);
    }
    const auto& suri = std::get<storage::Suri>(place_);
    KZ_CHECK(check_not_a_disk(suri, config));
    if (suri.type() == storage::SuriType::nfs) {
        KZ_TRY(const bool exists, storage::volume_exists(suri, access));
        if (!exists) KZ_CHECK(storage::create_volume(suri, bytes + bytes / 64 + kOverhead, access));
    }
    KZ_TRY(std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    return image::create_volume_medium(std::move(volume));
}

Result<std::unique_ptr<image::Medium>> ImagePlace::open(const storage::StorageAccess& access) const {
    if (const auto* path = std::get_if<Path>(&place_)) return image::open_file_medium(*path);
    KZ_TRY(std::unique_ptr<storage::Volume> volume,
           storage::open_volume(std::get<storage::Suri>(place_), access));
    return image::open_volume_medium(std::move(volume));
}

Result<void> ImagePlace::discard(const storage::StorageAccess& access) const {
    if (const auto* path = std::get_if<Path>(&place_)) return remove_file(*path);
    const auto& suri = std::get<storage::Suri>(place_);
    if (!keeps_what_was_made(suri.type())) return storage::destroy_volume(suri, access);
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    return image::wipe_volume_image(*volume);
}

void ImagePlace::remove_draft() const {
    if (const auto* path = std::get_if<Path>(&place_)) image::remove_file_draft(*path);
}

}  // namespace kz::monitor
