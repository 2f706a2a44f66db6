// volume_tool: volumes from a test written in another language. Reads one command per line, answers each with
// one line: "ok ..." or "error CODE: MESSAGE".
//
//   timeout MS                     of the operations of what is opened from now on
//   open SURI | close              one volume at a time; open answers its size
//   fill OFFSET LENGTH BYTE        write_durable of equal bytes
//   look OFFSET LENGTH             the byte, if all are equal, else "mixed"
//   backing                        host, path, uid and gid that QEMU is given
//   create SURI BYTES | destroy SURI | exists SURI
//   discover LOCATION              a JSON array
//   descriptors                    how many this process has open
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "base/json.h"
#include "storage/discover_nfs.h"
#include "storage/volume.h"

namespace kz::storage {
namespace {

class Tool {
  public:
    Result<std::string> run(const std::string& command, std::istream& words);

  private:
    Result<std::string> open(const Suri& suri);
    Result<std::string> fill(std::istream& words);
    Result<std::string> look(std::istream& words);
    Result<std::string> backing();
    Result<std::string> discover(const std::string& location) const;
    Result<std::string> with_suri(const std::string& command, std::istream& words);

    StorageAccess access_;
    std::unique_ptr<Volume> volume_;
};

Result<std::string> Tool::open(const Suri& suri) {
    KZ_TRY(volume_, open_volume(suri, access_));
    return std::to_string(volume_->size_bytes());
}

Result<std::string> Tool::fill(std::istream& words) {
    std::uint64_t offset = 0;
    std::size_t length = 0;
    unsigned byte = 0;
    words >> offset >> length >> byte;
    KZ_CHECK(volume_->write_durable(offset, Bytes(length, static_cast<Byte>(byte))));
    return "";
}

Result<std::string> Tool::look(std::istream& words) {
    std::uint64_t offset = 0;
    std::size_t length = 0;
    words >> offset >> length;
    Bytes bytes(length);
    KZ_CHECK(volume_->read(offset, bytes));
    const bool equal = std::ranges::all_of(bytes, [&](Byte byte) { return byte == bytes.front(); });
    return equal ? std::to_string(static_cast<unsigned>(bytes.front())) : "mixed";
}

Result<std::string> Tool::backing() {
    KZ_TRY(const VolumeBacking backing, volume_->backing());
    const auto& nfs = std::get<NfsBacking>(backing);
    return fmt::format("{} {} {} {}", nfs.host, nfs.path, nfs.uid, nfs.gid);
}

Result<std::string> Tool::discover(const std::string& location) const {
    KZ_TRY(const std::vector<DiscoveredExport> exports, discover_nfs(location, access_));
    Json list = Json::array();
    for (const DiscoveredExport& each : exports) {
        Json files = Json::object();
        for (const DiscoveredFile& file : each.files)
            files[file.suri.render()] = file.size_bytes;
        list.push_back({{"path", each.path},
                        {"files", files},
                        {"incomplete", each.incomplete},
                        {"problem", each.problem}});
    }
    return list.dump();
}

Result<std::string> Tool::with_suri(const std::string& command, std::istream& words) {
    std::string text;
    words >> text;
    KZ_TRY(const Suri suri, Suri::parse(text));
    if (command == "open") return open(suri);
    if (command == "exists") {
        KZ_TRY(const bool found, volume_exists(suri, access_));
        return found ? "yes" : "no";
    }
    if (command == "destroy") {
        KZ_CHECK(destroy_volume(suri, access_));
        return "";
    }
    if (command != "create") return fail(Errc::invalid_argument, "no command '{}'", command);
    std::uint64_t bytes = 0;
    words >> bytes;
    KZ_CHECK(create_volume(suri, bytes, access_));
    return "";
}

Result<std::string> Tool::run(const std::string& command, std::istream& words) {
    if (command == "timeout") {
        long long milliseconds = 0;
        words >> milliseconds;
        access_.operation_timeout = std::chrono::milliseconds(milliseconds);
        return "";
    }
    if (command == "close") {
        volume_.reset();
        return "";
    }
    if (command == "descriptors") {
        const std::filesystem::directory_iterator all("/proc/self/fd");
        return std::to_string(std::distance(begin(all), end(all)));
    }
    if (command == "discover") {
        std::string location;
        words >> location;
        return discover(location);
    }
    if (volume_ == nullptr && (command == "fill" || command == "look" || command == "backing"))
        return fail(Errc::wrong_state, "no volume is open");
    if (command == "fill") return fill(words);
    if (command == "look") return look(words);
    if (command == "backing") return backing();
    return with_suri(command, words);
}

}  // namespace
}  // namespace kz::storage

int main() {
    kz::storage::Tool tool;
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        const kz::Result<std::string> answer = tool.run(command, words);
        if (answer)
            std::cout << "ok " << *answer << std::endl;
        else
            std::cout << "error " << kz::errc_name(answer.error().code()) << ": " << answer.error().message()
                      << std::endl;
    }
}
