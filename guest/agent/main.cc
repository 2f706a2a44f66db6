// kz-agent: runs inside a zone and does for the host's administrator what needs somebody inside: logins and
// commands (zlogin), the clock after a move, a clean end, file systems that stand still for a copy. Talks
// over a virtio-serial port only, so that the zone needs no network. See src/agent/wire.h.
//
//   kz-agent            waits for the port, serves it, until SIGTERM
//   kz-agent --fd N     serves the descriptor N instead, until its end (tests)
//   kz-agent --version
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "agent.h"
#include "files.h"

namespace {

constexpr int kLookAgainMs = 1000;

kz::UniqueFd watch_signals() {
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t mask;
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGCHLD);
    ::sigaddset(&mask, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    return kz::UniqueFd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
}

// The clock is set before anything else runs after a move, and a guest that is short of memory can still be
// entered. What the agent starts has neither.
void take_privileges() {
    sched_param parameter{};
    parameter.sched_priority = 1;
    ::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter);
    kzagent::write_text("/proc/self/oom_score_adj", "-900");
}

void open_standard_descriptors() {
    int fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2)
        fd = ::dup(fd);
    if (fd > 2) ::close(fd);
}

// False: SIGTERM came meanwhile.
bool wait_for_port(int signals) {
    pollfd polled{signals, POLLIN, 0};
    signalfd_siginfo info{};
    return ::poll(&polled, 1, kLookAgainMs) <= 0 || ::read(signals, &info, sizeof info) != sizeof info ||
           info.ssi_signo != SIGTERM;
}

// As long as there is a port, and whenever there is one again.
int serve_ports() {
    while (true) {
        kz::UniqueFd signals = watch_signals();
        const std::string path = kzagent::Port::find();
        kz::UniqueFd fd(path.empty() ? -1 : ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
        if (!fd) {
            if (!wait_for_port(signals.get())) return 0;
            continue;
        }
        if (kzagent::Agent(kzagent::Port(std::move(fd)), std::move(signals)).run()) return 0;
    }
}

int serve_descriptor(const char* number) {
    kz::UniqueFd fd(std::atoi(number));
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    if (::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) {
        std::fprintf(stderr, "kz-agent: descriptor %s: %s\n", number, std::strerror(errno));
        return 1;
    }
    kzagent::Agent(kzagent::Port(std::move(fd)), watch_signals()).run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
        std::puts("kz-agent " KZ_VERSION);
        return 0;
    }
    open_standard_descriptors();
    if (argc == 3 && std::strcmp(argv[1], "--fd") == 0) return serve_descriptor(argv[2]);
    if (argc != 1) {
        std::fputs("usage: kz-agent [--version]\n", stderr);
        return 2;
    }
    take_privileges();
    kzagent::Freezer::thaw_leftovers();
    return serve_ports();
}
