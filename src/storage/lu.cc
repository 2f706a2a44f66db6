#include "storage/lu.h"

#include <algorithm>

#include "base/text.h"
#include "os/file.h"
#include "storage/lu_names.h"
#include "storage/scsi_data.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxAttribute = 64 * 1024;
using std::filesystem::path;

// Empty when there is no such attribute, or the kernel does not answer.
std::string attribute(const path& file) {
    return read_file(file, kMaxAttribute).value_or("");
}

std::vector<std::string> entries(const path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
        names.push_back(entry->path().filename());
    std::ranges::sort(names);
    return names;
}

void add_once(std::vector<std::string>& names, const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
}

// sysfs writes the slash of "cciss/c0d0" as '!'.
std::string node_name(std::string kernel_name) {
    std::ranges::replace(kernel_name, '!', '/');
    return kernel_name;
}

std::vector<std::string> unit_names(const path& folder) {
    std::vector<std::string> names;
    const std::string page = attribute(folder / "device/vpd_pg83");
    for (const std::string& told : decode_names(as_bytes(page)).value_or(std::vector<std::string>())) {
        if (const auto name = luname_of_wwid(told)) add_once(names, *name);
    }
    for (const path& file : {folder / "device/wwid", folder / "wwid"}) {
        if (const auto name = luname_of_wwid(attribute(file))) add_once(names, *name);
    }
    return names;
}

class DiskReader {
  public:
    explicit DiskReader(const LuPlaces& places) : places_(places), block_(places.sys / "block") {}

    Result<std::vector<LocalDisk>> all() const {
        std::error_code error;
        if (!std::filesystem::is_directory(block_, error))
            return fail(Errc::not_found, "{}: this host's disks cannot be listed", block_.string());
        std::vector<LocalDisk> disks;
        for (const std::string& name : entries(block_)) {
            if (is_multipath(name)) disks.push_back(multipath(name));
        }
        for (const std::string& name : entries(block_)) {
            if (!name.starts_with("dm-") && trim(attribute(block_ / name / "hidden")) != "1")
                disks.push_back(plain(name));
        }
        add_links(disks);
        return disks;
    }

  private:
    bool is_multipath(const std::string& name) const {
        return attribute(block_ / name / "dm/uuid").starts_with("mpath-");
    }
    path node(const std::string& name) const { return places_.dev / node_name(name); }

    LocalDisk plain(const std::string& name) const {
        LocalDisk disk;
        disk.node = node(name);
        disk.lunames = unit_names(block_ / name);
        disk.paths = paths_of(block_ / name / "device");
        return disk;
    }

    // A disk's device is HOST:CHANNEL:TARGET:LUN; the transports (FC, SAS) name the ports of HOST and of
    // TARGET.
    std::vector<LuPath> paths_of(const path& device) const {
        std::error_code error;
        const std::string address = std::filesystem::canonical(device, error).filename();
        const std::vector<std::string> parts = split(address, ':');
        if (error || parts.size() != 4) return {};
        const std::string host = "host" + parts[0];
        const std::string target = fmt::format("target{}:{}:{}", parts[0], parts[1], parts[2]);
        const path classes = places_.sys / "class";
        const auto initiator_port = first_port(
            {classes / "fc_host" / host / "port_name", classes / "scsi_host" / host / "host_sas_address"});
        const auto target_port =
            first_port({classes / "fc_transport" / target / "port_name", device / "sas_address"});
        if (!initiator_port || !target_port) return {};
        return {{*initiator_port, *target_port}};
    }

    static std::optional<std::string> first_port(const std::vector<path>& files) {
        for (const path& file : files) {
            if (auto name = name_of_port(attribute(file))) return name;
        }
        return std::nullopt;
    }

    LocalDisk multipath(const std::string& name) const {
        LocalDisk disk;
        disk.node = node(name);
        disk.multipath = true;
        const std::string uuid(trim(attribute(block_ / name / "dm/uuid")));
        if (const auto luname = luname_of_link("dm-uuid-" + uuid)) disk.lunames.push_back(*luname);
        for (const std::string& member : entries(block_ / name / "slaves")) {
            const LocalDisk part = plain(member);
            disk.members.push_back(part.node);
            for (const std::string& luname : part.lunames)
                add_once(disk.lunames, luname);
            disk.paths.insert(disk.paths.end(), part.paths.begin(), part.paths.end());
        }
        return disk;
    }

    void add_links(std::vector<LocalDisk>& disks) const {
        const path folder = places_.dev / "disk/by-id";
        for (const std::string& link : entries(folder)) {
            const auto luname = luname_of_link(link);
            if (!luname) continue;
            std::error_code error;
            const path target = std::filesystem::weakly_canonical(folder / link, error);
            for (LocalDisk& disk : disks) {
                if (!error && disk.node == target) add_once(disk.lunames, *luname);
            }
        }
    }

    const LuPlaces& places_;
    path block_;
};

bool has_name(const LocalDisk& disk, const Suri& wanted) {
    if (std::ranges::find(disk.lunames, *wanted.luname()) == disk.lunames.end()) return false;
    if (!wanted.initiator()) return true;
    const LuPath way{*wanted.initiator(), *wanted.target()};
    return std::ranges::find(disk.paths, way) != disk.paths.end();
}

// A disk that is a path of a multipath device in the list is that device.
void drop_members(std::vector<LocalDisk>& disks) {
    std::vector<path> members;
    for (const LocalDisk& disk : disks)
        members.insert(members.end(), disk.members.begin(), disk.members.end());
    std::erase_if(
        disks, [&](const LocalDisk& disk) { return std::ranges::find(members, disk.node) != members.end(); });
}

}  // namespace

Result<std::vector<LocalDisk>> local_disks(const LuPlaces& places) {
    return DiskReader(places).all();
}

Result<LocalDisk> find_lu(const Suri& suri, const LuPlaces& places) {
    const Suri wanted = suri.normalized();
    KZ_TRY(std::vector<LocalDisk> disks, local_disks(places));
    std::erase_if(disks, [&](const LocalDisk& disk) { return !has_name(disk, wanted); });
    drop_members(disks);
    if (disks.size() == 1) return std::move(disks.front());
    if (disks.empty()) {
        return fail(Errc::not_found,
                    "{}: this host shows no disk of that name ('suriadm lookup-uri /dev/DISK' prints a "
                    "disk's names)",
                    suri.render());
    }
    std::vector<std::string> nodes;
    for (const LocalDisk& disk : disks)
        nodes.push_back(disk.node);
    return fail(Errc::wrong_state,
                "{}: {} disks have that name: {}; if they are paths to one disk, set up multipath",
                suri.render(), nodes.size(), join(nodes, " "));
}

Result<LocalDisk> disk_at(const path& node, const LuPlaces& places) {
    std::error_code error;
    const path target = std::filesystem::canonical(node, error);
    if (error) return fail_errno(error.value(), node.string());
    KZ_TRY(const std::vector<LocalDisk> disks, local_disks(places));
    for (const LocalDisk& disk : disks) {
        if (disk.node == target) return disk;
    }
    return fail(Errc::invalid_argument, "{}: not a whole disk", node.string());
}

std::vector<Suri> lu_suris(const LocalDisk& disk) {
    std::vector<Suri> suris;
    const auto add = [&suris](const std::string& text) {
        if (auto suri = Suri::parse(text)) suris.push_back(*std::move(suri));
    };
    for (const std::string& luname : disk.lunames)
        add("lu:luname." + luname);
    for (const LuPath& way : disk.paths) {
        for (const std::string& luname : disk.lunames)
            add(fmt::format("lu:initiator.{},target.{},luname.{}", way.initiator, way.target, luname));
    }
    return suris;
}

}  // namespace kz::storage
