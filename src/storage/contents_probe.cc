#include "storage/contents_probe.h"

#include <blkid/blkid.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace kz::storage {
namespace {

constexpr std::size_t kMaxWord = 64;
constexpr int kMaxPartitionsShown = 8;
// A disk may carry the labels of several formats; more than this are not worth a longer message.
constexpr int kMaxFindings = 8;
constexpr std::uint64_t kSector = 512;

struct FreeProbe {
    void operator()(blkid_probe probe) const { ::blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, FreeProbe>;

// What the disk says is shown to a terminal.
std::string harmless(std::string_view text) {
    std::string word;
    for (const char c : text.substr(0, kMaxWord))
        word += c >= 0x20 && c < 0x7f ? c : '?';
    return word;
}

std::optional<std::string> value(blkid_probe probe, const char* name) {
    const char* data = nullptr;
    std::size_t size = 0;
    if (::blkid_probe_lookup_value(probe, name, &data, &size) != 0 || data == nullptr) return std::nullopt;
    return harmless(data);
}

std::string kind_of(const std::string& type, const std::string& usage) {
    if (type == "LVM2_member") return "LVM physical volume";
    if (type == "linux_raid_member") return "member of a Linux RAID";
    if (type == "zfs_member") return "member of a ZFS pool";
    if (type == "crypto_LUKS") return "LUKS encrypted volume";
    if (type == "swap" || type == "swsuspend") return type + " space";
    if (usage == "filesystem") return type + " file system";
    if (usage == "raid") return type + " (member of a volume)";
    if (usage == "crypto") return type + " (encrypted volume)";
    return type;
}

std::string name_format(blkid_probe probe, const std::string& type) {
    std::string text = kind_of(type, value(probe, "USAGE").value_or(""));
    if (const auto label = value(probe, "LABEL")) text += fmt::format(" '{}'", *label);
    if (const auto uuid = value(probe, "UUID")) text += fmt::format(" (uuid {})", *uuid);
    return text;
}

std::string name_partition(blkid_partition partition) {
    const char* name = ::blkid_partition_get_name(partition);
    const auto sectors = static_cast<std::uint64_t>(::blkid_partition_get_size(partition));
    const std::string size = sectors < UINT64_MAX / kSector ? render_size(sectors * kSector) : "?";
    return name != nullptr && *name != '\0' ? fmt::format("'{}' {}", harmless(name), size) : size;
}

std::string name_table(blkid_probe probe, const std::string& type) {
    std::string text = fmt::format("{} partition table", type);
    const blkid_partlist list = ::blkid_probe_get_partitions(probe);
    const int count = list != nullptr ? ::blkid_partlist_numof_partitions(list) : 0;
    if (count <= 0) return text + " without partitions";
    std::vector<std::string> names;
    for (int number = 0; number < std::min(count, kMaxPartitionsShown); ++number)
        names.push_back(name_partition(::blkid_partlist_get_partition(list, number)));
    if (count > kMaxPartitionsShown) names.emplace_back("...");
    return fmt::format("{} with {} partition{} ({})", text, count, count == 1 ? "" : "s", join(names, ", "));
}

}  // namespace

std::string probe_formats(int fd, std::uint64_t bytes) {
    const Probe probe(::blkid_new_probe());
    if (!probe || ::blkid_probe_set_device(probe.get(), fd, 0, static_cast<blkid_loff_t>(bytes)) != 0)
        return {};
    ::blkid_probe_enable_superblocks(probe.get(), 1);
    ::blkid_probe_set_superblocks_flags(
        probe.get(), BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
    ::blkid_probe_enable_partitions(probe.get(), 1);
    std::vector<std::string> findings;
    for (int round = 0; round < kMaxFindings && ::blkid_do_probe(probe.get()) == 0; ++round) {
        std::string finding;
        if (const auto type = value(probe.get(), "TYPE")) finding = name_format(probe.get(), *type);
        if (const auto table = value(probe.get(), "PTTYPE")) finding = name_table(probe.get(), *table);
        // One format may have several labels on the disk (the four of ZFS).
        if (!finding.empty() && (findings.empty() || findings.back() != finding))
            findings.push_back(std::move(finding));
    }
    return join(findings, ", ");
}

}  // namespace kz::storage
