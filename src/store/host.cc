#include "store/host.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "os/file.h"
#include "os/uuid.h"
#include "store/settings.h"

namespace kz::store {
namespace {

constexpr std::chrono::seconds kPatience{10};

Result<std::string> read_id(const Path& file) {
    KZ_TRY(const std::string text, read_file(file, 256));
    const std::string id = to_lower(trim(text));
    if (!is_uuid(id))
        return fail(Errc::corrupt,
                    "{}: not a UUID; restore it from a copy (a new one disowns this host's zones)",
                    file.string());
    return id;
}

Result<std::string> ensure_id(const HostPaths& paths) {
    const Path file = paths.etc_zones() / "host-id";
    Result<std::string> id = read_id(file);
    if (id || id.error().code() != Errc::not_found) return id;
    KZ_CHECK(make_directories(paths.etc_zones(), 0755));
    KZ_CHECK(make_directories(paths.run_dir() / ".locks", 0755));
    KZ_TRY(const FileLock lock,
           FileLock::acquire(paths.run_dir() / ".locks/.host-id", Deadline::after(kPatience)));
    // Another process may have made it while we waited.
    id = read_id(file);
    if (id || id.error().code() != Errc::not_found) return id;
    KZ_TRY(std::string made, random_uuid());
    KZ_CHECK(write_file_atomic(file, made + "\n", 0644));
    return made;
}

}  // namespace

Result<HostIdentity> host_identity(const HostPaths& paths) {
    KZ_TRY(std::string id, ensure_id(paths));
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) < 0) return fail_errno(errno, "gethostname");
    return HostIdentity{std::move(id), name.data()};
}

Result<storage::StorageAccess> storage_access(const HostPaths& paths) {
    KZ_TRY(const std::string id, ensure_id(paths));
    KZ_TRY(const Settings settings, load_settings(paths));
    return storage::StorageAccess{.initiator_name = "iqn.2026-11.org.kzones:" + id,
                                  .chap_secrets = paths.etc_zones() / "iscsi-chap",
                                  .iscsi_portals = paths.etc_zones() / "iscsi-portals",
                                  .operation_timeout = settings.storage_timeout};
}

}  // namespace kz::store
