#include "storage/volume.h"

#include "storage/local_volume.h"
#include "storage/nfs_volume.h"

namespace kz::storage {
namespace {

bool is_local(const Suri& suri) {
    return suri.type() == SuriType::file || suri.type() == SuriType::dev;
}

std::unexpected<Error> not_reachable(const Suri& suri) {
    return fail(Errc::unsupported,
                "{}: this version cannot use storage of type {}; use file: or dev:", suri.render(),
                suri_type_name(suri.type()));
}

}  // namespace

Result<bool> Volume::compare_and_write(std::uint64_t, ByteView, ByteView) {
    return fail(Errc::unsupported, "{}: no compare and write", suri().render());
}

Result<std::unique_ptr<Volume>> open_volume(const Suri& suri, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return open_nfs_volume(suri, access);
    if (!is_local(suri)) return not_reachable(suri);
    return open_local_volume(suri);
}

Result<void> create_volume(const Suri& suri, std::uint64_t bytes, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return create_nfs_file(suri, bytes, access);
    if (!is_local(suri)) return not_reachable(suri);
    if (suri.type() == SuriType::dev)
        return fail(Errc::unsupported, "{}: a device cannot be created", suri.render());
    return create_local_file(suri, bytes);
}

Result<void> destroy_volume(const Suri& suri, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return destroy_nfs_file(suri, access);
    if (!is_local(suri)) return not_reachable(suri);
    if (suri.type() == SuriType::dev)
        return fail(Errc::unsupported, "{}: a device cannot be destroyed", suri.render());
    return destroy_local_file(suri);
}

Result<bool> volume_exists(const Suri& suri, const StorageAccess& access) {
    if (suri.type() == SuriType::nfs) return nfs_exists(suri, access);
    if (!is_local(suri)) return not_reachable(suri);
    return local_exists(suri);
}

}  // namespace kz::storage
