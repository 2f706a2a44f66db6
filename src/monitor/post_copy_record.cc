#include "monitor/post_copy_record.h"

#include "base/text.h"
#include "os/file.h"

namespace kz::monitor {
namespace {

constexpr std::size_t kMaxRecord = 16 * 1024;

Path record_file(const HostPaths& paths, const std::string& zone) {
    return paths.zone_run_dir(zone) / "post-copy.json";
}

Result<ProcessIdentity> parse_machine(const std::string& text) {
    const std::size_t colon = text.find(':');
    const auto pid = parse_u64(std::string_view(text).substr(0, colon));
    const auto start =
        colon == std::string::npos ? std::nullopt : parse_u64(std::string_view(text).substr(colon + 1));
    if (!pid || !start || *pid > INT32_MAX) return fail(Errc::protocol, "'{}' names no process", text);
    return ProcessIdentity{static_cast<pid_t>(*pid), *start};
}

}  // namespace

PostCopyRecord PostCopyRecord::clone() const {
    return {
        side, machine, migration_id, peer, route, cipher, {session.id, session.secret.clone(), session.port}};
}

Json PostCopyRecord::to_json() const {
    Json json = session.to_json();
    json["side"] = side == Side::source ? "source" : "destination";
    json["machine"] = fmt::format("{}:{}", machine.pid, machine.start_time);
    json["migration_id"] = migration_id;
    json["peer"] = peer;
    json["host"] = route.host;
    json["tunnel"] = route.tunnel.string();
    json["cipher"] = crypto::cipher_name(cipher);
    return json;
}

Result<PostCopyRecord> PostCopyRecord::from_json(const Json& json) {
    PostCopyRecord record;
    KZ_TRY(const std::string side, json_text(json, "side"));
    if (side != "source" && side != "destination") return fail(Errc::protocol, "there is no side '{}'", side);
    record.side = side == "source" ? Side::source : Side::destination;
    KZ_TRY(const std::string machine, json_text(json, "machine"));
    KZ_TRY(record.machine, parse_machine(machine));
    KZ_TRY(record.migration_id, json_text(json, "migration_id"));
    KZ_TRY(record.peer, json_text(json, "peer"));
    KZ_TRY(record.route.host, json_text(json, "host"));
    KZ_TRY(const std::string tunnel, json_text(json, "tunnel"));
    record.route.tunnel = tunnel;
    KZ_TRY(const std::string cipher, json_text(json, "cipher"));
    KZ_TRY(record.cipher, crypto::parse_cipher(cipher));
    KZ_TRY(record.session, migrate::Session::from_json(json));
    return record;
}

Result<void> save_post_copy(const HostPaths& paths, const std::string& zone, const PostCopyRecord& record) {
    return write_file_atomic(record_file(paths, zone), render_json(record.to_json()), 0600);
}

std::optional<PostCopyRecord> load_post_copy(const HostPaths& paths, const std::string& zone,
                                             const ProcessIdentity& machine, PostCopyRecord::Side side) {
    const Result<std::string> text = read_file(record_file(paths, zone), kMaxRecord);
    if (!text) return std::nullopt;
    const Result<Json> json = parse_json(*text);
    if (!json) return std::nullopt;
    Result<PostCopyRecord> record = PostCopyRecord::from_json(*json);
    if (!record || record->side != side || record->machine != machine) return std::nullopt;
    return *std::move(record);
}

Result<void> remove_post_copy(const HostPaths& paths, const std::string& zone) {
    return remove_file(record_file(paths, zone));
}

}  // namespace kz::monitor
