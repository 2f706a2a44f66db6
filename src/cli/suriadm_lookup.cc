// lookup-uri: by which SURIs a device, a LUN or a file is known.
#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"
#include "cli/suriadm.h"
#include "storage/discover.h"
#include "storage/lu.h"

namespace kz::cli {
namespace {

using storage::Suri;
using Suris = std::vector<Suri>;
using std::filesystem::path;

void add_device_names(Suris& suris, const path& typed, const path& node) {
    for (const path& name : {typed, node}) {
        const Result<Suri> suri = Suri::of_device(name);
        if (suri && std::ranges::find(suris, suri->normalized()) == suris.end())
            suris.push_back(suri->normalized());
    }
}

Result<Suris> suris_of_path(const path& typed) {
    struct stat status{};
    const path absolute = std::filesystem::absolute(typed);
    if (::stat(absolute.c_str(), &status) < 0) return fail_errno(errno, typed.string());
    Suris suris;
    if (S_ISREG(status.st_mode)) {
        KZ_TRY(const Suri suri, Suri::of_file(absolute.lexically_normal()));
        suris.push_back(suri);
        return suris;
    }
    if (!S_ISBLK(status.st_mode))
        return fail(Errc::invalid_argument, "{}: neither a block device nor a regular file", typed.string());
    // A partition, or a volume of LVM, has no name but its device's.
    if (const Result<storage::LocalDisk> disk = storage::disk_at(absolute)) suris = storage::lu_suris(*disk);
    add_device_names(suris, absolute.lexically_normal(), std::filesystem::canonical(absolute));
    return suris;
}

std::string bracketed(const std::string& host) {
    // As in a SURI; a host with a port has one colon, an address without brackets more.
    return std::ranges::count(host, ':') > 1 && !host.starts_with('[') ? fmt::format("[{}]", host) : host;
}

Result<Suris> suris_of_target(const SuriadmCall& call, const std::string& host, const std::string& rest) {
    const std::string text = fmt::format("iscsi://{}/{}", bracketed(host), rest);
    KZ_TRY_CONTEXT(const Suri suri, Suri::parse(text), text);
    KZ_TRY(const storage::StorageAccess access, call.network_access());
    return storage::names_of(suri, access);
}

// On the host given, or among the disks of this one.
Result<Suris> suris_of_luname(const SuriadmCall& call, const std::string& luname) {
    if (const auto host = call.properties.find("hostname"); host != call.properties.end())
        return suris_of_target(call, host->second, "luname." + luname);
    const std::string text = "lu:luname." + luname;
    KZ_TRY_CONTEXT(const Suri suri, Suri::parse(text), text);
    KZ_TRY_CONTEXT(const storage::LocalDisk disk, storage::find_lu(suri),
                   "without -p hostname this host's own disks are searched");
    Suris suris = storage::lu_suris(disk);
    add_device_names(suris, disk.node, disk.node);
    return suris;
}

Result<Suris> search(const SuriadmCall& call) {
    const auto given = [&call](const char* name) { return call.properties.contains(name); };
    const auto value = [&call](const char* name) { return call.properties.find(name)->second; };
    const int ways = static_cast<int>(!call.operands.empty()) + static_cast<int>(given("mapped-dev")) +
                     static_cast<int>(given("luname")) + static_cast<int>(given("target"));
    if (ways != 1 || given("target") != given("lun"))
        return fail(Errc::invalid_argument,
                    "expected a device path, or -p mapped-dev, or -p luname, or -p target and -p lun");
    if (given("luname")) return suris_of_luname(call, value("luname"));
    if (given("target"))
        return suris_of_target(call, given("hostname") ? value("hostname") : "",
                               fmt::format("target.{},lun.{}", value("target"), value("lun")));
    if (given("hostname"))
        return fail(Errc::invalid_argument, "-p hostname belongs to -p luname or -p target");
    return suris_of_path(call.operands.empty() ? value("mapped-dev") : call.operands.front());
}

}  // namespace

Result<void> suriadm_lookup_uri(const SuriadmCall& call) {
    KZ_TRY(Suris suris, search(call));
    if (!call.type.empty())
        std::erase_if(suris, [&](const Suri& suri) { return suri_type_name(suri.type()) != call.type; });
    if (suris.empty())
        return fail(Errc::not_found, "no SURI{} names it", call.type.empty() ? "" : " of type " + call.type);
    for (const Suri& suri : suris)
        fmt::print("{}\n", suri.render());
    return {};
}

}  // namespace kz::cli
