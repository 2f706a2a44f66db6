#include "rad/listen_fds.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "os/io.h"

namespace kz::rad {
namespace {

constexpr int kFirst = 3;
constexpr std::uint64_t kMost = 16;

std::optional<std::uint64_t> variable(const char* name) {
    const char* text = std::getenv(name);
    return text != nullptr ? parse_u64(text) : std::nullopt;
}

Result<int> option_of(int fd, int option) {
    int value = 0;
    socklen_t size = sizeof(value);
    if (::getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0)
        return fail_errno(errno, fmt::format("LISTEN_FDS: descriptor {}", fd));
    return value;
}

Result<void> sort_in(ListenFds& all, UniqueFd fd) {
    KZ_CHECK(set_cloexec(fd.get(), true));
    KZ_TRY(const int family, option_of(fd.get(), SO_DOMAIN));
    KZ_TRY(const int listening, option_of(fd.get(), SO_ACCEPTCONN));
    KZ_TRY(const int type, option_of(fd.get(), SO_TYPE));
    const bool tcp = family == AF_INET || family == AF_INET6;
    UniqueFd& place = tcp ? all.tcp : all.local;
    if (listening == 0 || type != SOCK_STREAM || (!tcp && family != AF_UNIX) || place)
        return fail(Errc::invalid_argument,
                    "LISTEN_FDS: one TCP and one unix socket, both listening, are expected");
    place = std::move(fd);
    return {};
}

}  // namespace

Result<ListenFds> take_listen_fds() {
    const auto pid = variable("LISTEN_PID");
    const auto count = variable("LISTEN_FDS");
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
        ::unsetenv(name);
    ListenFds all;
    if (!pid || !count || *pid != static_cast<std::uint64_t>(::getpid())) return all;
    if (*count > kMost) return fail(Errc::invalid_argument, "LISTEN_FDS: {} descriptors", *count);
    for (int fd = kFirst; fd < kFirst + static_cast<int>(*count); ++fd)
        KZ_CHECK(sort_in(all, UniqueFd(fd)));
    return all;
}

}  // namespace kz::rad
