// parse, normalize, map, lookup-mapping, unmap, create, destroy.
//
// Nothing is ever mapped on this system: zones reach network volumes by their machine's own initiator, and
// the others are where they are. map therefore proves that a volume can be reached, and tells its size.
#include <sys/stat.h>

#include <filesystem>

#include "base/text.h"
#include "cli/suriadm.h"
#include "cli/suriadm_properties.h"
#include "client/storage.h"
#include "os/file.h"
#include "storage/host_data.h"
#include "storage/lu.h"
#include "storage/volume.h"
#include "store/boot_disk.h"

namespace kz::cli {
namespace {

using storage::Suri;
using storage::SuriType;

// As the call wants them: one line of those asked for, or the table of `shown`.
void print_properties(const SuriadmCall& call, const Properties& properties,
                      const std::vector<std::string>& shown) {
    fmt::print("{}", call.output.empty() ? property_table(properties, shown, !call.no_header)
                                         : property_line(properties, call.output));
}

// Adds what this host's own file system shows of it. Errors when it is not there.
Result<void> add_mapping(const Suri& suri, Properties& properties) {
    if (suri.type() == SuriType::iscsi || suri.type() == SuriType::nfs) return {};
    std::filesystem::path node = suri.local_path();
    if (suri.type() == SuriType::lu) {
        KZ_TRY(const storage::LocalDisk disk, storage::find_lu(suri));
        node = disk.node;
        std::vector<std::string> devices{disk.node};
        for (const std::filesystem::path& member : disk.members)
            devices.push_back(member);
        properties["mapped-devs"] = join(devices, ",");
    }
    struct stat status{};
    if (::stat(node.c_str(), &status) < 0) return fail_errno(errno, node.string());
    properties["mapped-dev"] = node;
    if (suri.type() == SuriType::file)
        properties["file-permissions"] = fmt::format("{:o}", status.st_mode & 07777);
    if (suri.type() != SuriType::file) {
        const std::filesystem::path canonical = std::filesystem::canonical(node);
        const std::filesystem::path sysfs = "/sys/class/block" / canonical.filename();
        properties["is-slice"] = std::filesystem::exists(sysfs / "partition") ? "true" : "false";
        if (const auto removable = read_file(sysfs / "removable", 16))
            properties["removable"] = trim(*removable) == "1" ? "true" : "false";
    }
    return {};
}

const std::vector<std::string> kShownOfMapping{"mapped-dev", "uri"};
const std::vector<std::string> kShownOfVolume{"mapped-dev", "uri", "size"};

// A volume that can be opened, and what is known of it.
Result<Properties> examine(const SuriadmCall& call, const Suri& suri) {
    Properties properties = suri_properties(suri);
    KZ_CHECK(add_mapping(suri, properties));
    KZ_TRY(const storage::StorageAccess access, call.access(suri));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    properties["size"] = std::to_string(volume->size_bytes());
    return properties;
}

// What host data say against destroying the volume; empty: nothing. `final`: not even -F helps.
struct Objection {
    std::string text;
    bool final = false;
};

Result<Objection> objection_of(const store::Registry& registry, storage::Volume& volume) {
    // Too small for host data: nobody's boot disk.
    if (!storage::guest_bytes(volume.size_bytes())) return Objection{};
    KZ_TRY(const storage::HostDataProbe probe, storage::HostDataArea::probe(volume));
    using Kind = storage::HostDataProbe::Kind;
    if (probe.kind == Kind::damaged) return Objection{"it holds damaged host data of a zone"};
    if (probe.kind == Kind::newer_version) return Objection{"it holds host data of a later version"};
    if (!probe.unverified || !probe.unverified->owner) return Objection{};
    const storage::HostData& data = *probe.unverified;
    if (const Result<void> sole = client::check_sole_user(registry, "", data.zone_uuid); !sole)
        return Objection{sole.error().message(), true};
    return Objection{fmt::format(
        "it belongs to the zone with uuid {}, which host {} uses (hostid {}, last "
        "known state: {}, last update time: {})",
        harmless_text(data.zone_uuid), harmless_text(data.owner->host_name),
        harmless_text(data.owner->host_id), harmless_text(data.state), harmless_text(data.last_update))};
}

}  // namespace

Result<void> suriadm_parse(const SuriadmCall& call) {
    KZ_TRY(const Suri suri, call.suri());
    print_properties(call, suri_properties(suri), shown_of_suri(suri));
    return {};
}

Result<void> suriadm_normalize(const SuriadmCall& call) {
    KZ_TRY(const Suri suri, call.suri());
    fmt::print("{}\n", suri.normalized().render());
    return {};
}

Result<void> suriadm_map(const SuriadmCall& call) {
    KZ_TRY(const Suri suri, call.suri());
    KZ_TRY(const Properties properties, examine(call, suri));
    print_properties(call, properties, kShownOfVolume);
    return {};
}

Result<void> suriadm_lookup_mapping(const SuriadmCall& call) {
    KZ_TRY(const Suri suri, call.suri());
    Properties properties = suri_properties(suri);
    KZ_CHECK(add_mapping(suri, properties));
    print_properties(call, properties, kShownOfMapping);
    return {};
}

Result<void> suriadm_unmap(const SuriadmCall& call) {
    KZ_CHECK(call.suri());
    return {};
}

Result<void> suriadm_create(const SuriadmCall& call) {
    KZ_TRY(const Suri suri, call.suri());
    const auto size = call.properties.find("create-size");
    if (size == call.properties.end())
        return fail(Errc::invalid_argument, "{}: -p create-size=SIZE is missing", suri.render());
    KZ_TRY_CONTEXT(const std::uint64_t bytes, parse_size(size->second), "create-size");
    KZ_TRY(const storage::StorageAccess access, call.access(suri));
    KZ_CHECK(storage::create_volume(suri, bytes, access));
    KZ_TRY(Properties properties, examine(call, suri));
    properties["create-size"] = size->second;
    print_properties(call, properties, kShownOfVolume);
    return {};
}

Result<void> suriadm_destroy(const SuriadmCall& call) {
    KZ_TRY(const Suri suri, call.suri());
    KZ_TRY(const storage::StorageAccess access, call.access(suri));
    KZ_TRY(HostPaths paths, call.paths());
    KZ_TRY(const store::Registry registry, store::Registry::open(std::move(paths)));
    {
        KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
        KZ_TRY(const Objection objection, objection_of(registry, *volume));
        if (objection.final) return fail(Errc::unavailable, "{}: {}", suri.render(), objection.text);
        if (!objection.text.empty() && !call.force)
            return fail(Errc::unavailable, "{}: {}; -F destroys it all the same", suri.render(),
                        objection.text);
    }
    return storage::destroy_volume(suri, access);
}

}  // namespace kz::cli
