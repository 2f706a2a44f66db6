#include "qemu/probe.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "qemu/bare_qemu.h"
#include "qemu/probe_answers.h"
#include "qemu/probe_cache.h"
#include "qemu/qmp.h"

namespace kz::qemu {
namespace {

using nlohmann::json;

Result<Path> find_binary(const Path& binary) {
    const std::string name = binary.string();
    if (name.find('/') != std::string::npos) {
        std::error_code error;
        const Path absolute = std::filesystem::absolute(binary, error);
        if (!error && ::access(absolute.c_str(), X_OK) == 0) return absolute;
    } else {
        const char* path = std::getenv("PATH");
        for (const std::string& folder : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
            const Path candidate = Path(folder) / name;
            if (candidate.is_absolute() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
        }
    }
    return fail(Errc::not_found, "{}: not found; install QEMU (Debian package qemu-system-x86)", name);
}

Result<std::set<std::string>> ask_names(Qmp& qmp, std::string_view command, const char* key,
                                        Deadline deadline, json arguments = json::object()) {
    KZ_TRY(const json answer, qmp.execute(command, std::move(arguments), deadline));
    return read_names(answer, key);
}

Result<QemuInfo> ask(Qmp& qmp, const Path& binary, Deadline deadline) {
    QemuInfo info;
    info.binary = binary;
    KZ_TRY(info.version, read_version(qmp.version()));
    if (info.version < kQemuFloor) {
        return fail(Errc::unsupported, "QEMU {} is too old; {} or newer is needed", info.version.text(),
                    kQemuFloor.text());
    }
    KZ_TRY(const auto machines, ask_names(qmp, "query-machines", "name", deadline));
    info.q35_machines = sort_q35_machines(machines);
    if (info.q35_machines.empty()) return fail(Errc::unsupported, "QEMU has no versioned q35 machine");
    KZ_TRY(info.cpu_models, ask_names(qmp, "query-cpu-definitions", "name", deadline));
    KZ_TRY(info.commands, ask_names(qmp, "query-commands", "name", deadline));
    KZ_TRY(info.migration_capabilities, ask_names(qmp, "query-migrate-capabilities", "capability", deadline));
    KZ_TRY(info.devices, ask_names(qmp, "qom-list-types", "name", deadline,
                                   {{"implements", "device"}, {"abstract", false}}));
    return info;
}

}  // namespace

std::string QemuVersion::text() const {
    return fmt::format("{}.{}.{}", major, minor, micro);
}

bool QemuInfo::has_machine(std::string_view type) const {
    return std::ranges::find(q35_machines, type) != q35_machines.end();
}

Result<QemuInfo> probe_qemu(const ProbeOptions& options) {
    KZ_TRY(const Path binary, find_binary(options.binary));
    KZ_TRY(const std::string stamp, binary_stamp(binary));
    if (!options.cache_dir.empty()) {
        if (auto known = load_probe(options.cache_dir, binary, stamp)) return *std::move(known);
    }
    KZ_TRY_CONTEXT(BareQemu instance, BareQemu::start(binary), binary.string());
    KZ_TRY_CONTEXT(auto qmp, instance.attach(options.deadline), binary.string());
    KZ_TRY_CONTEXT(QemuInfo info, ask(*qmp, binary, options.deadline), binary.string());
    if (!options.cache_dir.empty()) {
        // Asking again next time is all that is lost.
        [[maybe_unused]] const Result<void> stored = store_probe(options.cache_dir, info, stamp);
    }
    return info;
}

}  // namespace kz::qemu
