#include "os/fence.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"

namespace kz {
namespace {

// Closed, a connection set so is reset at once, and what waits to be sent is dropped.
bool reset_on_close(int fd) {
    int domain = 0;
    int type = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) return false;
    size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) return false;
    if ((domain != AF_INET && domain != AF_INET6) || type != SOCK_STREAM) return false;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    return ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0;
}

std::vector<UniqueFd> hold_tcp_sockets(const Process& process) {
    std::vector<UniqueFd> held;
    std::error_code error;
    const std::filesystem::path folder = fmt::format("/proc/{}/fd", process.identity().pid);
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        const auto number = parse_u64(entry->path().filename().string());
        if (!number) continue;
        std::error_code unreadable;
        const std::string target = std::filesystem::read_symlink(entry->path(), unreadable).string();
        if (unreadable || !target.starts_with("socket:")) continue;
        UniqueFd copy(
            static_cast<int>(::syscall(SYS_pidfd_getfd, process.pidfd(), static_cast<int>(*number), 0)));
        if (copy && reset_on_close(copy.get())) held.push_back(std::move(copy));
    }
    return held;
}

}  // namespace

void fence_process(Process& process) {
    // Stopped, it cannot open another connection between the look and the kill.
    [[maybe_unused]] const Result<void> stopped = process.signal(SIGSTOP);
    const std::vector<UniqueFd> sockets = hold_tcp_sockets(process);
    process.kill_and_wait();
}

}  // namespace kz
