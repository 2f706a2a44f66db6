#include "qemu/probe_answers.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace kz::qemu {
namespace {

using nlohmann::json;

std::optional<unsigned> version_part(const json& version, const char* key) {
    const auto found = version.find(key);
    if (found == version.end() || !found->is_number_unsigned()) return std::nullopt;
    const auto value = found->get<std::uint64_t>();
    if (value > std::numeric_limits<unsigned>::max()) return std::nullopt;
    return static_cast<unsigned>(value);
}

// The numbers of "pc-q35-4.0.1"; nothing for other names.
std::optional<std::vector<std::uint64_t>> machine_numbers(std::string_view name) {
    constexpr std::string_view kPrefix = "pc-q35-";
    if (!name.starts_with(kPrefix)) return std::nullopt;
    std::vector<std::uint64_t> numbers;
    for (const std::string& part : split(name.substr(kPrefix.size()), '.')) {
        const auto number = parse_u64(part);
        if (!number) return std::nullopt;
        numbers.push_back(*number);
    }
    return numbers;
}

}  // namespace

Result<QemuVersion> read_version(const json& version) {
    if (!version.is_object()) return fail(Errc::protocol, "QEMU tells no version");
    const auto major = version_part(version, "major");
    const auto minor = version_part(version, "minor");
    const auto micro = version_part(version, "micro");
    if (!major || !minor || !micro) return fail(Errc::protocol, "QEMU tells no version");
    return QemuVersion{*major, *minor, *micro};
}

std::set<std::string> read_names(const json& list, const char* key) {
    std::set<std::string> names;
    if (!list.is_array()) return names;
    for (const json& each : list) {
        if (!each.is_object()) continue;
        const auto name = each.find(key);
        if (name != each.end() && name->is_string()) names.insert(name->get<std::string>());
    }
    return names;
}

std::vector<std::string> sort_q35_machines(const std::set<std::string>& machines) {
    std::vector<std::pair<std::vector<std::uint64_t>, std::string>> found;
    for (const std::string& name : machines) {
        if (auto numbers = machine_numbers(name)) found.emplace_back(*std::move(numbers), name);
    }
    std::ranges::sort(found, std::greater());
    std::vector<std::string> names;
    for (auto& [numbers, name] : found)
        names.push_back(std::move(name));
    return names;
}

}  // namespace kz::qemu
