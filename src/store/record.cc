#include "store/record.h"

#include "store/states.h"

namespace kz::store {
namespace {

constexpr std::uint64_t kFormat = 1;

bool outlives_a_boot(zone::State state) {
    return state <= zone::State::installed;
}

Result<std::optional<ImportMark>> import_of(const Json& object) {
    KZ_TRY(const Json* mark, json_optional_object(object, "import"));
    if (mark == nullptr) return std::nullopt;
    ImportMark import;
    KZ_TRY(import.migration_id, json_text(*mark, "migration_id"));
    KZ_TRY(const std::uint64_t pid, json_u64(*mark, "pid"));
    KZ_TRY(import.receiver.start_time, json_u64(*mark, "start_time"));
    if (pid == 0 || pid > INT32_MAX) return fail(Errc::corrupt, "import: {} is not a process id", pid);
    import.receiver.pid = static_cast<pid_t>(pid);
    return import;
}

}  // namespace

Result<zone::State> json_state(const Json& object) {
    KZ_TRY(const std::string name, json_text(object, "state"));
    const auto state = zone::parse_state(name);
    if (!state) return fail(Errc::corrupt, "'{}' is not a state of a zone", name);
    return *state;
}

Result<zone::AuxSet> json_aux(const Json& object) {
    KZ_TRY(const std::string names, json_text(object, "aux"));
    auto aux = zone::AuxSet::parse(names);
    if (!aux) return fail(Errc::corrupt, "'{}' is not a list of auxiliary states", names);
    return *std::move(aux);
}

Result<void> check_format(const Json& object, std::uint64_t known) {
    KZ_TRY(const std::uint64_t format, json_u64(object, "format"));
    if (format > known) return fail(Errc::unsupported, "written by a later version of kzones");
    if (format == 0) return fail(Errc::corrupt, "format 0");
    return {};
}

Result<ZoneRecord> parse_zone_record(std::string_view text) {
    KZ_TRY(Json object, parse_json(text));
    KZ_CHECK(check_format(object, kFormat));
    ZoneRecord record;
    KZ_TRY(record.uuid, json_text(object, "uuid"));
    KZ_TRY(record.state, json_state(object));
    if (!outlives_a_boot(record.state))
        return fail(Errc::corrupt, "'{}' is not a state to be kept", zone::state_name(record.state));
    KZ_TRY(record.aux, json_aux(object));
    KZ_TRY(record.reason, json_text(object, "reason"));
    KZ_TRY(record.import, import_of(object));
    for (const char* key : {"format", "uuid", "state", "aux", "reason", "import"})
        object.erase(key);
    record.other = std::move(object);
    return record;
}

std::string render_zone_record(const ZoneRecord& record) {
    Json object = record.other;
    object["format"] = kFormat;
    object["uuid"] = record.uuid;
    object["state"] = zone::state_name(record.state);
    object["aux"] = record.aux.text();
    object["reason"] = record.reason;
    if (record.import && record.state == zone::State::configured) {
        object["import"] = {{"migration_id", record.import->migration_id},
                            {"pid", record.import->receiver.pid},
                            {"start_time", record.import->receiver.start_time}};
    }
    return render_json(object, 2) + "\n";
}

}  // namespace kz::store
