#include "qemu/hotplug.h"

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "qemu/devices.h"
#include "qemu/machine_check.h"

namespace kz::qemu {
namespace {

// QEMU has said that the device is gone, but its last reference may go a moment later.
constexpr std::chrono::seconds kReleaseTime{5};
constexpr std::chrono::milliseconds kReleaseStep{50};

// Steps to be undone, last first, unless all went well.
class Undo {
  public:
    explicit Undo(Qmp& qmp) : qmp_(qmp) {}
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    ~Undo() {
        for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) [[maybe_unused]]
            const auto undone = qmp_.execute(step->first, step->second);
    }
    void add(std::string command, Json arguments) {
        steps_.emplace_back(std::move(command), std::move(arguments));
    }
    void keep() { steps_.clear(); }

  private:
    Qmp& qmp_;
    std::vector<std::pair<std::string, Json>> steps_;
};

Result<void> run(Qmp& qmp, std::string_view command, Json arguments) {
    KZ_CHECK(qmp.execute(command, std::move(arguments)));
    return {};
}

// A command that is refused as long as the device is not quite gone.
Result<void> run_when_released(Qmp& qmp, std::string_view command, const Json& arguments) {
    const Deadline deadline = Deadline::after(kReleaseTime);
    while (true) {
        Result<Json> done = qmp.execute(command, arguments);
        if (done) return {};
        if (done.error().code() != Errc::io || deadline.passed())
            return std::unexpected(std::move(done).error());
        std::this_thread::sleep_for(kReleaseStep);
    }
}

Result<void> open_place(Qmp& qmp, const DiskSpec& disk, int fd, const Secret* chap_password, Undo& undo) {
    if (chap_password != nullptr) {
        const std::string id = chap_secret_id(disk.index);
        KZ_CHECK(run(qmp, "object-add",
                     {{"qom-type", "secret"},
                      {"id", id},
                      {"format", "base64"},
                      {"data", to_base64(chap_password->view())}}));
        undo.add("object-del", {{"id", id}});
    }
    if (fd < 0) return {};
    const unsigned set = disk_fdset(disk.index);
    KZ_CHECK(qmp.execute_with_fd("add-fd", {{"fdset-id", set}, {"opaque", disk_id(disk.index)}}, fd));
    undo.add("remove-fd", {{"fdset-id", set}});
    return {};
}

Result<void> wait_until_deleted(EventWait& deleted, const std::function<bool(const QmpEvent&)>& is_it,
                                Deadline deadline, int cancel_fd) {
    while (true) {
        KZ_TRY(const QmpEvent event, deleted.next(deadline, cancel_fd));
        if (is_it(event)) return {};
    }
}

// Asks the guest to give up the device of that id or path; one that it was asked for before counts as well.
Result<void> delete_device(Qmp& qmp, const std::string& id, const std::function<bool(const QmpEvent&)>& is_it,
                           Deadline deadline, int cancel_fd) {
    KZ_TRY(EventWait deleted, EventWait::subscribe(qmp, {"DEVICE_DELETED"}));
    const Result<Json> asked = qmp.execute("device_del", {{"id", id}});
    const bool again =
        !asked && asked.error().message().find("in the process of unplug") != std::string::npos;
    if (!asked && !again) return std::unexpected(asked.error());
    return wait_until_deleted(deleted, is_it, deadline, cancel_fd);
}

Result<void> unplug(Qmp& qmp, const LeftDevice& which, Deadline deadline, int cancel_fd) {
    const std::string id = which.kind == LeftDevice::Kind::disk ? disk_id(which.index) : nic_id(which.index);
    KZ_CHECK(delete_device(
        qmp, id, [&](const QmpEvent& event) { return event.data.value("device", "") == id; }, deadline,
        cancel_fd));
    return clean_up(qmp, which);
}

struct CpuSlot {
    std::string type;
    Json properties;
    std::string path;  // empty: there is none in it
};

// In the order in which the machine fills them.
Result<std::vector<CpuSlot>> cpu_slots(Qmp& qmp) {
    KZ_TRY(const Json answer, qmp.execute("query-hotpluggable-cpus"));
    if (!answer.is_array()) return fail(Errc::protocol, "QEMU's list of processors is not understood");
    std::vector<CpuSlot> slots;
    for (const Json& each : answer) {
        if (!each.is_object() || !each.contains("props") || !each["props"].is_object())
            return fail(Errc::protocol, "QEMU's list of processors is not understood");
        slots.push_back({each.value("type", ""), each["props"], each.value("qom-path", "")});
    }
    const auto place = [](const CpuSlot& slot) {
        return std::pair(slot.properties.value("socket-id", 0), slot.properties.value("core-id", 0));
    };
    std::ranges::sort(slots, {}, place);
    return slots;
}

}  // namespace

Result<void> plug_disk(Qmp& qmp, const DiskSpec& disk, int fd, const Secret* chap_password) {
    const DiskParts parts = disk_parts(disk);
    Undo undo(qmp);
    KZ_CHECK(open_place(qmp, disk, fd, chap_password, undo));
    KZ_CHECK(run(qmp, "blockdev-add", parts.protocol));
    undo.add("blockdev-del", {{"node-name", disk_file_id(disk.index)}});
    KZ_CHECK(run(qmp, "blockdev-add", parts.format));
    undo.add("blockdev-del", {{"node-name", disk_id(disk.index)}});
    KZ_CHECK(run(qmp, "device_add", parts.device));
    undo.keep();
    return {};
}

Result<void> plug_nic(Qmp& qmp, const NicSpec& nic, int tap_fd) {
    KZ_CHECK(check_nic(nic));
    const std::string backend = nic_backend_id(nic.index);
    Undo undo(qmp);
    if (tap_fd < 0) {
        KZ_CHECK(run(qmp, "netdev_add", {{"type", "user"}, {"id", backend}}));
    } else {
        const std::string name = backend + "-tap";
        KZ_CHECK(qmp.execute_with_fd("getfd", {{"fdname", name}}, tap_fd));
        undo.add("closefd", {{"fdname", name}});
        KZ_CHECK(run(qmp, "netdev_add", {{"type", "tap"}, {"id", backend}, {"fd", name}, {"vhost", false}}));
        undo.keep();
    }
    undo.add("netdev_del", {{"id", backend}});
    KZ_CHECK(run(qmp, "device_add", nic_device(nic)));
    undo.keep();
    return {};
}

Result<void> unplug_disk(Qmp& qmp, unsigned index, Deadline deadline, int cancel_fd) {
    return unplug(qmp, {LeftDevice::Kind::disk, index}, deadline, cancel_fd);
}

Result<void> unplug_nic(Qmp& qmp, unsigned index, Deadline deadline, int cancel_fd) {
    return unplug(qmp, {LeftDevice::Kind::nic, index}, deadline, cancel_fd);
}

std::optional<LeftDevice> left_device(const QmpEvent& event) {
    if (event.name != "DEVICE_DELETED") return std::nullopt;
    const std::string id = event.data.value("device", "");
    const auto number_after = [&](std::string_view prefix) -> std::optional<std::uint64_t> {
        return id.starts_with(prefix) ? parse_u64(std::string_view(id).substr(prefix.size())) : std::nullopt;
    };
    if (const auto disk = number_after("disk"); disk && *disk < kMaxDisks)
        return LeftDevice{LeftDevice::Kind::disk, static_cast<unsigned>(*disk)};
    if (const auto nic = number_after("net"); nic && *nic < kMaxNics)
        return LeftDevice{LeftDevice::Kind::nic, static_cast<unsigned>(*nic)};
    return LeftDevice{LeftDevice::Kind::other};
}

Result<void> clean_up(Qmp& qmp, const LeftDevice& left) {
    if (left.kind == LeftDevice::Kind::nic)
        return run_when_released(qmp, "netdev_del", {{"id", nic_backend_id(left.index)}});
    KZ_CHECK(run_when_released(qmp, "blockdev-del", {{"node-name", disk_id(left.index)}}));
    KZ_CHECK(run_when_released(qmp, "blockdev-del", {{"node-name", disk_file_id(left.index)}}));
    // Only one of these was made, or none.
    [[maybe_unused]] const auto secret = qmp.execute("object-del", {{"id", chap_secret_id(left.index)}});
    [[maybe_unused]] const auto set = qmp.execute("remove-fd", {{"fdset-id", disk_fdset(left.index)}});
    return {};
}

Result<unsigned> count_cpus(Qmp& qmp) {
    KZ_TRY(const std::vector<CpuSlot> slots, cpu_slots(qmp));
    return static_cast<unsigned>(
        std::ranges::count_if(slots, [](const CpuSlot& slot) { return !slot.path.empty(); }));
}

Result<void> plug_cpu(Qmp& qmp) {
    KZ_TRY(const std::vector<CpuSlot> slots, cpu_slots(qmp));
    const auto free = std::ranges::find_if(slots, [](const CpuSlot& slot) { return slot.path.empty(); });
    if (free == slots.end()) return fail(Errc::no_space, "the machine has no room for another processor");
    Json device = free->properties;
    device["driver"] = free->type;
    device["id"] = fmt::format("cpu{}", free - slots.begin());
    return run(qmp, "device_add", std::move(device));
}

Result<void> unplug_cpu(Qmp& qmp, Deadline deadline, int cancel_fd) {
    KZ_TRY(const std::vector<CpuSlot> slots, cpu_slots(qmp));
    const auto last = std::ranges::find_if(slots.rbegin(), slots.rend(),
                                           [](const CpuSlot& slot) { return !slot.path.empty(); });
    if (last == slots.rend()) return fail(Errc::not_found, "the machine has no processor");
    return delete_device(
        qmp, last->path, [&](const QmpEvent& event) { return event.data.value("path", "") == last->path; },
        deadline, cancel_fd);
}

Result<std::uint64_t> balloon_size(Qmp& qmp) {
    KZ_TRY(const Json answer, qmp.execute("query-balloon"));
    return json_u64(answer, "actual");
}

Result<std::uint64_t> resize_balloon(Qmp& qmp, std::uint64_t bytes, int cancel_fd) {
    constexpr std::chrono::seconds kStall{10};
    KZ_TRY(EventWait changes, EventWait::subscribe(qmp, {"BALLOON_CHANGE"}));
    KZ_TRY(std::uint64_t now, balloon_size(qmp));
    KZ_CHECK(run(qmp, "balloon", {{"value", bytes}}));
    while (now != bytes) {
        const Result<QmpEvent> change = changes.next(Deadline::after(kStall), cancel_fd);
        const std::uint64_t before = now;
        KZ_TRY(now, balloon_size(qmp));
        if (change) continue;
        if (now == before || change.error().code() != Errc::timeout) {
            KZ_CHECK(run(qmp, "balloon", {{"value", now}}));
            if (change.error().code() != Errc::timeout) return std::unexpected(change.error());
            return now;
        }
    }
    return now;
}

}  // namespace kz::qemu
