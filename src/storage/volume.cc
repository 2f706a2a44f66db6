#include "storage/volume.h"

#include "storage/iscsi_volume.h"
#include "storage/local_volume.h"
#include "storage/nfs_volume.h"

namespace kz::storage {
namespace {

// A logical unit is made and removed by whoever runs the storage host.
std::unexpected<Error> made_on_the_target(const Suri& suri, std::string_view what) {
    return fail(Errc::unsupported, "{}: a LUN cannot be {} from here; that is done on the storage host",
                suri.render(), what);
}

}  // namespace

Result<bool> Volume::compare_and_write(std::uint64_t, ByteView, ByteView) {
    return fail(Errc::unsupported, "{}: no compare and write", suri().render());
}

Result<std::unique_ptr<Volume>> open_volume(const Suri& suri, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return open_nfs_volume(suri, access);
    if (suri.type() == SuriType::iscsi) return open_iscsi_volume(suri, access);
    return open_local_volume(suri);
}

Result<void> create_volume(const Suri& suri, std::uint64_t bytes, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return create_nfs_file(suri, bytes, access);
    if (suri.type() == SuriType::iscsi) return made_on_the_target(suri, "created");
    if (suri.type() != SuriType::file)
        return fail(Errc::unsupported, "{}: a device cannot be created", suri.render());
    return create_local_file(suri, bytes);
}

Result<void> destroy_volume(const Suri& suri, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return destroy_nfs_file(suri, access);
    if (suri.type() == SuriType::iscsi) return made_on_the_target(suri, "destroyed");
    if (suri.type() != SuriType::file)
        return fail(Errc::unsupported, "{}: a device cannot be destroyed", suri.render());
    return destroy_local_file(suri);
}

Result<bool> volume_exists(const Suri& suri, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return nfs_exists(suri, access);
    if (suri.type() == SuriType::iscsi) return iscsi_exists(suri, access);
    return local_exists(suri);
}

}  // namespace kz::storage
