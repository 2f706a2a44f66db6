#include "migrate/image_machine.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "base/text.h"
#include "crypto/hash.h"
#include "qemu/firmware.h"
#include "zone/export.h"
#include "zone/live_change.h"
#include "zonecfg/parse_export.h"

namespace kz::migrate {
namespace {

constexpr std::string_view kBoard = "board ";
constexpr std::string_view kLive = "live ";
constexpr std::string_view kStored = "stored ";

std::string part_text(const zone::Config& config) {
    return zone::export_text(zone::machine_part(config), /*with_secrets=*/false);
}

std::string digest_of(const zone::Config& config) {
    return to_hex(crypto::sha256(as_bytes(part_text(config))));
}

std::optional<std::string_view> entry(const image::ImageInfo& info, std::string_view word) {
    const auto found =
        std::ranges::find_if(info.devices, [&](const auto& each) { return each.starts_with(word); });
    if (found == info.devices.end()) return std::nullopt;
    return std::string_view(*found).substr(word.size());
}

Result<zone::Config> config_of(const image::ImageInfo& info, const zone::Config& stored) {
    const auto live = entry(info, kLive);
    if (!live || entry(info, kStored) != digest_of(stored)) return stored;
    return with_live_part(stored, *live);
}

}  // namespace

void describe_image_machine(const ImageMachine& machine, const zone::Config& stored, image::ImageInfo& info) {
    info.devices.push_back(std::string(kBoard) + render_json(machine.shape.to_json()));
    const std::string live = live_part(machine.config, stored);
    if (live.empty()) return;
    info.devices.push_back(std::string(kLive) + live);
    info.devices.push_back(std::string(kStored) + digest_of(stored));
}

Result<ImageMachine> image_machine(const image::ImageInfo& info, const zone::Config& stored) {
    ImageMachine machine;
    KZ_TRY_CONTEXT(machine.config, config_of(info, stored), "the machine in the image");
    const auto board = entry(info, kBoard);
    if (!board) {
        machine.shape = qemu::first_shape(shape_wishes(machine.config));
        machine.shape.memory_bytes = info.memory_bytes;
        return machine;
    }
    KZ_TRY_CONTEXT(const Json json, parse_json(*board), "the machine in the image");
    KZ_TRY_CONTEXT(machine.shape, qemu::MachineShape::from_json(json), "the machine in the image");
    return machine;
}

std::vector<std::string> device_entries(const image::ImageInfo& info) {
    std::vector<std::string> devices = info.devices;
    std::erase_if(devices, [](const std::string& each) {
        return each.starts_with(kBoard) || each.starts_with(kLive) || each.starts_with(kStored);
    });
    return devices;
}

std::string machine_mismatch(const image::ImageInfo& info, const zone::Config& config) {
    // A balloon may have taken some of it from the zone that ran.
    const bool shrunk = entry(info, kLive) && config.memory_bytes() < info.memory_bytes;
    if (info.memory_bytes != config.memory_bytes() && !shrunk)
        return fmt::format("it has {} of memory, the zone is configured with {}",
                           render_size(info.memory_bytes), render_size(config.memory_bytes()));
    if (info.cpu_count != config.cpu_count())
        return fmt::format("it has {} CPUs, the zone is configured with {}", info.cpu_count,
                           config.cpu_count());
    return {};
}

std::string live_part(const zone::Config& live, const zone::Config& stored) {
    std::string text = part_text(live);
    return text == part_text(stored) ? std::string() : text;
}

Result<zone::Config> with_live_part(const zone::Config& stored, std::string_view text) {
    if (text.empty()) return stored;
    KZ_TRY(const zone::Config part, zonecfg::parse_export(text, stored.name()));
    return zone::with_machine_part(stored, part);
}

qemu::ShapeWishes shape_wishes(const zone::Config& config) {
    qemu::ShapeWishes wishes{.memory_bytes = config.memory_bytes(),
                             .cpus = config.cpu_count(),
                             .host_cpus = std::max(1U, std::thread::hardware_concurrency()),
                             .highest_disk = {},
                             .highest_nic = {}};
    // Where there is none the machine does not start, and says why.
    if (config.uefi())
        wishes.firmware_bytes = qemu::find_uefi_firmware().value_or(qemu::UefiFirmware{}).bytes;
    for (const zone::Device& device : config.devices())
        wishes.highest_disk = std::max(wishes.highest_disk.value_or(0), device.id);
    for (const zone::Anet& anet : config.anets())
        wishes.highest_nic = std::max(wishes.highest_nic.value_or(0), anet.id);
    return wishes;
}

}  // namespace kz::migrate
