#include "spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>

#include <cerrno>
#include <cstring>

#include "files.h"
#include "user.h"

namespace kzagent {
namespace {

using kz::agent::Open;
using kz::agent::OpenKind;

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What is to be executed, ready before fork().
struct Program {
    std::string path;
    std::vector<std::string> words;
    std::vector<std::string> environment;
    User user;
    bool becomes_user = false;  // the program itself does not
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> result;
    for (const std::string& word : words)
        result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
}

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

std::vector<std::string> environment_of(const User& user, const std::string& term) {
    std::vector<std::string> environment{kPath, "HOME=" + user.home, "SHELL=" + user.shell,
                                         "USER=" + user.name, "LOGNAME=" + user.name};
    if (!term.empty()) environment.push_back("TERM=" + term);
    return environment;
}

Program failsafe_program(const Open& request) {
    Program program{"/bin/sh", {"sh"}, environment_of(plain_root(), request.term), plain_root()};
    if (!request.command.empty()) program.words.insert(program.words.end(), {"-c", request.command});
    return program;
}

// A user whom the guest knows by other means than its files is left to the guest's own programs.
Program login_program(const Open& request, const std::optional<User>& user, std::string& error) {
    const std::string login = first_program({"/bin/login", "/usr/bin/login"});
    Program program;
    if (!login.empty()) {
        program.path = login;
        program.words = {"login", "-f", request.user};
        program.environment = {kPath, "TERM=" + request.term};
    } else if (user) {
        program.path = user->shell;
        program.words = {"-" + base_name(user->shell)};
        program.environment = environment_of(*user, request.term);
        program.user = *user;
        program.becomes_user = true;
    } else {
        error = "no user '" + kz::agent::printable(request.user, kz::agent::kMaxName) + "' in the zone";
    }
    return program;
}

Program command_program(const Open& request, const std::optional<User>& user, std::string& error) {
    Program program;
    const std::string su = first_program({"/bin/su", "/usr/bin/su"});
    if (user) {
        program.path = user->shell;
        program.words = {base_name(user->shell), "-c", request.command};
        program.environment = environment_of(*user, "");
        program.user = *user;
        program.becomes_user = true;
    } else if (!su.empty() && !exists("/bin/busybox")) {
        program.path = su;
        program.words = {"su", "-l", request.user, "-c", request.command};
        program.environment = {kPath};
    } else {
        error = "no user '" + kz::agent::printable(request.user, kz::agent::kMaxName) + "' in the zone";
    }
    return program;
}

Program program_of(const Open& request, std::string& error) {
    if (request.kind == OpenKind::failsafe) return failsafe_program(request);
    // It becomes an argument of login and su.
    if (request.user.empty() || request.user[0] == '-') {
        error = "that is not the name of a user";
        return {};
    }
    const std::optional<User> user = find_user(request.user);
    return request.kind == OpenKind::login ? login_program(request, user, error)
                                           : command_program(request, user, error);
}

// The agent's own privileges among the others' end here.
void lay_down_privileges() {
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    ::setpriority(PRIO_PROCESS, 0, 0);
    write_text("/proc/self/oom_score_adj", "0");
}

bool become(const User& user) {
    return ::setgroups(user.groups.size(), user.groups.data()) == 0 && ::setgid(user.gid) == 0 &&
           ::setuid(user.uid) == 0;
}

[[noreturn]] void run_child(const Program& program, int in, int out, int err, bool terminal, int report) {
    lay_down_privileges();
    ::setsid();
    if (terminal) ::ioctl(in, TIOCSCTTY, 0);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    const std::vector<char*> words = pointers(program.words);
    const std::vector<char*> environment = pointers(program.environment);
    if (!program.becomes_user || become(program.user)) {
        if (::chdir(program.becomes_user ? program.user.home.c_str() : "/") != 0 && ::chdir("/") != 0)
            ::_exit(127);
        ::execve(program.path.c_str(), words.data(), environment.data());
    }
    const int error = errno;
    [[maybe_unused]] const ssize_t told = ::write(report, &error, sizeof error);
    ::_exit(127);
}

// All descriptors of the agent are closed on exec; 0 to 2 of the child are copies. Returns the pid, or -1 and
// errno.
pid_t start(const Program& program, int in, int out, int err, bool terminal) {
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) return -1;
    const kz::UniqueFd from_child(report[0]);
    kz::UniqueFd to_parent(report[1]);
    const pid_t pid = ::fork();
    if (pid == 0) run_child(program, in, out, err, terminal, to_parent.get());
    to_parent.reset();
    int error = 0;
    // Its end without a word is the exec.
    if (pid > 0 && ::read(from_child.get(), &error, sizeof error) == sizeof error) {
        errno = error;
        return -1;
    }
    return pid;
}

bool make_pipe(kz::UniqueFd& reader, kz::UniqueFd& writer) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    return true;
}

void set_nonblocking(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

std::string why(const std::string& what) {
    return what + ": " + std::strerror(errno);
}

Spawned with_terminal(const Program& program, kz::agent::WindowSize size) {
    Spawned result;
    kz::UniqueFd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    int number = 0;
    int locked = 0;
    if (!master || ::ioctl(master.get(), TIOCSPTLCK, &locked) != 0 ||
        ::ioctl(master.get(), TIOCGPTN, &number) != 0) {
        result.error = why("/dev/ptmx");
        return result;
    }
    result.child.terminal = "pts/" + std::to_string(number);
    const std::string path = "/dev/" + result.child.terminal;
    const kz::UniqueFd slave(::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    winsize window{};
    window.ws_row = size.rows;
    window.ws_col = size.columns;
    ::ioctl(master.get(), TIOCSWINSZ, &window);
    if (slave) result.child.pid = start(program, slave.get(), slave.get(), slave.get(), true);
    if (result.child.pid < 0) result.error = why(slave ? program.path : path);
    set_nonblocking(master.get());
    result.child.in = std::move(master);
    return result;
}

Spawned with_pipes(const Program& program) {
    Spawned result;
    kz::UniqueFd in;
    kz::UniqueFd out;
    kz::UniqueFd err;
    Child& child = result.child;
    if (!make_pipe(in, child.in) || !make_pipe(child.out, out) || !make_pipe(child.err, err)) {
        result.error = why("pipe");
        return result;
    }
    child.pid = start(program, in.get(), out.get(), err.get(), false);
    if (child.pid < 0) result.error = why(program.path);
    for (const kz::UniqueFd* fd : {&child.in, &child.out, &child.err})
        set_nonblocking(fd->get());
    return result;
}

}  // namespace

Spawned spawn_session(const Open& request) {
    Spawned result;
    const Program program = program_of(request, result.error);
    if (!result.error.empty()) return result;
    return request.command.empty() ? with_terminal(program, request.size) : with_pipes(program);
}

int spawn_system(const std::vector<std::string>& words) {
    const kz::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const Program program{words.front(), words, {kPath}, plain_root()};
    return start(program, null.get(), null.get(), null.get(), false) > 0 ? 0 : errno;
}

}  // namespace kzagent
