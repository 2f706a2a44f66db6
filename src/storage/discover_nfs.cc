#include "storage/discover_nfs.h"

#include <algorithm>
#include <ranges>

#include "storage/nfs_session.h"
#include "storage/nfs_wire.h"
#include "storage/suri_text.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxExports = 256;
constexpr std::size_t kMaxEntries = 1024;  // of one folder
constexpr std::size_t kMaxFolders = 128;   // looked into, of one export

// One export, looked through by one connection.
class Explorer {
  public:
    Explorer(const Suri& any, NfsSession session, std::chrono::milliseconds timeout)
        : authority_(authority_of(any)), session_(std::move(session)), timeout_(timeout) {}

    Result<void> explore(const NfsHandle& top, DiscoveredExport& found);

  private:
    struct Folder {
        std::string name;
        NfsHandle handle;
    };

    static std::string authority_of(const Suri& any) {
        const std::string text = any.render();
        return text.substr(0, text.find('/', std::string_view("nfs://").size()));
    }
    // Adds the files; the folders in it.
    Result<std::vector<Folder>> look_into(const NfsHandle& folder, const std::string& path,
                                          DiscoveredExport& found);
    void note_file(const std::string& path, std::uint64_t size, DiscoveredExport& found) const;

    std::string authority_;
    NfsSession session_;
    std::chrono::milliseconds timeout_;
};

void Explorer::note_file(const std::string& path, std::uint64_t size, DiscoveredExport& found) const {
    Result<Suri> suri = Suri::parse(authority_ + percent_encoded(path));
    if (suri)
        found.files.push_back({*std::move(suri), size});
    else
        found.incomplete = true;
}

Result<std::vector<Explorer::Folder>> Explorer::look_into(const NfsHandle& folder, const std::string& path,
                                                          DiscoveredExport& found) {
    session_.set_deadline(Deadline::after(timeout_));
    KZ_TRY(NfsListing listing, session_.list(folder, kMaxEntries));
    if (!listing.complete) found.incomplete = true;
    std::vector<Folder> folders;
    for (NfsEntry& each : listing.entries) {
        const bool odd = each.name.empty() || each.name.find('/') != std::string::npos;
        if (odd || each.name == "." || each.name == "..") continue;
        if (!each.attributes || each.handle.empty()) {
            const Result<NfsObject> object = session_.lookup(folder, each.name);
            if (session_.broken()) return std::unexpected(object.error());
            if (!object) continue;  // removed meanwhile
            each.attributes = object->attributes;
            each.handle = object->handle;
        }
        const std::string inside = squeezed(path + "/" + each.name);
        if (each.attributes->type == NfsType::file) note_file(inside, each.attributes->size, found);
        if (each.attributes->type == NfsType::folder) folders.push_back({inside, each.handle});
    }
    return folders;
}

Result<void> Explorer::explore(const NfsHandle& top, DiscoveredExport& found) {
    KZ_TRY(const std::vector<Folder> folders, look_into(top, found.path, found));
    if (folders.size() > kMaxFolders) found.incomplete = true;
    for (const Folder& each : folders | std::views::take(kMaxFolders)) {
        const Result<std::vector<Folder>> deeper = look_into(each.handle, each.name, found);
        if (session_.broken()) return std::unexpected(deeper.error());
        // One that is not ours to read, or that holds more folders.
        if (!deeper || !deeper->empty()) found.incomplete = true;
    }
    std::ranges::sort(found.files, {}, [](const DiscoveredFile& file) { return *file.suri.path(); });
    return {};
}

Result<void> explore_export(const Suri& any, const NfsServer& server, MountService& mounts,
                            const StorageAccess& access, DiscoveredExport& found) {
    const Deadline deadline = Deadline::after(access.operation_timeout);
    KZ_TRY(const NfsHandle top, mounts.mount(found.path, deadline));
    std::uint16_t port = any.port().value_or(0);
    if (port == 0) {
        KZ_TRY(port, find_rpc_port(mounts.address(), NFS_PROGRAM, NFS_V3, "NFS version 3", deadline));
    }
    KZ_TRY(NfsSession session, NfsSession::open(server, mounts.address(), port, deadline));
    return Explorer(any, std::move(session), access.operation_timeout).explore(top, found);
}

// A SURI of the host: the location with a path of no meaning.
Result<Suri> any_suri(std::string_view location) {
    constexpr std::string_view kScheme = "nfs://";
    const std::size_t slash = location.find('/', kScheme.size());
    std::string text(location.substr(0, slash));
    if (!text.starts_with(kScheme))
        return fail(Errc::invalid_argument, "position 0: expected nfs://user:group@host");
    return Suri::parse(text + "/share/file");
}

}  // namespace

Result<std::vector<DiscoveredExport>> discover_nfs(std::string_view location, const StorageAccess& access) {
    KZ_TRY(const Suri any, any_suri(location));
    KZ_TRY(const NfsServer server, NfsServer::of(any));
    const Deadline deadline = Deadline::after(access.operation_timeout);
    KZ_TRY(MountService mounts, MountService::open(server, deadline));
    KZ_TRY(const std::vector<std::string> names, mounts.exports(kMaxExports, deadline));
    std::vector<DiscoveredExport> result;
    for (const std::string& name : names) {
        DiscoveredExport found;
        found.path = printable(name);
        if (!name.starts_with('/') || found.path != name) {
            found.problem = "not the name of a folder";
        } else if (const Result<void> explored = explore_export(any, server, mounts, access, found);
                   !explored) {
            found.problem = explored.error().message();
        }
        result.push_back(std::move(found));
    }
    return result;
}

}  // namespace kz::storage
