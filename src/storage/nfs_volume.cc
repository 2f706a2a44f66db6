#include "storage/nfs_volume.h"

#include "storage/nfs_place.h"
#include "storage/nfs_wire.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

class NfsVolume final : public Volume {
  public:
    NfsVolume(Suri suri, NfsPlace place, NfsObject file, NfsLimits limits, const StorageAccess& access)
        : suri_(std::move(suri)),
          place_(std::move(place)),
          file_(std::move(file)),
          limits_(limits),
          timeout_(access.operation_timeout) {}

    const Suri& suri() const override { return suri_; }
    std::uint64_t size_bytes() const override { return file_.attributes.size; }
    Result<void> read(std::uint64_t offset, MutableBytes out) override;
    Result<void> write_durable(std::uint64_t offset, ByteView bytes) override;
    Result<VolumeBacking> backing() override;

  private:
    Result<void> check_range(std::uint64_t offset, std::uint64_t bytes) const;
    Result<void> get_ready();
    Result<void> read_parts(std::uint64_t offset, MutableBytes out);
    Result<void> write_parts(std::uint64_t offset, ByteView bytes);
    Result<VolumeBacking> find_backing();

    Suri suri_;
    NfsPlace place_;
    NfsObject file_;
    NfsLimits limits_;
    std::chrono::milliseconds timeout_;
};

Result<void> NfsVolume::check_range(std::uint64_t offset, std::uint64_t bytes) const {
    const std::uint64_t size = file_.attributes.size;
    if (offset <= size && bytes <= size - offset) return {};
    return fail(Errc::invalid_argument, "{}: {} bytes at {} are beyond its end", suri_.render(), bytes,
                offset);
}

// A connection on which the next operation can be tried, and the time for it.
Result<void> NfsVolume::get_ready() {
    const Deadline deadline = Deadline::after(timeout_);
    place_.session.set_deadline(deadline);
    if (place_.session.usable()) return {};
    KZ_CHECK(place_.reconnect(deadline));
    Result<NfsAttributes> now = place_.session.attributes(file_.handle);
    if (now && now->same_file(file_.attributes) && now->size == file_.attributes.size) return {};
    // Not to be used: the next operation shall look again.
    place_.session.abandon();
    if (!now) return std::unexpected(std::move(now).error());
    return fail(Errc::wrong_state, "the server has another file, or another size of it, since it was opened");
}

Result<void> NfsVolume::read_parts(std::uint64_t offset, MutableBytes out) {
    KZ_CHECK(get_ready());
    while (!out.empty()) {
        const std::size_t wanted = std::min<std::size_t>(out.size(), limits_.read);
        KZ_TRY(const std::size_t got, place_.session.read(file_.handle, offset, out.first(wanted)));
        out = out.subspan(got);
        offset += got;
    }
    return {};
}

Result<void> NfsVolume::read(std::uint64_t offset, MutableBytes out) {
    KZ_CHECK(check_range(offset, out.size()));
    KZ_CHECK_CONTEXT(read_parts(offset, out), suri_.render());
    return {};
}

Result<void> NfsVolume::write_parts(std::uint64_t offset, ByteView bytes) {
    KZ_CHECK(get_ready());
    while (!bytes.empty()) {
        const std::size_t part = std::min<std::size_t>(bytes.size(), limits_.write);
        KZ_TRY(const std::size_t taken, place_.session.write(file_.handle, offset, bytes.first(part)));
        bytes = bytes.subspan(taken);
        offset += taken;
    }
    return {};
}

Result<void> NfsVolume::write_durable(std::uint64_t offset, ByteView bytes) {
    KZ_CHECK(check_range(offset, bytes.size()));
    if (offset % kVolumeBlock != 0 || bytes.size() % kVolumeBlock != 0)
        return fail(Errc::invalid_argument, "{}: a write that is not of whole blocks", suri_.render());
    KZ_CHECK_CONTEXT(write_parts(offset, bytes), suri_.render());
    return {};
}

// QEMU's client goes by the portmapper alone, and mounts the very folder of the file.
Result<VolumeBacking> NfsVolume::find_backing() {
    const Deadline deadline = Deadline::after(timeout_);
    KZ_TRY(NfsPlace again, NfsPlace::reach(suri_, deadline));
    KZ_TRY(const NfsObject found, again.file());
    // A new file may have the number of one that was removed, but not its handle.
    const Result<NfsAttributes> ours = again.session.attributes(file_.handle);
    if (!ours && ours.error().code() != Errc::not_found) return std::unexpected(ours.error());
    if (!ours || !ours->same_file(found.attributes))
        return fail(Errc::wrong_state, "replaced by another file while in use");
    if (!again.below.empty())
        return fail(
            Errc::unsupported,
            "the server lets {} be mounted, but not the folder of the file, as QEMU needs it; export that "
            "folder",
            again.mount.folder);
    KZ_TRY(const std::uint16_t port,
           find_rpc_port(again.address, NFS_PROGRAM, NFS_V3, "NFS version 3", deadline));
    if (port != again.port)
        return fail(Errc::unsupported,
                    "QEMU uses the port that the server's portmapper tells, {}, and cannot be told port {}",
                    port, again.port);
    return NfsBacking{again.address, squeezed(*suri_.path()), again.server.identity.uid,
                      again.server.identity.gid};
}

Result<VolumeBacking> NfsVolume::backing() {
    KZ_TRY_CONTEXT(VolumeBacking found, find_backing(), suri_.render());
    return found;
}

Result<std::unique_ptr<Volume>> open_volume_at(const Suri& suri, const StorageAccess& access) {
    KZ_TRY(NfsPlace place, NfsPlace::reach(suri, Deadline::after(access.operation_timeout)));
    KZ_TRY(NfsObject file, place.file());
    KZ_CHECK(place.session.check_access(file.handle));
    KZ_TRY(const NfsLimits limits, place.session.limits(file.handle));
    return std::make_unique<NfsVolume>(suri, std::move(place), std::move(file), limits, access);
}

Result<void> destroy_at(const Suri& suri, const StorageAccess& access) {
    KZ_TRY(NfsPlace place, NfsPlace::reach(suri, Deadline::after(access.operation_timeout)));
    KZ_TRY(const NfsHandle folder, place.folder());
    KZ_TRY(const NfsObject found, place.session.lookup(folder, place.name));
    if (found.attributes.type != NfsType::file) return fail(Errc::invalid_argument, "not a regular file");
    return place.session.remove(folder, place.name);
}

Result<bool> exists_at(const Suri& suri, const StorageAccess& access) {
    KZ_TRY(NfsPlace place, NfsPlace::reach(suri, Deadline::after(access.operation_timeout)));
    const Result<NfsHandle> folder = place.folder();
    if (folder) {
        const Result<NfsObject> found = place.session.lookup(*folder, place.name);
        if (found) return true;
        if (found.error().code() == Errc::not_found) return false;
        return std::unexpected(found.error());
    }
    if (folder.error().code() == Errc::not_found) return false;
    return std::unexpected(folder.error());
}

}  // namespace

Result<std::unique_ptr<Volume>> open_nfs_volume(const Suri& suri, const StorageAccess& access) {
    KZ_TRY_CONTEXT(std::unique_ptr<Volume> opened, open_volume_at(suri, access), suri.render());
    return opened;
}

Result<void> destroy_nfs_file(const Suri& suri, const StorageAccess& access) {
    KZ_CHECK_CONTEXT(destroy_at(suri, access), suri.render());
    return {};
}

Result<bool> nfs_exists(const Suri& suri, const StorageAccess& access) {
    KZ_TRY_CONTEXT(const bool found, exists_at(suri, access), suri.render());
    return found;
}

}  // namespace kz::storage
