#include "store/registry.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "base/text.h"
#include "crypto/random.h"
#include "store/rename.h"
#include "zone/export.h"
#include "zone/names.h"
#include "zonecfg/parse_export.h"

namespace kz::store {
namespace {

constexpr std::size_t kMaxRecord = 1024 * 1024;
constexpr std::size_t kMaxKeyText = 1024;
constexpr std::size_t kKeyBytes = 16;
constexpr mode_t kConfigMode = 0644;
constexpr mode_t kKeyMode = 0600;
constexpr mode_t kKeysFolderMode = 0700;
constexpr mode_t kFolderMode = 0755;
constexpr std::string_view kConfigSuffix = ".cfg";

// No name that is not one of a zone ever becomes part of a path.
Result<void> check_name(std::string_view name) {
    if (zone::is_valid_zone_name(name)) return {};
    return fail(Errc::invalid_argument, "{}: {}", name, zone::kBogusZoneName);
}

std::unexpected<Error> no_such_zone() {
    return fail(Errc::not_found, "{}", zone::kNoSuchZone);
}

bool is_there(const Path& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

// Calls `take` with the name of each entry. A missing folder has none.
template <typename Take>
Result<void> for_each_entry(const Path& folder, Take take) {
    std::error_code failure;
    std::filesystem::directory_iterator entries(folder, failure);
    if (failure == std::errc::no_such_file_or_directory) return {};
    while (!failure && entries != std::filesystem::directory_iterator()) {
        take(entries->path().filename().string());
        entries.increment(failure);
    }
    if (failure) return fail_errno(failure.value(), folder.string());
    return {};
}

// Nothing when there is no such file.
Result<std::optional<std::string>> read_if_there(const Path& file, std::size_t cap) {
    Result<std::string> text = read_file(file, cap);
    if (text) return *std::move(text);
    if (text.error().code() == Errc::not_found) return std::nullopt;
    return std::unexpected(std::move(text).error());
}

Result<zone::Config> parse_config_file(const Path& file, std::string_view name) {
    KZ_TRY(const std::string text, read_file(file, zonecfg::kMaxConfigText));
    Result<zone::Config> config = zonecfg::parse_export(text, name);
    if (!config) return std::unexpected(std::move(config).error().context(file.string()));
    return config;
}

Result<void> write_key(const HostPaths& paths, std::string_view name, std::string_view hex) {
    KZ_CHECK(make_directories(paths.keys_dir(), kKeysFolderMode));
    return write_file_atomic(paths.key_file(name), std::string(hex) + "\n", kKeyMode);
}

}  // namespace

Result<Registry> Registry::open(HostPaths paths) {
    Result<void> completed = complete_rename(paths);
    // Who may only look sees the zone under one of its names.
    if (!completed && completed.error().code() != Errc::permission)
        return std::unexpected(std::move(completed).error().context("completing an interrupted rename"));
    return Registry(std::move(paths));
}

Path Registry::record_file(std::string_view name) const {
    return paths_.zone_dir(name) / "state.json";
}

Result<std::vector<std::string>> Registry::names() const {
    std::set<std::string> names;
    KZ_CHECK(for_each_entry(paths_.etc_zones(), [&](std::string_view entry) {
        if (!entry.ends_with(kConfigSuffix)) return;
        entry.remove_suffix(kConfigSuffix.size());
        if (zone::is_valid_zone_name(entry)) names.emplace(entry);
    }));
    KZ_CHECK(for_each_entry(paths_.zones_dir(), [&](const std::string& entry) {
        if (zone::is_valid_zone_name(entry) && !names.contains(entry) && is_there(record_file(entry)))
            names.insert(entry);
    }));
    return std::vector<std::string>(names.begin(), names.end());
}

bool Registry::has_config(std::string_view name) const {
    return zone::is_valid_zone_name(name) && is_there(paths_.config_file(name));
}

bool Registry::exists(std::string_view name) const {
    return has_config(name) || (zone::is_valid_zone_name(name) && is_there(record_file(name)));
}

Result<zone::Config> Registry::load_config(std::string_view name) const {
    if (!has_config(name)) return no_such_zone();
    KZ_TRY(zone::Config config, parse_config_file(paths_.config_file(name), name));
    KZ_TRY(const auto key, read_if_there(paths_.key_file(name), kMaxKeyText));
    if (key)
        KZ_CHECK_CONTEXT(config.set_keysource_raw(std::string(trim(*key))), paths_.key_file(name).string());
    return config;
}

Result<zone::Config> Registry::load_template(std::string_view name) const {
    if (!zone::is_well_formed_name(name)) return no_such_zone();
    for (const Path& file :
         {paths_.config_file(name),
          HostPaths::share() / "templates" / (std::string(name) + std::string(kConfigSuffix))}) {
        if (is_there(file)) return parse_config_file(file, name);
    }
    return no_such_zone();
}

Result<void> Registry::save_config(const zone::Config& config) const {
    const std::string name = config.name();
    KZ_CHECK(check_name(name));
    KZ_CHECK(make_directories(paths_.etc_zones(), kFolderMode));
    // The key goes first and leaves last: a zone whose host data are under a key never stands there without
    // it.
    const std::optional<std::string> key = config.keysource_raw();
    if (key) {
        KZ_CHECK(write_key(paths_, name, *key));
    } else {
        KZ_TRY(const ZoneRecord known, record(name));
        if (zone::has_installation(known.state) && is_there(paths_.key_file(name)))
            return fail(Errc::wrong_state, "{}: the zone's disks are under its key, which cannot be removed",
                        name);
    }
    KZ_CHECK(write_file_atomic(paths_.config_file(name), zone::export_text(config, /*with_secrets=*/false),
                               kConfigMode));
    return key ? Result<void>() : remove_file(paths_.key_file(name));
}

Result<void> Registry::remove(std::string_view name) const {
    KZ_CHECK(check_name(name));
    // The configuration goes last: as long as it is there, the zone is there and can be deleted again.
    KZ_CHECK(remove_file(record_file(name)));
    KZ_CHECK(remove_file(paths_.key_file(name)));
    KZ_CHECK(remove_file(paths_.config_file(name)));
    // Only when nothing else (a disk) is in it.
    std::error_code ignored;
    std::filesystem::remove(paths_.zone_dir(name), ignored);
    return {};
}

Result<void> Registry::rename(std::string_view old_name, std::string_view new_name) const {
    KZ_CHECK(check_name(new_name));
    if (!has_config(old_name)) return no_such_zone();
    if (exists(new_name)) return fail(Errc::already_exists, "{}: {}", new_name, zone::kNameInUse);
    KZ_CHECK(begin_rename(paths_, old_name, new_name));
    return complete_rename(paths_);
}

Result<ZoneRecord> Registry::record(std::string_view name) const {
    KZ_CHECK(check_name(name));
    KZ_TRY(const auto text, read_if_there(record_file(name), kMaxRecord));
    if (!text) return ZoneRecord{};
    Result<ZoneRecord> record = parse_zone_record(*text);
    if (!record) return std::unexpected(std::move(record).error().context(record_file(name).string()));
    return record;
}

Result<void> Registry::put_record(std::string_view name, const ZoneRecord& record) const {
    KZ_CHECK(check_name(name));
    if (record.state > zone::State::installed)
        return fail(Errc::internal, "state {} belongs to the runtime record", zone::state_name(record.state));
    KZ_CHECK(make_directories(paths_.zone_dir(name), kFolderMode));
    return write_file_atomic(record_file(name), render_zone_record(record), kConfigMode);
}

Result<ZoneLock> Registry::lock(std::string_view name, Deadline deadline) const {
    KZ_CHECK(check_name(name));
    KZ_CHECK(make_directories(paths_.run_dir() / ".locks", kFolderMode));
    KZ_TRY(FileLock lock, FileLock::acquire(paths_.run_dir() / ".locks" / name, deadline));
    return ZoneLock(std::string(name), std::move(lock));
}

bool Registry::locked(std::string_view name) const {
    return zone::is_valid_zone_name(name) && FileLock::held(paths_.run_dir() / ".locks" / name);
}

Result<Secret> Registry::keysource(std::string_view name) const {
    KZ_CHECK(check_name(name));
    KZ_TRY(const auto text, read_if_there(paths_.key_file(name), kMaxKeyText));
    if (!text) return fail(Errc::not_found, "zone '{}' has no key", name);
    Result<Bytes> key = from_hex(trim(*text));
    if (!key || key->empty())
        return fail(Errc::corrupt, "{}: not a key in hexadecimal", paths_.key_file(name).string());
    return Secret(*std::move(key));
}

Result<Secret> Registry::ensure_keysource(std::string_view name) const {
    Result<Secret> key = keysource(name);
    if (key || key.error().code() != Errc::not_found) return key;
    KZ_TRY(Secret made, crypto::random_secret(kKeyBytes));
    KZ_CHECK(put_keysource(name, made));
    return made;
}

Result<void> Registry::put_keysource(std::string_view name, const Secret& key) const {
    KZ_CHECK(check_name(name));
    if (key.empty()) return fail(Errc::invalid_argument, "an empty key");
    return write_key(paths_, name, to_hex(key.view()));
}

}  // namespace kz::store
