#include "migrate/checks.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "migrate/image_machine.h"
#include "qemu/machine.h"

namespace kz::migrate {
namespace {

constexpr std::chrono::milliseconds kClockTolerance{1000};
constexpr std::size_t kMaxFeaturesNamed = 32;
constexpr std::string_view kCheckFailed = "configuration check failed:";

bool has_memory_to_move(const Offer& offer) {
    return offer.kind != MoveKind::cold;
}

// For the first of a group of checks that a zone fails when its memory moves, and is only told of otherwise.
void find(Findings& out, bool error, std::string text) {
    (error ? out.errors : out.warnings).push_back(std::move(text));
}

std::string mebibytes(std::uint64_t bytes) {
    return fmt::format("{} MiB", bytes >> 20);
}

std::string listed(const std::vector<std::string>& names) {
    if (names.size() <= kMaxFeaturesNamed) return join(names, " ");
    const std::vector<std::string> first(names.begin(), names.begin() + kMaxFeaturesNamed);
    return fmt::format("{} and {} more", join(first, " "), names.size() - kMaxFeaturesNamed);
}

// What differs only here does not change the machine.
bool changes_machine(const std::string& difference) {
    return std::ranges::any_of(
        std::initializer_list<std::string_view>{"cpu-arch:", "accel:", "machine:", "firmware:", "hostid:"},
        [&](std::string_view key) { return difference.starts_with(key); });
}

void compare_configurations(const zone::Config& config, const zone::Config& existing, Findings& out) {
    const std::vector<std::string> machine = zone::machine_differences(config, existing);
    for (const std::string& each : machine)
        out.errors.push_back("configuration of source and destination differs: " + each);
    for (const std::string& each : zone::differences(config, existing)) {
        if (std::ranges::find(machine, each) != machine.end()) continue;
        // Those are in the machine's list already, as what they come to.
        if (each.starts_with("capped-memory") || each.starts_with("virtual-cpu") ||
            each.starts_with("keysource"))
            continue;
        find(out, changes_machine(each), "configuration of source and destination differs: " + each);
    }
}

struct LostFeatures {
    std::vector<std::string> names;
    bool model_known = true;
};

// What the machine has at the source, and would not have at the destination.
LostFeatures lost_features(const std::string& model, const qemu::CpuModels& here,
                           const qemu::CpuModels& there) {
    if (qemu::is_host_model(model)) return {qemu::features_lost(here.fullest, there.fullest)};
    const auto lacking = there.lacking.find(model);
    if (lacking == there.lacking.end()) return {{}, false};
    const auto known = here.lacking.find(model);
    if (known == here.lacking.end()) return {lacking->second};
    return {qemu::features_lost(lacking->second, known->second)};
}

std::string advice(const Offer& offer, const HostFacts& facts) {
    const auto common = qemu::common_cpu_class(offer.facts.cpu, facts.cpu, facts.accel);
    if (!common) return "no cpu-arch would be the same on both hosts";
    return fmt::format("booted with cpu-arch={} ({}) it could move", *common, qemu::cpu_class_level(*common));
}

// Versions as "7.2.22", "7.2.22 (Debian ...)"; nothing for anything else.
std::vector<std::uint64_t> version_numbers(std::string_view text) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& part : split(text.substr(0, text.find(' ')), '.')) {
        const auto number = parse_u64(part);
        if (!number) return {};
        numbers.push_back(*number);
    }
    return numbers;
}

}  // namespace

namespace checks {

void zone(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out) {
    if (facts.state && *facts.state != zone::State::configured) {
        out.errors.push_back(fmt::format("destination: a zone '{}' exists there and is {}", config.name(),
                                         zone::state_name(*facts.state)));
        return;
    }
    if (facts.existing) compare_configurations(config, *facts.existing, out);
    if (facts.other_key)
        out.errors.push_back("destination: the zone's configuration there has another encryption key");
    if (!offer.facts.kzones_version.empty() && offer.facts.kzones_version != kzones_version()) {
        out.warnings.push_back(
            fmt::format("destination: kzones there is version {}, at the source version {}", kzones_version(),
                        offer.facts.kzones_version));
    }
}

void machine(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out) {
    if (!facts.qemu_problem.empty()) {
        out.errors.push_back("destination: " + facts.qemu_problem);
        return;
    }
    const std::string wanted = has_memory_to_move(offer) ? offer.machine_type : config.machine();
    if (!wanted.empty() && std::ranges::find(facts.machines, wanted) == facts.machines.end()) {
        out.errors.push_back(
            fmt::format("destination: QEMU {} there has no machine type '{}'", facts.qemu_version, wanted));
    }
    if (!facts.accel_problem.empty()) out.errors.push_back("destination: " + facts.accel_problem);
    if (!facts.firmware_problem.empty())
        out.errors.push_back("destination: firmware: " + facts.firmware_problem);
    const auto here = version_numbers(offer.facts.qemu_version);
    const auto there = version_numbers(facts.qemu_version);
    if (has_memory_to_move(offer) && !here.empty() && there < here) {
        out.warnings.push_back(fmt::format(
            "destination: QEMU there is {}, older than {} at the source; it may refuse what that sends",
            facts.qemu_version, offer.facts.qemu_version));
    }
}

void cpu(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out) {
    if (!facts.qemu_problem.empty() || !facts.accel_problem.empty()) return;
    if (!facts.cpu_problem.empty()) {
        find(out, has_memory_to_move(offer),
             "destination: the CPU models there are not known: " + facts.cpu_problem);
        return;
    }
    const auto model = qemu::cpu_model_for(config.cpu_arch(), facts.accel);
    if (!model) return out.errors.push_back("destination: " + model.error().message());
    // What boots afresh takes the host's processor as it is, and QEMU's own as well.
    if (!has_memory_to_move(offer) && (qemu::is_host_model(*model) || facts.accel != "kvm")) return;
    const qemu::CpuModels& here = has_memory_to_move(offer) ? offer.facts.cpu : qemu::CpuModels{};
    const LostFeatures lost = lost_features(*model, here, facts.cpu);
    if (!lost.model_known) {
        out.errors.push_back(
            fmt::format("destination: QEMU {} there has no CPU model '{}' (CPU class mismatch)",
                        facts.qemu_version, *model));
        return;
    }
    if (lost.names.empty()) return;
    const std::string arch = config.cpu_arch().empty() ? "migration-class1" : config.cpu_arch();
    if (!has_memory_to_move(offer)) {
        out.warnings.push_back(fmt::format(
            "destination: the zone will boot without features of cpu-arch {}, which the CPU there lacks: {}",
            arch, listed(lost.names)));
        return;
    }
    const std::string what =
        offer.kind == MoveKind::warm && !offer.facts.image_id.empty()
            ? fmt::format("Suspended image {} (CPU class mismatch)", offer.facts.image_id)
            : std::string("CPU class mismatch");
    out.errors.push_back(fmt::format(
        "destination: {}: with cpu-arch {} the zone has features that the CPU there lacks: {}; {}", what,
        arch, listed(lost.names), advice(offer, facts)));
}

void post_copy(const Offer& offer, const HostFacts& facts, Findings& out) {
    if (offer.post_copy && !facts.post_copy_problem.empty())
        out.errors.push_back("destination: post-copy is not possible: " + facts.post_copy_problem);
}

void room(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out) {
    const std::uint64_t wanted = config.memory_bytes();
    const std::uint64_t left =
        facts.memory_available - std::min(facts.memory_available, facts.memory_promised);
    if (wanted > facts.memory_total) {
        out.errors.push_back(fmt::format("destination: the zone's {} of memory do not fit: the host has {}",
                                         mebibytes(wanted), mebibytes(facts.memory_total)));
    } else if (wanted > left) {
        find(out, has_memory_to_move(offer),
             fmt::format(
                 "destination: the zone's {} of memory do not fit: {} are available, and {} of them are "
                 "promised to zones that run there",
                 mebibytes(wanted), mebibytes(facts.memory_available), mebibytes(facts.memory_promised)));
    }
    if (config.cpu_count() > facts.cpus) {
        out.warnings.push_back(fmt::format("destination: the zone has {} CPUs, the host only {}",
                                           config.cpu_count(), facts.cpus));
    }
}

void network(const Offer& offer, const HostFacts& facts, Findings& out) {
    for (const HostFacts::Anet& anet : facts.anets) {
        if (!anet.problem.empty()) {
            out.errors.push_back("destination: " + anet.problem);
            continue;
        }
        const bool has_one = std::ranges::find(offer.facts.bridged, anet.id) != offer.facts.bridged.end();
        if (!has_one && has_memory_to_move(offer)) {
            out.warnings.push_back(fmt::format(
                "source: anet {}: it uses user-mode networking; its connections are lost by the move",
                anet.id));
            continue;
        }
        if (anet.bridged) continue;
        find(out, has_one && offer.kind == MoveKind::live,
             fmt::format(
                 "destination: anet {}: there is no bridge; the zone would have QEMU's user-mode network, "
                 "where its connections end and nobody can connect to it",
                 anet.id));
    }
}

void disks(const Offer& offer, const HostFacts& facts, Findings& out) {
    for (const HostFacts::Disk& disk : facts.disks) {
        if (!disk.problem.empty()) {
            out.errors.push_back(fmt::format("destination: device {}: {}", disk.id, disk.problem));
            continue;
        }
        const auto known = std::ranges::find(offer.facts.disks, disk.id, &DiskFacts::id);
        if (known == offer.facts.disks.end()) continue;
        if (known->bytes != disk.bytes) {
            out.errors.push_back(
                fmt::format("destination: device {}: not the same volume: it has {} bytes, at the source {}",
                            disk.id, disk.bytes, known->bytes));
            continue;
        }
        std::vector<unsigned> places = differing_samples(known->samples, disk.samples);
        if (!places.empty()) out.doubts.push_back({disk.id, std::move(places)});
    }
}

void ownership(const Offer& offer, const HostFacts& facts, Findings& out) {
    if (!facts.host_data_problem.empty()) {
        out.errors.push_back("destination: " + facts.host_data_problem);
        return;
    }
    if (!facts.host_data) return;
    const storage::HostData& data = *facts.host_data;
    if (data.zone_uuid != offer.zone_uuid) {
        out.errors.push_back("destination: the disk of that name there belongs to another zone");
    } else if (!data.owner || !data.owner->same_host(offer.source)) {
        out.errors.push_back(fmt::format(
            "destination: host data on the disk there do not name the source as owner, but {}: it is not the "
            "same volume",
            data.owner ? "host '" + plain_text(data.owner->host_name, 256) + "'" : "nobody"));
    } else if (data.epoch != offer.facts.epoch || data.heartbeat < offer.facts.heartbeat) {
        out.errors.push_back(
            "destination: host data on the disk there are older than at the source: it is a copy, not the "
            "same "
            "volume");
    }
}

void image(const Offer& offer, const zone::Config& config, const HostFacts& facts, Findings& out) {
    if (offer.kind != MoveKind::warm) return;
    if (!facts.image_problem.empty()) {
        out.errors.push_back("destination: the suspend image: " + facts.image_problem);
        return;
    }
    if (!facts.image) return;
    const auto refuse = [&](const std::string& why) {
        out.errors.push_back(fmt::format("destination: Suspended image {} ({})", facts.image->image_id, why));
    };
    const bool recorded = facts.host_data && facts.host_data->suspend &&
                          facts.host_data->suspend->image_id == facts.image->image_id;
    if (!recorded) refuse("host data record another image");
    if (facts.image->zone_uuid != offer.zone_uuid) refuse("it is of another zone");
    const auto machine = image_machine(*facts.image, config);
    if (!machine) return refuse(machine.error().message());
    if (const std::string other = machine_mismatch(*facts.image, machine->config); !other.empty())
        refuse(other);
}

}  // namespace checks

Findings check_move(const Offer& offer, const zone::Config& config, const zone::Config& stored,
                    const HostFacts& facts) {
    Findings out;
    checks::zone(offer, stored, facts, out);
    checks::machine(offer, config, facts, out);
    checks::cpu(offer, config, facts, out);
    checks::post_copy(offer, facts, out);
    checks::room(offer, config, facts, out);
    checks::network(offer, facts, out);
    checks::disks(offer, facts, out);
    checks::ownership(offer, facts, out);
    checks::image(offer, stored, facts, out);
    return out;
}

std::uint64_t utc_milliseconds() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

ClockOffset clock_offset(const CallTimes& here, const Acceptance& there) {
    const auto signed_ms = [](std::uint64_t ms) {
        return static_cast<std::int64_t>(std::min<std::uint64_t>(ms, 1ULL << 53));
    };
    const std::int64_t away = signed_ms(there.received_ms) - signed_ms(here.sent_ms);
    const std::int64_t back = signed_ms(there.answered_ms) - signed_ms(here.answered_ms);
    // The way there and the way back take some time each, which nobody knows: half of both is the doubt.
    return {std::chrono::milliseconds((away + back) / 2),
            std::chrono::milliseconds(std::abs(away - back) / 2)};
}

Findings check_acceptance(const Offer& offer, const Acceptance& acceptance, const CallTimes& times) {
    Findings out = acceptance.findings;
    if (!check_cipher(crypto::cipher_name(offer.cipher), acceptance.ciphers)) {
        out.errors.push_back(fmt::format("cipher {} not supported by destination, which supports: {}",
                                         crypto::cipher_name(offer.cipher), join(acceptance.ciphers, " ")));
    }
    if (acceptance.destination.same_host(offer.source))
        out.errors.push_back(
            fmt::format("destination: it is this host, {}", acceptance.destination.host_name));
    // Nothing of ours compares the clocks of two hosts; the guest may.
    const ClockOffset clock = clock_offset(times, acceptance);
    if (acceptance.received_ms != 0 && std::chrono::abs(clock.offset) - clock.doubt > kClockTolerance) {
        out.warnings.push_back(
            fmt::format("destination: its clock is {:.1f} s {} the source's; the zone's time may jump",
                        static_cast<double>(std::chrono::abs(clock.offset).count()) / 1000,
                        clock.offset.count() > 0 ? "ahead of" : "behind"));
    }
    return out;
}

Result<void> conclude(const Offer& offer, const Acceptance& acceptance, const Findings& findings) {
    if (findings.errors.empty()) return {};
    const Result<void> cipher = check_cipher(crypto::cipher_name(offer.cipher), acceptance.ciphers);
    if (!cipher && findings.errors.size() == 1) return cipher;
    std::string text(kCheckFailed);
    for (const std::string& each : findings.errors)
        text += "\nerror: " + each;
    return fail(Errc::wrong_state, "{}", text);
}

bool speaks_for_itself(const Error& error) {
    return error.message().starts_with(kCheckFailed) ||
           (error.code() == Errc::unsupported && error.message().starts_with(kCipherRefused));
}

Error migration_failed(Error cause, std::string_view outcome) {
    if (speaks_for_itself(cause)) return cause;
    Error failed = std::move(cause).context("migration failed");
    return outcome.empty() ? failed : std::move(failed).append(outcome);
}

}  // namespace kz::migrate
