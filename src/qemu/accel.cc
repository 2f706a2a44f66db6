#include "qemu/accel.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/text.h"
#include "os/file.h"

namespace kz::qemu {
namespace {

std::string errno_text(int number) {
    return std::generic_category().message(number);
}

std::string device_problem(const Path& device) {
    const UniqueFd kvm(::open(device.c_str(), O_RDWR | O_CLOEXEC));
    if (!kvm) return fmt::format("{} does not open: {}", device.string(), errno_text(errno));
    const int version = ::ioctl(kvm.get(), KVM_GET_API_VERSION, 0);
    if (version < 0) return fmt::format("{} is not KVM: {}", device.string(), errno_text(errno));
    if (version != KVM_API_VERSION)
        return fmt::format("{} has API version {}, not {}", device.string(), version, KVM_API_VERSION);
    const UniqueFd machine(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
    if (!machine) return fmt::format("{} creates no machine: {}", device.string(), errno_text(errno));
    return {};
}

void look_at_rights(const struct stat& status, uid_t uid, gid_t gid, const std::vector<gid_t>& groups,
                    AccelFacts& facts) {
    const auto may = [&](unsigned shift) { return ((status.st_mode >> shift) & 06U) == 06U; };
    const bool member = gid == status.st_gid || std::ranges::find(groups, status.st_gid) != groups.end();
    if (uid == 0 || (uid == status.st_uid && may(6)) || (member && may(3)) || may(0)) {
        facts.user_may_open = true;
    } else if (may(3) && status.st_gid != 0) {
        // Never root's group: it would give more than the device.
        facts.user_may_open = true;
        facts.group = status.st_gid;
    }
}

bool has_virtualization_flag(const Path& cpuinfo) {
    constexpr std::size_t kCap = 32 * 1024 * 1024;
    const Result<std::string> text = read_file(cpuinfo, kCap);
    if (!text) return false;
    for (const std::string& line : split(*text, '\n')) {
        if (!line.starts_with("flags")) continue;
        const std::vector<std::string> words = split(line, ' ');
        return std::ranges::any_of(words, [](const auto& word) { return word == "vmx" || word == "svm"; });
    }
    return false;
}

// Why KVM cannot be used at all; empty when it can.
std::string obstacle(const AccelFacts& facts) {
    if (!facts.device_exists) return "/dev/kvm does not exist";
    if (!facts.device_problem.empty()) return facts.device_problem;
    if (!facts.user_may_open) return "/dev/kvm may not be opened by the user that QEMU runs as";
    return {};
}

}  // namespace

AccelFacts gather_accel_facts(uid_t uid, gid_t gid, const std::vector<gid_t>& groups, const Path& device,
                              const Path& cpuinfo) {
    AccelFacts facts;
    facts.cpu_virtualization = has_virtualization_flag(cpuinfo);
    struct stat status{};
    if (::stat(device.c_str(), &status) < 0) return facts;
    facts.device_exists = true;
    facts.device_problem = device_problem(device);
    look_at_rights(status, uid, gid, groups, facts);
    return facts;
}

Result<AccelChoice> choose_accel(std::string_view requested, const AccelFacts& facts) {
    const std::string problem = obstacle(facts);
    if (requested == "tcg") return AccelChoice{"tcg", "accel=tcg is set", std::nullopt};
    if (requested == "kvm") {
        if (!problem.empty()) return fail(Errc::unsupported, "accel=kvm cannot be had: {}", problem);
        return AccelChoice{"kvm", "accel=kvm is set", facts.group};
    }
    if (!requested.empty() && requested != "auto")
        return fail(Errc::invalid_argument, "accel must be auto, kvm or tcg, not '{}'", requested);
    if (!problem.empty()) return AccelChoice{"tcg", problem, std::nullopt};
    if (!facts.cpu_virtualization)
        return AccelChoice{"tcg", "the processor shows neither vmx nor svm", std::nullopt};
    return AccelChoice{"kvm", "/dev/kvm works", facts.group};
}

}  // namespace kz::qemu
