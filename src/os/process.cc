#include "os/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "os/file.h"
#include "os/io.h"

namespace kz {
namespace {

int pidfd_open(pid_t pid) {
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// Everything the child needs between fork and exec, made beforehand: after fork only async-signal-safe calls
// are allowed.
struct ExecPlan {
    std::vector<char*> argv;
    std::vector<std::string> environment_text;
    std::vector<char*> environment;
    std::string program;
    std::string cgroup_procs;
    pid_t parent = ::getpid();
};

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* path = std::getenv("PATH");
    for (const std::string& folder : split(path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin", ':')) {
        std::string candidate = folder + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    // Tools of the administrator are often missing from the PATH of unprivileged shells.
    for (const char* folder : {"/usr/sbin/", "/sbin/"}) {
        if (::access((folder + name).c_str(), X_OK) == 0) return folder + name;
    }
    return {};
}

ExecPlan plan_exec(const SpawnOptions& options, const std::string& program) {
    ExecPlan plan;
    plan.program = program;
    for (const std::string& argument : options.argv)
        plan.argv.push_back(const_cast<char*>(argument.c_str()));
    plan.argv.push_back(nullptr);
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view entry(*each);
        if (!options.environment.contains(std::string(entry.substr(0, entry.find('=')))))
            plan.environment_text.emplace_back(entry);
    }
    for (const auto& [name, value] : options.environment)
        plan.environment_text.push_back(name + "=" + value);
    for (std::string& entry : plan.environment_text)
        plan.environment.push_back(entry.data());
    plan.environment.push_back(nullptr);
    if (options.cgroup) plan.cgroup_procs = (*options.cgroup / "cgroup.procs").string();
    return plan;
}

[[noreturn]] void die_in_child(int error_fd) {
    const int error = errno;
    [[maybe_unused]] const ssize_t written = ::write(error_fd, &error, sizeof error);
    ::_exit(127);
}

void place_descriptors(const SpawnOptions& options, int* moved, int error_fd) {
    constexpr int kOutOfTheWay = 700;
    for (std::size_t i = 0; i < options.fds.size(); ++i) {
        moved[i] = ::fcntl(options.fds[i].parent_fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
        if (moved[i] < 0) die_in_child(error_fd);
    }
    // Not close-on-exec: where 0, 1 or 2 was closed, this may be one of them already. If not, it is closed
    // below.
    const int null_fd = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd)
        ::dup2(null_fd, fd);
    ::syscall(SYS_close_range, 3U, ~0U, static_cast<unsigned>(CLOSE_RANGE_CLOEXEC));
    for (std::size_t i = 0; i < options.fds.size(); ++i) {
        if (::dup2(moved[i], options.fds[i].child_fd) < 0) die_in_child(error_fd);
    }
}

void tie_to_parent(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    // It may have died before that.
    if (::getppid() != parent) ::_exit(127);
}

void enter_cgroup(const ExecPlan& plan, int error_fd) {
    if (plan.cgroup_procs.empty()) return;
    const int fd = ::open(plan.cgroup_procs.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, "0", 1) != 1) die_in_child(error_fd);
    ::close(fd);
}

void drop_privileges(const SpawnOptions& options, int error_fd) {
    if (!options.uid) return;
    const gid_t gid = options.gid.value_or(*options.uid);
    if (::setgroups(options.groups.size(), options.groups.data()) < 0 || ::setresgid(gid, gid, gid) < 0 ||
        ::setresuid(*options.uid, *options.uid, *options.uid) < 0) {
        die_in_child(error_fd);
    }
}

[[noreturn]] void run_child(const SpawnOptions& options, const ExecPlan& plan, int* moved, int error_fd) {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD})
        ::signal(number, SIG_DFL);
    if (options.new_session) ::setsid();
    if (options.dies_with_parent) tie_to_parent(plan.parent);
    enter_cgroup(plan, error_fd);
    if (options.working_directory && ::chdir(options.working_directory->c_str()) < 0) die_in_child(error_fd);
    place_descriptors(options, moved, error_fd);
    drop_privileges(options, error_fd);
    ::execve(plan.program.c_str(), plan.argv.data(), plan.environment.data());
    die_in_child(error_fd);
}

std::string describe_status(int status) {
    if (WIFEXITED(status)) return fmt::format("exited with status {}", WEXITSTATUS(status));
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
}

}  // namespace

Result<ProcessIdentity> identify_process(pid_t pid) {
    KZ_TRY(const std::string stat, read_file(fmt::format("/proc/{}/stat", pid), 4096));
    // The second field is a name in parentheses that may hold anything; count fields after the last
    // parenthesis.
    const auto name_end = stat.rfind(')');
    if (name_end == std::string::npos) return fail(Errc::io, "/proc/{}/stat is not understood", pid);
    const std::vector<std::string> fields = split(std::string_view(stat).substr(name_end + 2), ' ');
    constexpr std::size_t kStateField = 0;
    constexpr std::size_t kStartTimeField = 19;
    if (fields.size() <= kStartTimeField) return fail(Errc::io, "/proc/{}/stat is not understood", pid);
    if (fields[kStateField] == "Z") return fail(Errc::not_found, "process {} has ended", pid);
    const auto start_time = parse_u64(fields[kStartTimeField]);
    if (!start_time) return fail(Errc::io, "/proc/{}/stat is not understood", pid);
    return ProcessIdentity{pid, *start_time};
}

Result<Process> Process::spawn(const SpawnOptions& options) {
    if (options.argv.empty()) return fail(Errc::invalid_argument, "nothing to run");
    const std::string program = find_program(options.argv.front());
    if (program.empty()) return fail(Errc::not_found, "{}: program not found", options.argv.front());
    const ExecPlan plan = plan_exec(options, program);
    std::vector<int> moved(options.fds.size());
    std::array<int, 2> error_pipe{};
    if (::pipe2(error_pipe.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    const UniqueFd error_read(error_pipe[0]);
    constexpr int kErrorFd = 600;
    UniqueFd error_write(::fcntl(error_pipe[1], F_DUPFD_CLOEXEC, kErrorFd));
    ::close(error_pipe[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno(errno, "fork");
    if (pid == 0) run_child(options, plan, moved.data(), error_write.get());
    error_write.reset();
    UniqueFd pidfd(pidfd_open(pid));
    int child_errno = 0;
    ssize_t got = 0;
    do {
        got = ::read(error_read.get(), &child_errno, sizeof child_errno);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        ::waitpid(pid, nullptr, 0);
        return fail_errno(child_errno, program);
    }
    if (!pidfd) {
        // Out of descriptors: a child that cannot be watched must not run.
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return fail(Errc::io, "{}: no descriptor to watch it by", program);
    }
    // A child that has ended already keeps its entry in /proc until it is reaped.
    const Result<ProcessIdentity> identity = identify_process(pid);
    return Process(identity.value_or(ProcessIdentity{pid, 0}), std::move(pidfd), /*child=*/true);
}

Result<Process> Process::adopt(ProcessIdentity identity) {
    UniqueFd pidfd(pidfd_open(identity.pid));
    if (!pidfd) return fail_errno(errno == ESRCH ? ENOENT : errno, fmt::format("process {}", identity.pid));
    KZ_TRY(const ProcessIdentity now, identify_process(identity.pid));
    if (now != identity) return fail(Errc::not_found, "process {} has ended", identity.pid);
    return Process(identity, std::move(pidfd), /*child=*/false);
}

bool Process::alive() const {
    pollfd polled{pidfd_.get(), POLLIN, 0};
    return !exit_status_ && ::poll(&polled, 1, 0) == 0;
}

Result<void> Process::signal(int signal_number) const {
    if (exit_status_) return {};
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal_number, nullptr, 0) < 0 && errno != ESRCH)
        return fail_errno(errno, "kill");
    return {};
}

Result<std::string> Process::wait(Deadline deadline, int cancel_fd) {
    if (exit_status_) return fmt::format("exited with status {}", *exit_status_);
    KZ_CHECK(wait_readable(pidfd_.get(), deadline, cancel_fd));
    if (!child_) return std::string("ended");
    int status = 0;
    if (::waitpid(identity_.pid, &status, 0) < 0) return fail_errno(errno, "waitpid");
    exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return describe_status(status);
}

void Process::kill_and_wait() {
    if (exit_status_) return;
    [[maybe_unused]] const Result<void> killed = signal(SIGKILL);
    [[maybe_unused]] const Result<std::string> ended = wait(Deadline::never());
}

}  // namespace kz
