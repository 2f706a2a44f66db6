#include "monitor/suspend_image.h"

#include "migrate/image_machine.h"
#include "store/journal.h"

namespace kz::monitor {
namespace {

using std::chrono::milliseconds;

}  // namespace

std::vector<std::string> device_list(const zone::Config& config) {
    std::vector<std::string> devices;
    for (const zone::Device& device : config.devices())
        devices.push_back(fmt::format("disk{} {}", device.id, device.storage));
    for (const zone::Anet& anet : config.anets())
        devices.push_back(fmt::format("net{} {}", anet.id, mac_of(config, anet)));
    return devices;
}

Result<image::ImageInfo> describe_machine(const ZoneRun& run, const std::string& accel, std::uint64_t epoch,
                                          image::Layout layout, unsigned channels) {
    image::ImageInfo info;
    info.zone_uuid = run.uuid();
    info.zone_name = run.zone();
    info.epoch = epoch;
    info.machine_type = run.runtime().machine_type;
    info.qemu_version = run.runtime().qemu_version;
    KZ_TRY(const std::string model, qemu::cpu_model_for(run.config().cpu_arch(), accel));
    info.cpu_model = fmt::format("{} {}", accel, model);
    info.memory_bytes = run.shape().memory_bytes;
    info.cpu_count = run.config().cpu_count();
    info.devices = device_list(run.config());
    KZ_TRY(const zone::Config stored, run.registry().load_config(run.zone()));
    migrate::describe_image_machine({run.shape(), run.config()}, stored, info);
    info.created_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
    info.layout = layout;
    info.channel_count = channels;
    return info;
}

// "tcg Nehalem"
std::string accel_of(const image::ImageInfo& info) {
    return info.cpu_model.substr(0, info.cpu_model.find(' '));
}

void note_move(ZoneRun& run, std::string_view move, Json facts) {
    if (const auto noted = store::append_journal(run.paths(), run.zone(), move, std::move(facts)); !noted)
        run.log().error("journal: {}", noted.error().message());
}

Result<Secret> key_of(const ZoneRun& run) {
    return run.registry().keysource(run.zone());
}

std::int64_t milliseconds_since(std::chrono::steady_clock::time_point moment) {
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - moment).count();
}

}  // namespace kz::monitor
