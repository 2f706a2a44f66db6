#include "client/destination_checks.h"

#include <thread>

#include "image/reader.h"
#include "monitor/image_place.h"
#include "monitor/machine.h"
#include "monitor/network.h"
#include "os/file.h"
#include "os/memory.h"
#include "qemu/accel.h"
#include "qemu/firmware.h"
#include "storage/host_data.h"
#include "store/boot_disk.h"

namespace kz::client {
namespace {

using migrate::HostFacts;
using migrate::MoveKind;

// The source waits a minute for everything: storage that hangs must leave time for the answer.
constexpr std::chrono::seconds kStorageTime{30};

// Collects the facts, each group by itself.
class Gatherer {
  public:
    Gatherer(const store::Registry& registry, const std::string& zone, const migrate::Offer& offer,
             const zone::Config& config)
        : registry_(registry), zone_(zone), offer_(offer), config_(config) {}

    HostFacts gather();

  private:
    void look_at_zone();
    void look_at_machine();
    void look_at_firmware();
    void look_at_faults();
    void look_at_memory();
    void look_at_networks();
    void look_at_disks();
    Result<void> look_at_disk(const zone::Device& device, bool boot, const storage::StorageAccess& access,
                              HostFacts::Disk& disk);
    Result<void> look_at_host_data(storage::Volume& volume);
    Result<void> look_at_image();
    Result<Secret> key() const;

    const store::Registry& registry_;
    const std::string& zone_;
    const migrate::Offer& offer_;
    const zone::Config& config_;
    HostFacts facts_;
};

HostFacts Gatherer::gather() {
    look_at_zone();
    look_at_machine();
    look_at_faults();
    look_at_memory();
    look_at_networks();
    look_at_disks();
    if (offer_.kind == MoveKind::warm && facts_.host_data) {
        if (const Result<void> looked = look_at_image(); !looked)
            facts_.image_problem = looked.error().message();
    }
    return std::move(facts_);
}

void Gatherer::look_at_zone() {
    if (!registry_.exists(zone_)) return;
    const Result<store::ZoneStatus> status = store::status_of(registry_, zone_);
    facts_.state = status ? status->state : zone::State::unavailable;
    Result<zone::Config> existing = registry_.load_config(zone_);
    if (!existing) return;
    facts_.other_key = existing->keysource_raw() && existing->keysource_raw() != config_.keysource_raw();
    facts_.existing = *std::move(existing);
}

void Gatherer::look_at_machine() {
    facts_.cpus = std::max(1U, std::thread::hardware_concurrency());
    const Result<qemu::QemuInfo> info = qemu::probe_qemu({.cache_dir = registry_.paths().cache_dir()});
    if (!info) {
        facts_.qemu_problem = info.error().message();
        return;
    }
    facts_.qemu_version = info->version.text();
    facts_.machines = info->q35_machines;
    look_at_firmware();
    const uid_t uid = monitor::machine_uid(offer_.zone_uuid);
    const std::string wanted = offer_.accel.empty() ? config_.accel() : offer_.accel;
    const auto choice = qemu::choose_accel(wanted, qemu::gather_accel_facts(uid, uid, {}));
    if (!choice) {
        facts_.accel_problem = choice.error().message();
        return;
    }
    facts_.accel = choice->accel;
    Result<qemu::CpuModels> cpu = qemu::probe_cpu_models(info->binary, choice->accel);
    if (cpu)
        facts_.cpu = *std::move(cpu);
    else
        facts_.cpu_problem = cpu.error().message();
}

// What boots afresh takes what is there.
void Gatherer::look_at_firmware() {
    if (!config_.uefi()) return;
    const Result<void> found = [&]() -> Result<void> {
        if (offer_.shape) {
            KZ_CHECK(qemu::firmware_of(true, offer_.shape->firmware_bytes));
        } else {
            KZ_CHECK(qemu::find_uefi_firmware());
        }
        return {};
    }();
    if (!found) facts_.firmware_problem = found.error().message();
}

// Whether QEMU, which is no privileged user's process, may be told of the pages that its guest lacks.
void Gatherer::look_at_faults() {
    const Result<std::string> allowed = read_file("/proc/sys/vm/unprivileged_userfaultfd", 16);
    if (!allowed)
        facts_.post_copy_problem = "its kernel has no userfaultfd";
    else if (!allowed->starts_with('1'))
        facts_.post_copy_problem = "sysctl vm.unprivileged_userfaultfd is 0 there";
}

// What the zone of a machine may still come for.
std::uint64_t untouched_memory(const store::Registry& registry, const std::string& zone) {
    const auto runtime = store::load_runtime(registry.paths(), zone);
    if (!runtime || !store::is_alive(runtime->qemu)) return 0;
    const auto config = registry.load_config(zone);
    const auto touched = resident_bytes(runtime->qemu->pid);
    if (!config || !touched) return 0;
    return config->memory_bytes() - std::min(config->memory_bytes(), *touched);
}

void Gatherer::look_at_memory() {
    // A host that does not tell is one without memory, and the zone does not fit.
    const HostMemory memory = host_memory().value_or(HostMemory{});
    facts_.memory_total = memory.total;
    facts_.memory_available = memory.available;
    for (const std::string& each : registry_.names().value_or(std::vector<std::string>{}))
        facts_.memory_promised += untouched_memory(registry_, each);
}

void Gatherer::look_at_networks() {
    for (const zone::Anet& anet : config_.anets()) {
        const auto connection = monitor::connection_of(anet);
        if (connection)
            facts_.anets.push_back({.id = anet.id, .bridged = connection->survives_move()});
        else
            facts_.anets.push_back({.id = anet.id, .problem = connection.error().message()});
    }
}

Result<Secret> Gatherer::key() const {
    const std::optional<std::string> raw = config_.keysource_raw();
    if (!raw) return fail(Errc::not_found, "the zone has no key");
    KZ_TRY(Bytes bytes, from_hex(*raw));
    return Secret(std::move(bytes));
}

Result<void> Gatherer::look_at_host_data(storage::Volume& volume) {
    KZ_TRY(const Secret secret, key());
    KZ_TRY(storage::HostDataArea area, storage::HostDataArea::open(volume, secret));
    Result<storage::HostDataRead> read = area.read();
    if (!read && read.error().code() == Errc::permission)
        return fail(Errc::permission, "{}", storage::wrong_key_message(zone_));
    if (!read) return std::unexpected(std::move(read).error().context("host data on the zone's disk"));
    facts_.host_data = std::move(read->data);
    return {};
}

Result<void> Gatherer::look_at_disk(const zone::Device& device, bool boot,
                                    const storage::StorageAccess& access, HostFacts::Disk& disk) {
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(device.storage));
    KZ_TRY(const std::unique_ptr<storage::Volume> volume, storage::open_volume(suri, access));
    disk.bytes = volume->size_bytes();
    std::uint64_t seen = disk.bytes;
    if (boot) {
        KZ_TRY(seen, storage::guest_bytes(disk.bytes));
    }
    KZ_TRY(disk.samples, migrate::read_samples(*volume, seen));
    if (!boot) return {};
    if (const Result<void> looked = look_at_host_data(*volume); !looked)
        facts_.host_data_problem = looked.error().message();
    return {};
}

void Gatherer::look_at_disks() {
    const auto boot = store::BootDisk::device_of(config_);
    const auto access = store::storage_access(registry_.paths());
    if (!boot || !access) {
        facts_.host_data_problem = (boot ? access.error() : boot.error()).message();
        return;
    }
    const Deadline deadline = Deadline::after(kStorageTime);
    for (const zone::Device& device : config_.devices()) {
        HostFacts::Disk disk{.id = device.id};
        if (deadline.passed()) {
            disk.problem = "not looked at: storage there takes too long to answer";
        } else if (const auto looked = look_at_disk(device, device.id == boot->id, *access, disk); !looked) {
            disk.problem = looked.error().message();
        }
        facts_.disks.push_back(std::move(disk));
    }
}

// The image that is recorded; where the zone still runs at the source, the place for one.
Result<void> Gatherer::look_at_image() {
    KZ_TRY(const storage::StorageAccess access, store::storage_access(registry_.paths()));
    if (facts_.host_data->suspend) {
        KZ_TRY(const monitor::ImagePlace place, monitor::ImagePlace::recorded(*facts_.host_data->suspend));
        KZ_TRY_CONTEXT(std::unique_ptr<image::Medium> medium, place.open(access), place.location());
        KZ_TRY(const Secret secret, key());
        KZ_TRY_CONTEXT(const image::ImageReader reader,
                       image::ImageReader::open(std::move(medium), secret.view()), place.location());
        facts_.image = reader.info();
        return {};
    }
    KZ_TRY(const monitor::ImagePlace place, monitor::ImagePlace::configured(config_));
    const std::string location = place.location();
    if (location.starts_with('/')) {
        const Path folder = Path(location).parent_path();
        std::error_code error;
        if (std::filesystem::is_directory(folder, error)) return {};
        return fail(Errc::not_found, "{}: there is no such folder to read it from", folder.string());
    }
    KZ_TRY(const storage::Suri suri, storage::Suri::parse(location));
    KZ_CHECK_CONTEXT(storage::volume_exists(suri, access), location);
    return {};
}

}  // namespace

HostFacts gather_host_facts(const store::Registry& registry, const std::string& zone,
                            const migrate::Offer& offer, const zone::Config& config) {
    return Gatherer(registry, zone, offer, config).gather();
}

}  // namespace kz::client
