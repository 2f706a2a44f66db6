#include "cli/suriadm_properties.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace kz::cli {
namespace {

constexpr std::string_view kHeading = "PROPERTY";
constexpr std::size_t kLeastColumn = 12;

void put(Properties& properties, const char* name, const std::optional<std::string>& value) {
    if (value) properties[name] = *value;
}

}  // namespace

Properties suri_properties(const storage::Suri& suri) {
    using storage::SuriType;
    Properties properties;
    const SuriType type = suri.type();
    properties["uri"] = suri.render();
    properties["uri-type"] = storage::suri_type_name(type);
    properties["create-supported"] = type == SuriType::file || type == SuriType::nfs ? "true" : "false";
    // There is nothing that map sets up.
    properties["teardown-supported"] = "false";
    // Of a device only the host that has it knows.
    if (type != SuriType::dev) properties["is-slice"] = "false";
    put(properties, "hostname", suri.hostname());
    if (suri.port()) properties["port"] = std::to_string(*suri.port());
    put(properties, "luname", suri.luname());
    put(properties, "target", suri.target());
    put(properties, "initiator", suri.initiator());
    if (suri.lun()) properties["lun"] = std::to_string(*suri.lun());
    put(properties, "path", suri.path());
    put(properties, "user", suri.user());
    put(properties, "group", suri.group());
    return properties;
}

std::vector<std::string> shown_of_suri(const storage::Suri& suri) {
    switch (suri.type()) {
        case storage::SuriType::file:
            return {"uri-type", "user", "group", "path"};
        case storage::SuriType::dev:
            return {"uri-type", "path"};
        case storage::SuriType::lu:
            if (suri.initiator()) return {"uri-type", "initiator", "target", "luname"};
            return {"uri-type", "luname"};
        case storage::SuriType::iscsi:
            if (suri.target()) return {"uri-type", "hostname", "port", "target", "lun"};
            return {"uri-type", "hostname", "port", "luname"};
        case storage::SuriType::nfs:
            return {"uri-type", "user", "group", "hostname", "port", "path"};
    }
    return {};
}

std::string property_or_dash(const Properties& properties, std::string_view name) {
    const auto found = properties.find(name);
    return found == properties.end() || found->second.empty() ? "-" : found->second;
}

std::string property_line(const Properties& properties, const std::vector<std::string>& names) {
    std::vector<std::string> values;
    for (const std::string& name : names)
        values.push_back(property_or_dash(properties, name));
    return join(values, "\t") + "\n";
}

std::string property_table(const Properties& properties, const std::vector<std::string>& names, bool header) {
    std::size_t width = kLeastColumn;
    for (const std::string& name : names)
        width = std::max(width, name.size() + 2);
    std::string table = header ? fmt::format("{:<{}}VALUE\n", kHeading, width) : "";
    for (const std::string& name : names)
        table += fmt::format("{:<{}}{}\n", name, width, property_or_dash(properties, name));
    return table;
}

std::string harmless_text(std::string_view text) {
    std::string shown(text);
    std::ranges::replace_if(shown, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return shown;
}

}  // namespace kz::cli
