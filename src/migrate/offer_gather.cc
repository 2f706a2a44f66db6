#include "migrate/offer_gather.h"

#include <algorithm>

#include "os/network.h"

namespace kz::migrate {
namespace {

// What there is at the sampled places of the zone's device, and how large it is. It is opened anew, for the
// lease of a zone that runs is renewed on the boot disk meanwhile.
struct Looked {
    std::uint64_t bytes = 0;
    Samples samples;
};
Result<Looked> look_at(const zone::Device& device, bool is_boot, const HostPaths& paths) {
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    KZ_TRY(const storage::StorageAccess access, store::storage_access(paths));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    Looked looked{.bytes = volume->size_bytes(), .samples = {}};
    std::uint64_t seen = looked.bytes;
    if (is_boot) {
        KZ_TRY(seen, storage::guest_bytes(looked.bytes));
    }
    KZ_TRY(looked.samples, read_samples(*volume, seen));
    return looked;
}

bool unchanged(const DiskFacts& told, const Samples& now, const std::vector<unsigned>& places) {
    return std::ranges::any_of(places, [&](unsigned place) {
        return place < told.samples.size() && place < now.size() && told.samples[place] == now[place];
    });
}

}  // namespace

Result<void> gather_storage(const SourceSide& source, SourceFacts& facts) {
    KZ_TRY(const zone::Device boot, store::BootDisk::device_of(source.config));
    for (const zone::Device& device : source.config.devices()) {
        KZ_TRY_CONTEXT(Looked looked, look_at(device, device.id == boot.id, source.paths),
                       fmt::format("source: device {}", device.id));
        facts.disks.push_back({device.id, looked.bytes, std::move(looked.samples)});
    }
    KZ_TRY_CONTEXT(const storage::HostData data, source.boot.read(), "source: host data");
    facts.epoch = data.epoch;
    facts.heartbeat = data.heartbeat;
    return {};
}

void gather_host(const zone::Config& config, SourceFacts& facts) {
    facts.kzones_version = kzones_version();
    const bool any = !list_bridges().empty();
    for (const zone::Anet& anet : config.anets()) {
        const bool named = !anet.lower_link.empty() && anet.lower_link != "auto";
        if (named || any) facts.bridged.push_back(anet.id);
    }
}

Result<std::vector<std::string>> settle_doubts(const SourceSide& source, const Offer& offer,
                                               const std::vector<DiskDoubt>& doubts) {
    std::vector<std::string> lines;
    KZ_TRY(const zone::Device boot, store::BootDisk::device_of(source.config));
    const std::vector<zone::Device> devices = source.config.devices();
    for (const DiskDoubt& doubt : doubts) {
        const auto device = std::ranges::find(devices, doubt.id, &zone::Device::id);
        const auto told = std::ranges::find(offer.facts.disks, doubt.id, &DiskFacts::id);
        if (device == devices.end() || told == offer.facts.disks.end()) continue;
        KZ_TRY_CONTEXT(const Looked now, look_at(*device, doubt.id == boot.id, source.paths),
                       fmt::format("source: device {}", doubt.id));
        if (!unchanged(*told, now.samples, doubt.samples)) continue;
        lines.push_back(fmt::format(
            "destination: device {}: not the same volume: it holds other data than at the source", doubt.id));
    }
    return lines;
}

Result<void> settle_checks(const SourceSide& source, const Offer& offer, const Answer& answer,
                           const std::function<void(const std::string&)>& say) {
    Findings findings = check_acceptance(offer, answer.acceptance, answer.times);
    KZ_TRY(const std::vector<std::string> other, settle_doubts(source, offer, findings.doubts));
    findings.errors.insert(findings.errors.end(), other.begin(), other.end());
    findings.errors.insert(findings.errors.end(), answer.errors.begin(), answer.errors.end());
    for (const std::string& each : findings.warnings)
        say("warning: " + each);
    return conclude(offer, answer.acceptance, findings);
}

}  // namespace kz::migrate
