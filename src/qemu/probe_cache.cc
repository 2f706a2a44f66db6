#include "qemu/probe_cache.h"

#include <sys/stat.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "os/file.h"

namespace kz::qemu {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::size_t kCap = 4 * 1024 * 1024;

Path cache_file(const Path& cache_dir) {
    return cache_dir / "qemu-probe.json";
}

json load_cache(const Path& cache_dir) {
    const json empty = {{"format", kFormat}, {"binaries", json::object()}};
    const Result<std::string> text = read_file(cache_file(cache_dir), kCap);
    if (!text) return empty;
    json cache = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!cache.is_object() || cache.value("format", json()) != json(kFormat)) return empty;
    if (!cache.value("binaries", json()).is_object()) return empty;
    return cache;
}

json to_json(const QemuInfo& info, const std::string& stamp) {
    return {{"stamp", stamp},
            {"version", {info.version.major, info.version.minor, info.version.micro}},
            {"q35_machines", info.q35_machines},
            {"cpu_models", info.cpu_models},
            {"commands", info.commands},
            {"migration_capabilities", info.migration_capabilities},
            {"devices", info.devices}};
}

QemuInfo from_json(const json& entry, const Path& binary) {
    QemuInfo info;
    info.binary = binary;
    const json& version = entry.at("version");
    info.version = {version.at(0).get<unsigned>(), version.at(1).get<unsigned>(),
                    version.at(2).get<unsigned>()};
    entry.at("q35_machines").get_to(info.q35_machines);
    entry.at("cpu_models").get_to(info.cpu_models);
    entry.at("commands").get_to(info.commands);
    entry.at("migration_capabilities").get_to(info.migration_capabilities);
    entry.at("devices").get_to(info.devices);
    return info;
}

}  // namespace

Result<std::string> binary_stamp(const Path& binary) {
    struct stat status{};
    if (::stat(binary.c_str(), &status) < 0) return fail_errno(errno, binary.string());
    return fmt::format("{} {}{:09}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

std::optional<QemuInfo> load_probe(const Path& cache_dir, const Path& binary, const std::string& stamp) {
    const json cache = load_cache(cache_dir);
    try {
        const json& entry = cache.at("binaries").at(binary.string());
        if (entry.at("stamp") != json(stamp)) return std::nullopt;
        QemuInfo info = from_json(entry, binary);
        if (info.q35_machines.empty()) return std::nullopt;
        return info;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

Result<void> store_probe(const Path& cache_dir, const QemuInfo& info, const std::string& stamp) {
    KZ_CHECK(make_directories(cache_dir, 0755));
    json cache = load_cache(cache_dir);
    try {
        cache["binaries"][info.binary.string()] = to_json(info, stamp);
        return write_file_atomic(cache_file(cache_dir), cache.dump(1) + "\n", 0644);
    } catch (const json::exception& e) {
        return fail(Errc::invalid_argument, "{}: {}", info.binary.string(), e.what());
    }
}

}  // namespace kz::qemu
