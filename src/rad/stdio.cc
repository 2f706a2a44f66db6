#include "rad/stdio.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "os/file.h"
#include "os/io.h"
#include "rad/administration.h"

namespace kz::rad {
namespace {

// A live migration says nothing for as long as memory moves; ssh itself notices a dead connection.
constexpr std::chrono::hours kIdle{24};

// Two pipes, or a socket twice: what sshd gives to a command.
class StdioTransport final : public migrate::Transport {
  public:
    StdioTransport(UniqueFd input, UniqueFd output) : input_(std::move(input)), output_(std::move(output)) {}
    Result<std::size_t> read_some(MutableBytes out, Deadline deadline, int cancel_fd) override {
        auto got = kz::read_some(input_.get(), out, deadline, cancel_fd);
        if (!got && got.error().sys_errno() == ECONNRESET)
            return fail(Errc::unavailable, "the other end closed the connection");
        return got;
    }
    Result<void> write_all(ByteView bytes, Deadline deadline, int cancel_fd) override {
        return kz::write_all(output_.get(), bytes, deadline, cancel_fd);
    }
    int fd() const override { return input_.get(); }
    void finish(Deadline) override {
        ::shutdown(output_.get(), SHUT_WR);
        output_.reset();
    }

  private:
    UniqueFd input_;
    UniqueFd output_;
};

// Nothing that the process or a child of it prints may get between the messages.
Result<UniqueFd> take_away(int number) {
    UniqueFd taken(::fcntl(number, F_DUPFD_CLOEXEC, 3));
    if (!taken) return fail_errno(errno, "standard input and output");
    KZ_TRY(const UniqueFd null, open_file("/dev/null", O_RDWR));
    if (::dup2(null.get(), number) < 0) return fail_errno(errno, "dup2");
    KZ_CHECK(set_nonblocking(taken.get(), true));
    return taken;
}

PeerIdentity identity() {
    const char* connection = std::getenv("SSH_CONNECTION");
    PeerIdentity peer{.local = true, .fingerprint = {}, .name = {}, .address = {}};
    peer.address = ssh_client_address(connection != nullptr ? connection : "");
    peer.name = "ssh:root@" + peer.address;
    return peer;
}

Result<void> check_caller() {
    if (::geteuid() != 0)
        return fail(Errc::permission,
                    "zones are administered as root; log in as root (ssh://root@HOST), not as user id {}",
                    ::geteuid());
    if (::isatty(STDIN_FILENO) != 0 || ::isatty(STDOUT_FILENO) != 0)
        return fail(Errc::unsupported, "--stdio is for zoneadm at the other end of ssh, not for a terminal");
    return {};
}

}  // namespace

std::string ssh_client_address(std::string_view ssh_connection) {
    constexpr std::size_t kMaxAddress = 64;
    const std::string_view address = ssh_connection.substr(0, ssh_connection.find(' '));
    const auto is_known = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
               c == ':' || c == '%';
    };
    const bool good =
        !address.empty() && address.size() <= kMaxAddress && std::ranges::all_of(address, is_known);
    return good ? std::string(address) : "unknown";
}

Result<void> serve_stdio(const HostPaths& paths) {
    KZ_CHECK(check_caller());
    ::signal(SIGPIPE, SIG_IGN);
    KZ_TRY(UniqueFd input, take_away(STDIN_FILENO));
    KZ_TRY(UniqueFd output, take_away(STDOUT_FILENO));
    KZ_CHECK(make_directories(paths.log_dir(), 0755));
    KZ_CHECK(make_directories(paths.run_dir(), 0755));
    KZ_TRY(UniqueFd log_file, open_file(paths.log_dir() / "radd.log", O_WRONLY | O_CREAT | O_APPEND, 0640));
    Log log(std::move(log_file), "kz-radd");
    KZ_TRY(const std::unique_ptr<Administration> administration,
           Administration::open(paths, check_by_pam(pam_options(paths)), log));
    const ServerLimits limits{.idle = kIdle};
    PeerIdentity peer = identity();
    log.info("{}: connected", peer.name);
    StdioTransport transport(std::move(input), std::move(output));
    const Admit admit = [&](PeerIdentity& asked, const ConnectionContext& context) {
        const Result<bool> known = administration->guard().identify(asked, context);
        return known && *known ? Admission::admitted : Admission::stranger;
    };
    Exchange(administration->desk(), limits, admit).serve(transport, peer);
    log.info("{}: ended", peer.name);
    return {};
}

}  // namespace kz::rad
