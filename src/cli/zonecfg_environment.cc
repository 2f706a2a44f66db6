#include "cli/zonecfg_environment.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "os/file.h"
#include "os/io.h"
#include "storage/suri.h"
#include "store/status.h"
#include "zone/names.h"
#include "zonecfg/parse_export.h"

namespace kz::cli {

namespace {

constexpr std::chrono::seconds kLockPatience{10};

// Whether this user may make files in the folder, or make the folder where it is missing.
bool is_writable(Path folder) {
    std::error_code ignored;
    while (!std::filesystem::exists(folder, ignored) && folder.has_relative_path())
        folder = folder.parent_path();
    return access(folder.c_str(), W_OK) == 0;
}

// The names of the templates in a folder; none when it cannot be read.
void collect_templates(const Path& folder, std::set<std::string>& names) {
    std::error_code failure;
    for (std::filesystem::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure)) {
        const Path file = entry->path().filename();
        if (file.extension() == ".cfg" && file.string().starts_with("SYS"))
            names.insert(file.stem().string());
    }
}

// One line from the terminal, without stdio's buffer: the line editor reads the same descriptor.
std::optional<std::string> read_answer() {
    std::string line;
    char c = 0;
    while (line.size() < 256) {
        if (::read(STDIN_FILENO, &c, 1) != 1) return std::nullopt;
        if (c == '\n') return line;
        line += c;
    }
    return line;
}

}  // namespace

HostEnvironment::HostEnvironment(store::Registry registry)
    : registry_(std::move(registry)), may_write_(is_writable(registry_.paths().etc_zones())) {}

Result<zone::Config> HostEnvironment::load_zone(const std::string& name) {
    return registry_.load_config(name);
}

Result<zone::Config> HostEnvironment::load_template(const std::string& name) {
    return registry_.load_template(name);
}

Result<zone::Config> HostEnvironment::load_file(const std::string& path, const std::string& zone_name) {
    KZ_TRY(const std::string text, read_file(path, zonecfg::kMaxConfigText));
    auto config = zonecfg::parse_export(text, zone_name);
    if (!config) return std::unexpected(std::move(config).error().context(path));
    return config;
}

std::vector<std::string> HostEnvironment::template_names() {
    std::set<std::string> names;
    collect_templates(HostPaths::share() / "templates", names);
    collect_templates(registry_.paths().etc_zones(), names);
    return {names.begin(), names.end()};
}

std::optional<zone::State> HostEnvironment::state(const std::string& name) {
    if (!registry_.exists(name)) return std::nullopt;
    const auto status = store::status_of(registry_, name);
    // A zone of which we cannot tell may well have disks.
    return status ? status->state : zone::State::unavailable;
}

Result<void> HostEnvironment::check_unchanged(const std::string& name,
                                              const std::optional<zone::Config>& stored) {
    const auto now = registry_.load_config(name);
    const bool missing = !now && now.error().code() == Errc::not_found;
    if (!now && !missing) return std::unexpected(now.error());
    const bool same = missing ? !stored : stored && *now == *stored;
    if (same) return {};
    return fail(Errc::busy,
                "{}: The configuration was changed by somebody else meanwhile; use 'revert' to see it.",
                name);
}

Result<void> HostEnvironment::save(const zone::Config& config, const std::optional<zone::Config>& stored) {
    const std::string name = config.name();
    const std::string old_name = stored ? stored->name() : name;
    KZ_TRY(const store::ZoneLock lock, registry_.lock(old_name, Deadline::after(kLockPatience)));
    KZ_CHECK(check_unchanged(old_name, stored));
    if (name != old_name) {
        const auto now = state(old_name);
        if (now && *now != zone::State::configured)
            return fail(Errc::wrong_state, "{}: {}", old_name, zone::kBadState);
        if (registry_.exists(name)) return fail(Errc::already_exists, "{}: {}", name, zone::kNameInUse);
        KZ_CHECK(registry_.rename(old_name, name));
    }
    return registry_.save_config(config);
}

Result<void> HostEnvironment::remove(const std::string& name) {
    KZ_TRY(const store::ZoneLock lock, registry_.lock(name, Deadline::after(kLockPatience)));
    const auto now = state(name);
    if (now && *now != zone::State::configured)
        return fail(Errc::wrong_state, "{}: {}", name, zone::kBadState);
    return registry_.remove(name);
}

Result<void> HostEnvironment::write_file(const std::string& path, std::string_view text) {
    std::error_code failure;
    const auto status = std::filesystem::status(path, failure);
    const bool special =
        !failure && std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
    // A pipe or a terminal is written to; only a file is replaced.
    if (special) {
        KZ_TRY(const UniqueFd fd, open_file(path, O_WRONLY | O_CLOEXEC));
        return write_all(fd.get(), as_bytes(text), Deadline::never());
    }
    const Path target = std::filesystem::weakly_canonical(path, failure);
    if (failure) return fail_errno(failure.value(), path);
    return write_file_atomic(std::filesystem::absolute(target, failure), text, 0600);
}

bool HostEnvironment::may_write() {
    return may_write_;
}

Result<void> HostEnvironment::check_storage(std::string_view text) {
    KZ_CHECK(storage::Suri::parse(text));
    return {};
}

std::uint32_t HostEnvironment::random_hostid() {
    constexpr std::uint32_t kLargest = 0xfffffffe;
    std::uint32_t id = UINT32_MAX;
    // getrandom of so few bytes neither fails nor is cut short once the kernel's pool is ready, for which it
    // waits.
    while (id > kLargest)
        if (getrandom(&id, sizeof id, 0) != sizeof id) id = UINT32_MAX;
    return id;
}

std::optional<bool> HostEnvironment::ask(std::string_view question) {
    if (isatty(STDIN_FILENO) == 0) return std::nullopt;
    while (true) {
        out(fmt::format("{} (y/[n])? ", question));
        const auto answer = read_answer();
        if (!answer) return std::nullopt;
        if (answer->empty() || *answer == "n" || *answer == "N" || *answer == "no") return false;
        if (*answer == "y" || *answer == "Y" || *answer == "yes") return true;
    }
}

void HostEnvironment::out(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

void HostEnvironment::err(std::string_view text) {
    std::fflush(stdout);
    std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace kz::cli
