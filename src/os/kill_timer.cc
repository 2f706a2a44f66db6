#include "os/kill_timer.h"

#include <signal.h>

#include <cerrno>

namespace kz {

void KillTimer::Delete::operator()(timer_t* timer) const {
    ::timer_delete(*timer);
    delete timer;
}

Result<KillTimer> KillTimer::arm(std::chrono::milliseconds span) {
    if (span.count() <= 0) return KillTimer(nullptr);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    timer_t made{};
    if (::timer_create(CLOCK_BOOTTIME, &event, &made) < 0) return fail_errno(errno, "timer_create");
    KillTimer timer(std::unique_ptr<timer_t, Delete>(new timer_t(made)));
    itimerspec when{};
    when.it_value.tv_sec = static_cast<time_t>(span.count() / 1000);
    when.it_value.tv_nsec = static_cast<long>(span.count() % 1000) * 1'000'000;
    if (::timer_settime(made, 0, &when, nullptr) < 0) return fail_errno(errno, "timer_settime");
    return timer;
}

}  // namespace kz
