#include "qemu/probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.h"
#include "os/io.h"
#include "os/process.h"
#include "os/socket.h"
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

// A QEMU without a machine, ended when it goes out of scope.
class Instance {
  public:
    static Result<Instance> start(const Path& binary);
    Instance(Instance&&) = default;
    ~Instance() {
        if (process_.pidfd() >= 0) process_.kill_and_wait();
    }

    Result<std::unique_ptr<Qmp>> attach(Deadline deadline);

  private:
    Instance(Process process, UniqueFd socket, UniqueFd errors)
        : process_(std::move(process)), socket_(std::move(socket)), errors_(std::move(errors)) {}
    std::string last_words();

    Process process_;
    UniqueFd socket_;
    UniqueFd errors_;  // what it writes to its standard error
};

Result<Instance> Instance::start(const Path& binary) {
    KZ_TRY(auto sockets, unix_socket_pair());
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    UniqueFd errors(ends[0]);
    const UniqueFd errors_of_child(ends[1]);
    SpawnOptions options;
    options.argv = {binary.string(),
                    "-machine",
                    "none",
                    "-nodefaults",
                    "-no-user-config",
                    "-display",
                    "none",
                    "-chardev",
                    "socket,id=qmp,fd=3",
                    "-mon",
                    "chardev=qmp,mode=control"};
    options.fds = {{sockets.second.get(), 3}, {errors_of_child.get(), 2}};
    KZ_TRY(Process process, Process::spawn(options));
    return Instance(std::move(process), std::move(sockets.first), std::move(errors));
}

std::string Instance::last_words() {
    std::array<Byte, 1024> buffer;
    const auto got = read_some(errors_.get(), buffer, Deadline::after(std::chrono::milliseconds(0)));
    if (!got || *got == 0) return {};
    const std::string text(trim(as_text(ByteView(buffer).first(*got))));
    return text.empty() ? text : " (" + text + ")";
}

Result<std::unique_ptr<Qmp>> Instance::attach(Deadline deadline) {
    auto qmp = Qmp::attach(std::move(socket_), deadline);
    if (qmp) return qmp;
    process_.kill_and_wait();
    return fail(qmp.error().code(), "{}{}", qmp.error().message(), last_words());
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
    KZ_TRY_CONTEXT(Instance instance, Instance::start(binary), binary.string());
    KZ_TRY_CONTEXT(auto qmp, instance.attach(options.deadline), binary.string());
    KZ_TRY_CONTEXT(QemuInfo info, ask(*qmp, binary, options.deadline), binary.string());
    if (!options.cache_dir.empty()) {
        // Asking again next time is all that is lost.
        [[maybe_unused]] const Result<void> stored = store_probe(options.cache_dir, info, stamp);
    }
    return info;
}

}  // namespace kz::qemu
