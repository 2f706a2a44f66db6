#include "install/manifest.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <set>

#include "base/text.h"
#include "install/yaml_refusal.h"
#include "os/file.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxManifestSize = 1024 * 1024;

std::string read_text(const YAML::Node& node, std::string_view key) {
    if (!node.IsScalar()) refuse(node, "'{}' must be a text", key);
    return node.Scalar();
}

// Names of packages, modules and manifests: safe as an argument of a command and as a part of a path.
std::string read_name(const YAML::Node& node, std::string_view key) {
    std::string name = read_text(node, key);
    const auto allowed = [](unsigned char c) {
        return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '+';
    };
    const bool good = !name.empty() && std::isalnum(static_cast<unsigned char>(name.front()));
    if (!good || !std::ranges::all_of(name, allowed))
        refuse(node, "'{}' is not a valid value of '{}'", name, key);
    return name;
}

std::vector<std::string> read_names(const YAML::Node& node, std::string_view key) {
    if (!node.IsSequence()) refuse(node, "'{}' must be a list", key);
    std::vector<std::string> names;
    for (const YAML::Node& one : node)
        names.push_back(read_name(one, key));
    return names;
}

using Fields = std::map<std::string, std::function<void(const YAML::Node&)>, std::less<>>;

void read_fields(const YAML::Node& map, const Fields& fields, const std::set<std::string>& required,
                 std::string_view what) {
    if (!map.IsMap()) refuse(map, "{} must be a map of keys and values", what);
    std::set<std::string> seen;
    for (const auto& entry : map) {
        const std::string key = read_text(entry.first, "key");
        const auto field = fields.find(key);
        if (field == fields.end()) refuse(entry.first, "unknown key '{}'", key);
        if (!seen.insert(key).second) refuse(entry.first, "key '{}' is given twice", key);
        field->second(entry.second);
    }
    for (const std::string& key : required) {
        if (!seen.contains(key)) refuse(map, "{} lacks the key '{}'", what, key);
    }
}

mode_t read_mode(const YAML::Node& node) {
    const std::string text = read_text(node, "mode");
    const bool octal = !text.empty() && text.size() <= 4 &&
                       std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '7'; });
    if (!octal) refuse(node, "mode '{}' is not an octal number such as 0644", text);
    return static_cast<mode_t>(std::stoul(text, nullptr, 8));
}

Path read_zone_path(const YAML::Node& node) {
    Path path = read_text(node, "path");
    if (!path.is_absolute() || !path.has_filename() || path != path.lexically_normal()) {
        refuse(node, "path '{}' is not an absolute path of a file", path.string());
    }
    return path;
}

std::vector<ManifestFile> read_files(const YAML::Node& node) {
    if (!node.IsSequence()) refuse(node, "'files' must be a list");
    std::vector<ManifestFile> files;
    for (const YAML::Node& one : node) {
        ManifestFile file;
        const Fields fields = {
            {"path", [&](const YAML::Node& value) { file.path = read_zone_path(value); }},
            {"mode", [&](const YAML::Node& value) { file.mode = read_mode(value); }},
            {"content", [&](const YAML::Node& value) { file.content = read_text(value, "content"); }},
        };
        read_fields(one, fields, {"path", "content"}, "an entry of 'files'");
        files.push_back(std::move(file));
    }
    return files;
}

std::uint64_t read_size(const YAML::Node& node, std::string_view key) {
    const Result<std::uint64_t> size = parse_size(read_text(node, key));
    if (!size) refuse(node, "{}: {}", key, size.error().message());
    return *size;
}

bool read_flag(const YAML::Node& node, std::string_view key) {
    const std::string text = read_text(node, key);
    if (text != "true" && text != "false") refuse(node, "'{}' must be true or false", key);
    return text == "true";
}

std::vector<std::string> read_texts(const YAML::Node& node, std::string_view key) {
    if (!node.IsSequence()) refuse(node, "'{}' must be a list", key);
    std::vector<std::string> texts;
    for (const YAML::Node& one : node)
        texts.push_back(read_text(one, key));
    return texts;
}

std::vector<std::string> read_sources(const YAML::Node& node) {
    std::vector<std::string> sources = read_texts(node, "sources");
    for (const std::string& source : sources) {
        if (source != kHostSources && (!source.starts_with("deb ") || source.find('\n') != source.npos))
            refuse(node, "'{}' is no source: 'host', or a line of sources.list that begins with deb", source);
    }
    if (sources.empty()) refuse(node, "'sources' is empty");
    return sources;
}

std::string read_arguments(const YAML::Node& node) {
    std::string text = read_text(node, "kernel-arguments");
    // The text becomes part of a line of grub.cfg.
    if (text.find_first_of("\n\r\"'\\$`;{}&|<>#") != std::string::npos) {
        refuse(node, "'kernel-arguments' holds a character that the boot loader would take for its own");
    }
    return text;
}

void read_version(const YAML::Node& node) {
    if (const std::string text = read_text(node, "version"); text != "1") {
        refuse(node, "version {} is not known here; this kzones reads version 1", text);
    }
}

std::string read_builder(const YAML::Node& node) {
    std::string text = read_text(node, "builder");
    if (text != kMiniBuilder && text != kDebianBuilder)
        refuse(node, "builder '{}' is not known here; the builders are: debian, mini", text);
    return text;
}

std::function<void(const YAML::Node&)> names_into(std::vector<std::string>& out, std::string_view key) {
    return [&out, key](const YAML::Node& node) { out = read_names(node, key); };
}

Fields common_fields(Manifest& manifest) {
    return {
        {"version", read_version},
        {"name", [&](const YAML::Node& node) { manifest.name = read_name(node, "name"); }},
        {"builder", [&](const YAML::Node& node) { manifest.builder = read_builder(node); }},
        {"description",
         [&](const YAML::Node& node) { manifest.description = read_text(node, "description"); }},
        {"packages", names_into(manifest.packages, "packages")},
        {"minimum-size",
         [&](const YAML::Node& node) { manifest.minimum_size = read_size(node, "minimum-size"); }},
        {"size", [&](const YAML::Node& node) { manifest.size = read_size(node, "size"); }},
        {"kernel-arguments",
         [&](const YAML::Node& node) { manifest.kernel_arguments = read_arguments(node); }},
        {"files", [&](const YAML::Node& node) { manifest.files = read_files(node); }},
    };
}

void add_mini_fields(Manifest& manifest, Fields& fields, std::set<std::string>& required) {
    fields.emplace("initramfs-modules", names_into(manifest.initramfs_modules, "initramfs-modules"));
    fields.emplace("modules", names_into(manifest.modules, "modules"));
    required.emplace("initramfs-modules");
}

void add_debian_fields(Manifest& manifest, Fields& fields, std::set<std::string>& required) {
    fields.emplace("kernel", [&](const YAML::Node& node) { manifest.kernel = read_name(node, "kernel"); });
    fields.emplace("release", [&](const YAML::Node& node) { manifest.release = read_name(node, "release"); });
    fields.emplace("sources", [&](const YAML::Node& node) { manifest.sources = read_sources(node); });
    fields.emplace("documentation", [&](const YAML::Node& node) {
        manifest.documentation = read_flag(node, "documentation");
    });
    fields.emplace("users", [&](const YAML::Node& node) { manifest.users = read_users(node); });
    fields.emplace("commands",
                   [&](const YAML::Node& node) { manifest.commands = read_texts(node, "commands"); });
    required.emplace("kernel");
}

// Which keys there are depends on it.
std::string find_builder(const YAML::Node& root) {
    if (!root.IsMap()) refuse(root, "the manifest must be a map of keys and values");
    if (const YAML::Node version = root["version"]; version.IsDefined()) read_version(version);
    const YAML::Node builder = root["builder"];
    return builder.IsDefined() ? read_builder(builder) : std::string(kMiniBuilder);
}

Manifest read_manifest(const YAML::Node& root) {
    Manifest manifest;
    Fields fields = common_fields(manifest);
    std::set<std::string> required = {"version",  "name",         "builder",
                                      "packages", "minimum-size", "kernel-arguments"};
    if (find_builder(root) == kMiniBuilder) {
        add_mini_fields(manifest, fields, required);
    } else {
        add_debian_fields(manifest, fields, required);
        manifest.sources = {std::string(kHostSources)};
    }
    read_fields(root, fields, required, "the manifest");
    return manifest;
}

std::string known_manifests(const Path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
    }
    std::ranges::sort(names);
    return names.empty() ? "none" : join(names, ", ");
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, std::string_view origin) {
    try {
        Manifest manifest = read_manifest(YAML::Load(std::string(text)));
        manifest.text = text;
        return manifest;
    } catch (const YamlRefusal& error) {
        return fail(Errc::invalid_argument, "{}:{}: {}", origin, error.line, error.message);
    } catch (const YAML::Exception& error) {
        return fail(Errc::invalid_argument, "{}:{}: {}", origin, error.mark.line + 1, error.msg);
    }
}

Result<Manifest> load_manifest(std::string_view path_or_name, const Path& share) {
    const bool is_path = path_or_name.find('/') != std::string_view::npos || path_or_name.ends_with(".yaml");
    const Path folder = share / "manifests";
    const Path path = is_path ? Path(path_or_name) : folder / (std::string(path_or_name) + ".yaml");
    const Result<std::string> text = read_file(path, kMaxManifestSize);
    if (!text && !is_path && text.error().code() == Errc::not_found) {
        return fail(Errc::not_found, "no manifest is called '{}'; there are: {}", path_or_name,
                    known_manifests(folder));
    }
    if (!text) return std::unexpected(text.error());
    return parse_manifest(*text, path.string());
}

}  // namespace kz::install
