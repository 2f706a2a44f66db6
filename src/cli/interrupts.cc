#include "cli/interrupts.h"

#include <signal.h>
#include <sys/signalfd.h>

namespace kz::cli {
namespace {

sigset_t interrupt_signals() {
    sigset_t mask;
    ::sigemptyset(&mask);
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        ::sigaddset(&mask, number);
    return mask;
}

}  // namespace

Interrupts::Interrupts() {
    const sigset_t mask = interrupt_signals();
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    fd_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
}

Interrupts::~Interrupts() {
    // Those that were asked for are answered; only then may the next one end the process again.
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof info) > 0) {
    }
    const sigset_t mask = interrupt_signals();
    ::sigprocmask(SIG_UNBLOCK, &mask, nullptr);
}

}  // namespace kz::cli
