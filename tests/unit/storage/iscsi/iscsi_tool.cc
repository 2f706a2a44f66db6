// iscsi_tool: the volumes of one host, from a test written in another language. Reads one JSON object per
// line, answers each with one. {"do": "open", "suri": ..., "name": "v"} and so on; see Tool::run(). The
// answer to what fails is {"error": CODE, "message": TEXT}.
//
//   iscsi_tool INITIATOR CHAP-FILE PORTALS-FILE TIMEOUT-MS
#include <iostream>
#include <map>

#include "base/json.h"
#include "base/text.h"
#include "storage/discover.h"
#include "storage/volume.h"

namespace kz::storage {
namespace {

Json texts(const std::vector<Suri>& suris) {
    Json out = Json::array();
    for (const Suri& suri : suris)
        out.push_back(suri.render());
    return out;
}

class Tool {
  public:
    explicit Tool(StorageAccess access) : access_(std::move(access)) {}
    Result<Json> run(const Json& request);

  private:
    Result<Json> open(const Json& request);
    Result<Json> discover(const Json& request) const;
    Result<Json> with_volume(const std::string& what, Volume& volume, const Json& request) const;
    Result<Json> backing(Volume& volume) const;

    StorageAccess access_;
    std::map<std::string, std::unique_ptr<Volume>> volumes_;
};

Result<Json> Tool::run(const Json& request) {
    KZ_TRY(const std::string what, json_text(request, "do"));
    if (what == "open") return open(request);
    if (what == "discover") return discover(request);
    if (what == "exists" || what == "names") {
        KZ_TRY(const std::string text, json_text(request, "suri"));
        KZ_TRY(const Suri suri, Suri::parse(text));
        if (what == "exists") {
            KZ_TRY(const bool exists, volume_exists(suri, access_));
            return Json{{"exists", exists}};
        }
        KZ_TRY(const auto names, names_of(suri, access_));
        return Json{{"names", texts(names)}};
    }
    KZ_TRY(const std::string name, json_text(request, "name"));
    const auto volume = volumes_.find(name);
    if (volume == volumes_.end()) return fail(Errc::not_found, "no volume {}", name);
    return with_volume(what, *volume->second, request);
}

Result<Json> Tool::open(const Json& request) {
    KZ_TRY(const std::string text, json_text(request, "suri"));
    KZ_TRY(const std::string name, json_text(request, "name"));
    KZ_TRY(const Suri suri, Suri::parse(text));
    KZ_TRY(auto volume, open_volume(suri, access_));
    const Json answer{{"size", volume->size_bytes()}, {"limit", volume->compare_and_write_limit()}};
    volumes_[name] = std::move(volume);
    return answer;
}

Result<Json> Tool::discover(const Json& request) const {
    KZ_TRY(const std::string portal, json_text(request, "portal"));
    KZ_TRY(const auto volumes, discover_iscsi(portal, access_));
    Json list = Json::array();
    for (const DiscoveredVolume& each : volumes)
        list.push_back({{"suris", texts(each.suris)},
                        {"size", each.size_bytes},
                        {"block", each.block_bytes},
                        {"vendor", each.vendor},
                        {"product", each.product},
                        {"serial", each.serial},
                        {"name", each.name},
                        {"target", each.target},
                        {"problem", each.problem}});
    return Json{{"volumes", list}};
}

Result<Json> Tool::backing(Volume& volume) const {
    KZ_TRY(const VolumeBacking backing, volume.backing());
    const auto* iscsi = std::get_if<IscsiBacking>(&backing);
    if (iscsi == nullptr) return fail(Errc::internal, "not for QEMU's initiator");
    Json out{{"portal", iscsi->portal},
             {"target", iscsi->target},
             {"lun", iscsi->lun},
             {"initiator", iscsi->initiator_name}};
    if (iscsi->chap) {
        out["user"] = iscsi->chap->user;
        out["password"] = as_text(iscsi->chap->password.view());
    }
    return out;
}

Result<Json> Tool::with_volume(const std::string& what, Volume& volume, const Json& request) const {
    if (what == "backing") return backing(volume);
    KZ_TRY(const std::uint64_t offset, json_u64(request, "offset"));
    if (what == "read") {
        KZ_TRY(const std::uint64_t size, json_u64(request, "size"));
        Bytes data(size);
        KZ_CHECK(volume.read(offset, data));
        return Json{{"data", to_hex(data)}};
    }
    KZ_TRY(const std::string hex, json_text(request, "data"));
    KZ_TRY(const Bytes data, from_hex(hex));
    if (what == "write_durable") {
        KZ_CHECK(volume.write_durable(offset, data));
        return Json::object();
    }
    if (what == "write") {
        KZ_CHECK(volume.write(offset, data));
        KZ_CHECK(volume.flush());
        return Json::object();
    }
    if (what == "compare_and_write") {
        KZ_TRY(const std::string expected_hex, json_text(request, "expected"));
        KZ_TRY(const Bytes expected, from_hex(expected_hex));
        KZ_TRY(const bool done, volume.compare_and_write(offset, expected, data));
        return Json{{"done", done}};
    }
    return fail(Errc::invalid_argument, "no such request: {}", what);
}

Json answer_to(Tool& tool, const std::string& line) {
    const auto request = parse_json(line);
    const auto answer = request ? tool.run(*request) : std::unexpected(request.error());
    if (answer) return *answer;
    return {{"error", errc_name(answer.error().code())}, {"message", answer.error().message()}};
}

}  // namespace
}  // namespace kz::storage

int main(int argc, char** argv) {
    using namespace kz;
    const auto timeout = argc == 5 ? parse_u64(argv[4]) : std::nullopt;
    if (!timeout) {
        std::cerr << "usage: iscsi_tool INITIATOR CHAP-FILE PORTALS-FILE TIMEOUT-MS\n";
        return 2;
    }
    storage::Tool tool({.initiator_name = argv[1],
                        .chap_secrets = argv[2],
                        .iscsi_portals = argv[3],
                        .operation_timeout = std::chrono::milliseconds(*timeout)});
    for (std::string line; std::getline(std::cin, line);)
        std::cout << render_json(storage::answer_to(tool, line)) << std::endl;
    return 0;
}
