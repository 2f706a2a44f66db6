#include "store/runtime.h"

#include "base/text.h"
#include "os/file.h"
#include "store/states.h"

namespace kz::store {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kMaxRecord = 1024 * 1024;
constexpr mode_t kFileMode = 0644;
constexpr mode_t kFolderMode = 0755;
constexpr std::chrono::seconds kCounterPatience{10};
// Ids are shown in a column of 4 and start again when a host that boots zones all day has used them up.
constexpr std::uint64_t kMaxZoneId = 1'000'000'000;

Path runtime_file(const HostPaths& paths, std::string_view zone) {
    return paths.zone_run_dir(zone) / "runtime.json";
}

Json process_json(const ProcessIdentity& process) {
    return {{"pid", process.pid}, {"start_time", process.start_time}};
}

Result<std::optional<ProcessIdentity>> parse_process(const Json& object, std::string_view key) {
    KZ_TRY(const Json* process, json_optional_object(object, key));
    if (process == nullptr) return std::nullopt;
    KZ_TRY_CONTEXT(const std::uint64_t pid, json_u64(*process, "pid"), key);
    KZ_TRY_CONTEXT(const std::uint64_t start_time, json_u64(*process, "start_time"), key);
    if (pid == 0 || pid > INT32_MAX) return fail(Errc::corrupt, "{}: {} is not a process id", key, pid);
    return ProcessIdentity{static_cast<pid_t>(pid), start_time};
}

Result<RuntimeRecord> parse_runtime(std::string_view text) {
    KZ_TRY(const Json object, parse_json(text));
    KZ_CHECK(check_format(object, kFormat));
    RuntimeRecord record;
    KZ_TRY(const std::uint64_t zone_id, json_u64(object, "zone_id"));
    if (zone_id > kMaxZoneId) return fail(Errc::corrupt, "zone_id {} is too large", zone_id);
    record.zone_id = static_cast<int>(zone_id);
    KZ_TRY(record.state, json_state(object));
    KZ_TRY(record.aux, json_aux(object));
    KZ_TRY(record.monitor, parse_process(object, "monitor"));
    KZ_TRY(record.qemu, parse_process(object, "qemu"));
    KZ_TRY(record.machine_type, json_text(object, "machine_type"));
    KZ_TRY(record.qemu_version, json_text(object, "qemu_version"));
    KZ_TRY(record.started, json_text(object, "started"));
    KZ_TRY(const Json* details, json_optional_object(object, "details"));
    if (details != nullptr) record.details = *details;
    return record;
}

Json runtime_json(const RuntimeRecord& record) {
    Json object = {
        {"format", kFormat},
        {"zone_id", record.zone_id},
        {"state", zone::state_name(record.state)},
        {"aux", record.aux.text()},
        {"machine_type", record.machine_type},
        {"qemu_version", record.qemu_version},
        {"started", record.started},
        {"details", record.details},
    };
    if (record.monitor) object["monitor"] = process_json(*record.monitor);
    if (record.qemu) object["qemu"] = process_json(*record.qemu);
    return object;
}

}  // namespace

bool is_alive(const std::optional<ProcessIdentity>& process) {
    if (!process) return false;
    const Result<ProcessIdentity> now = identify_process(process->pid);
    return now && *now == *process;
}

Result<RuntimeRecord> load_runtime(const HostPaths& paths, std::string_view zone) {
    const Path file = runtime_file(paths, zone);
    KZ_TRY(const std::string text, read_file(file, kMaxRecord));
    Result<RuntimeRecord> record = parse_runtime(text);
    if (!record) return std::unexpected(std::move(record).error().context(file.string()));
    return record;
}

Result<void> save_runtime(const HostPaths& paths, std::string_view zone, const RuntimeRecord& record) {
    KZ_CHECK(make_directories(paths.zone_run_dir(zone), kFolderMode));
    return write_file_atomic(runtime_file(paths, zone), render_json(runtime_json(record), 2) + "\n",
                             kFileMode);
}

Result<void> remove_runtime(const HostPaths& paths, std::string_view zone) {
    return remove_file(runtime_file(paths, zone));
}

Result<int> next_zone_id(const HostPaths& paths) {
    KZ_CHECK(make_directories(paths.run_dir() / ".locks", kFolderMode));
    const Path counter = paths.run_dir() / ".last-zone-id";
    KZ_TRY(const FileLock lock,
           FileLock::acquire(paths.run_dir() / ".locks/.zone-id", Deadline::after(kCounterPatience)));
    const Result<std::string> text = read_file(counter, 64);
    if (!text && text.error().code() != Errc::not_found) return std::unexpected(text.error());
    const std::uint64_t last = text ? parse_u64(trim(*text)).value_or(0) : 0;
    const std::uint64_t next = last >= kMaxZoneId ? 1 : last + 1;
    KZ_CHECK(write_file_atomic(counter, fmt::format("{}\n", next), kFileMode));
    return static_cast<int>(next);
}

}  // namespace kz::store
