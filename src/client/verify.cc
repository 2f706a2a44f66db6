// verify: what would keep a zone from running on this host.
#include "zone/verify.h"

#include <sys/sysinfo.h>

#include "base/text.h"
#include "client/client.h"
#include "monitor/machine.h"
#include "qemu/accel.h"
#include "qemu/firmware.h"
#include "qemu/probe.h"
#include "storage/suri.h"
#include "storage/volume.h"

namespace kz::client {
namespace {

void check_machine(const zone::Config& config, const HostPaths& paths, std::vector<std::string>& errors) {
    const Result<qemu::QemuInfo> info = qemu::probe_qemu({.cache_dir = paths.cache_dir()});
    if (!info) return errors.push_back(info.error().message());
    if (!config.machine().empty() && !info->has_machine(config.machine())) {
        errors.push_back(fmt::format("machine: QEMU {} has no machine type '{}'; its newest is {}",
                                     info->version.text(), config.machine(), info->newest_q35()));
    }
    const uid_t uid = monitor::machine_uid("verify");
    const Result<qemu::AccelChoice> accel =
        qemu::choose_accel(config.accel(), qemu::gather_accel_facts(uid, uid, {}));
    if (!accel) return errors.push_back("accel: " + accel.error().message());
    if (const auto model = qemu::cpu_model_for(config.cpu_arch(), accel->accel); !model)
        errors.push_back("cpu-arch: " + model.error().message());
    if (!config.uefi()) return;
    if (const auto firmware = qemu::find_uefi_firmware(); !firmware)
        errors.push_back("firmware: " + firmware.error().message());
}

void check_devices(const zone::Config& config, const HostPaths& paths, std::vector<std::string>& errors) {
    const Result<storage::StorageAccess> access = store::storage_access(paths);
    if (!access) return errors.push_back(access.error().message());
    if (config.devices().empty())
        errors.emplace_back("the zone has no device to boot from; add one with zonecfg: add device");
    for (const zone::Device& device : config.devices()) {
        const auto suri = storage::Suri::parse(device.storage);
        if (!suri) {
            errors.push_back(
                fmt::format("device {}: {}: {}", device.id, device.storage, suri.error().message()));
            continue;
        }
        // A disk that is missing may yet come: install makes it, boot finds the zone unavailable.
        const auto exists = storage::volume_exists(*suri, *access);
        if (!exists && exists.error().code() == Errc::unsupported)
            errors.push_back(fmt::format("device {}: {}", device.id, exists.error().message()));
    }
}

void check_host(const zone::Config& config, std::vector<std::string>& errors) {
    for (const zone::Anet& anet : config.anets()) {
        if (const auto bridge = monitor::bridge_for(anet); !bridge)
            errors.push_back(bridge.error().message());
    }
    struct sysinfo info{};
    ::sysinfo(&info);
    const std::uint64_t memory = static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
    if (config.memory_bytes() > memory) {
        errors.push_back(fmt::format("capped-memory: the zone wants {} but this host has only {} MiB",
                                     render_size(config.memory_bytes()), memory >> 20));
    }
}

}  // namespace

Result<void> Client::verify(const std::string& zone, const Reporter& reporter) {
    KZ_TRY(const zone::Config config, registry_.load_config(zone));
    const zone::Report report = zone::verify(config);
    for (const std::string& note : report.notes)
        reporter.say(note);
    std::vector<std::string> errors = report.errors;
    check_devices(config, paths(), errors);
    check_host(config, errors);
    check_machine(config, paths(), errors);
    if (errors.empty()) return {};
    return fail(Errc::invalid_argument, "{}", join(errors, "\n"));
}

}  // namespace kz::client
