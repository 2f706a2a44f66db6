#include "storage/nfs_rpc.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/fd.h"
#include "base/text.h"
#include "os/io.h"
#include "os/sigpipe.h"
#include "os/socket.h"
#include "storage/nfs_wire.h"

namespace kz::storage {
namespace {

constexpr std::uint16_t kPortmapperPort = 111;

struct Pending {
    const RpcConnection::Take* take;
    bool done = false;
    std::optional<Error> error{};
};

Error refusal(const char* text) {
    const std::string reason = text != nullptr ? text : "the call failed";
    // What libnfs says to MSG_DENIED; the reason itself it keeps.
    if (reason.find("not accepted") == std::string::npos) return Error(Errc::io, reason);
    return Error(
        Errc::permission,
        "the server does not accept this host's requests: it demands reserved source ports (export it "
        "with 'insecure') or another security than AUTH_SYS (export it with 'sec=sys')");
}

void on_reply(rpc_context*, int status, void* data, void* private_data) {
    auto& pending = *static_cast<Pending*>(private_data);
    pending.done = true;
    const bool without_result = !*pending.take;
    if (status == RPC_STATUS_SUCCESS && without_result) return;
    if (status == RPC_STATUS_SUCCESS && data != nullptr)
        (*pending.take)(data);
    else
        pending.error = refusal(status == RPC_STATUS_ERROR ? static_cast<const char*>(data) : nullptr);
}

// Whether the length of the answer, the four bytes in front of it, has arrived. When a part of it has, waits
// for a moment.
Result<bool> check_length(int fd, std::uint32_t max_reply) {
    std::array<unsigned char, 4> mark{};
    const ssize_t got = ::recv(fd, mark.data(), mark.size(), MSG_PEEK | MSG_DONTWAIT);
    // The end, or an error: for libnfs to find.
    if (got <= 0) return true;
    if (static_cast<std::size_t>(got) < mark.size()) {
        ::usleep(1000);
        return false;
    }
    // The highest bit says that it is the last fragment.
    const std::uint32_t length = (mark[0] & 0x7fU) << 24 | mark[1] << 16 | mark[2] << 8 | mark[3];
    if (length > max_reply) return fail(Errc::protocol, "an answer of {} bytes, which is none", length);
    return true;
}

ino_t socket_inode(int fd) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

// The socket is shared with libnfs through a descriptor of its own, as which of the two closes it in an error
// differs between versions of libnfs.
struct RpcConnection::Wire {
    UniqueFd socket;
    rpc_context* rpc = nullptr;
    int given = -1;  // libnfs's descriptor

    explicit Wire(UniqueFd fd) : socket(std::move(fd)) {}
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;
    ~Wire() {
        // Whatever descriptors it has: the connection ends now, with a reset, and sends nothing more.
        sockaddr nowhere{};
        nowhere.sa_family = AF_UNSPEC;
        if (::connect(socket.get(), &nowhere, sizeof nowhere) < 0) ::shutdown(socket.get(), SHUT_RDWR);
        if (rpc != nullptr) rpc_destroy_context(rpc);
        if (given >= 0 && socket_inode(given) == socket_inode(socket.get())) ::close(given);
    }

    Result<void> attach(const NfsIdentity& identity);
    Result<void> wait(const Pending& pending, Deadline deadline, std::uint32_t max_reply);
};

Result<void> RpcConnection::Wire::attach(const NfsIdentity& identity) {
    // Should this process be killed, the kernel shall do as the destructor does.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0)
        return fail_errno(errno, "SO_LINGER");
    KZ_CHECK(tune_tcp(socket.get()));
    KZ_CHECK(set_nonblocking(socket.get(), true));
    rpc = rpc_init_context();
    if (rpc == nullptr) return fail(Errc::internal, "libnfs: out of memory");
    given = ::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0);
    if (given < 0) return fail_errno(errno, "dup");
    rpc_set_fd(rpc, given);
    rpc_set_uid(rpc, static_cast<int>(identity.uid));
    rpc_set_gid(rpc, static_cast<int>(identity.gid));
    // Tells it that the socket is connected.
    if (rpc_service(rpc, POLLOUT) < 0) return fail(Errc::io, "libnfs: {}", rpc_get_error(rpc));
    return {};
}

Result<void> RpcConnection::Wire::wait(const Pending& pending, Deadline deadline, std::uint32_t max_reply) {
    // libnfs sends without MSG_NOSIGNAL.
    const SigpipeBlock no_sigpipe;
    bool length_seen = false;
    while (!pending.done) {
        pollfd ready{socket.get(), static_cast<short>(rpc_which_events(rpc)), 0};
        const int count = ::poll(&ready, 1, deadline.poll_timeout());
        if (count < 0 && errno != EINTR) return fail_errno(errno, "poll");
        if (count == 0) return fail(Errc::timeout, "no answer in time");
        if (count > 0 && (ready.revents & POLLIN) != 0 && !length_seen) {
            KZ_TRY(length_seen, check_length(socket.get(), max_reply));
            if (!length_seen) ready.revents &= ~POLLIN;
        }
        if (count <= 0 || rpc_service(rpc, ready.revents) >= 0) continue;
        // libnfs then answers what is under way with words about reconnecting.
        const bool answered = pending.done && !pending.error;
        if (!answered) return fail(Errc::io, "the connection broke");
    }
    return {};
}

RpcConnection::RpcConnection(std::unique_ptr<Wire> wire, std::string address)
    : wire_(std::move(wire)), address_(std::move(address)) {}
RpcConnection::RpcConnection(RpcConnection&&) noexcept = default;
RpcConnection& RpcConnection::operator=(RpcConnection&&) noexcept = default;
RpcConnection::~RpcConnection() = default;

Result<RpcConnection> RpcConnection::open(const std::string& host, std::uint16_t port,
                                          const NfsIdentity& identity, Deadline deadline) {
    KZ_TRY(UniqueFd fd, tcp_connect(host, port, deadline));
    KZ_TRY(std::string address, tcp_peer_address(fd.get()));
    auto wire = std::make_unique<Wire>(std::move(fd));
    KZ_CHECK(wire->attach(identity));
    return RpcConnection(std::move(wire), std::move(address));
}

void RpcConnection::close() {
    wire_.reset();
}

bool RpcConnection::closed_by_peer() const {
    if (broken()) return false;
    pollfd state{wire_->socket.get(), POLLIN | POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0;
}

Result<void> RpcConnection::call(Deadline deadline, const Start& start, const Take& take,
                                 std::uint32_t max_reply) {
    if (broken()) return fail(Errc::wrong_state, "the connection is broken");
    // Outlives the wire, which answers what is left when it ends.
    Pending pending{&take};
    if (start(wire_->rpc, on_reply, &pending) != 0) {
        const std::string reason = rpc_get_error(wire_->rpc) != nullptr ? rpc_get_error(wire_->rpc) : "";
        wire_.reset();
        return fail(Errc::invalid_argument, "libnfs cannot send this: {}", reason);
    }
    Result<void> waited = wire_->wait(pending, deadline, max_reply);
    if (waited && pending.error) waited = std::unexpected(std::move(*pending.error));
    if (!waited) wire_.reset();
    return waited;
}

namespace {

Result<std::uint32_t> ask_portmapper2(RpcConnection& portmapper, std::uint32_t program, std::uint32_t version,
                                      Deadline deadline) {
    std::uint32_t port = 0;
    KZ_CHECK(portmapper.call(
        deadline,
        [&](rpc_context* rpc, RpcConnection::Callback done, void* data) {
            return rpc_pmap2_getport_async(rpc, static_cast<int>(program), static_cast<int>(version),
                                           IPPROTO_TCP, done, data);
        },
        [&](const void* reply) { port = *static_cast<const std::uint32_t*>(reply); }));
    return port;
}

// Version 3 answers with an address whose last two numbers are the port: "::.8.1".
std::uint32_t port_of_universal_address(std::string_view text) {
    const std::vector<std::string> parts = split(text.substr(0, 128), '.');
    if (parts.size() < 2) return 0;
    const auto high = parse_u64(parts[parts.size() - 2]);
    const auto low = parse_u64(parts.back());
    if (!high || !low || *high > 255 || *low > 255) return 0;
    return static_cast<std::uint32_t>(*high * 256 + *low);
}

Result<std::uint32_t> ask_portmapper3(RpcConnection& portmapper, std::uint32_t program, std::uint32_t version,
                                      Deadline deadline) {
    std::string netid = "tcp6";
    std::string empty;
    pmap3_mapping mapping{
        .prog = program, .vers = version, .netid = netid.data(), .addr = empty.data(), .owner = empty.data()};
    std::uint32_t port = 0;
    KZ_CHECK(portmapper.call(
        deadline,
        [&](rpc_context* rpc, RpcConnection::Callback done, void* data) {
            return rpc_pmap3_getaddr_async(rpc, &mapping, done, data);
        },
        [&](const void* reply) {
            const char* address = static_cast<const pmap3_string_result*>(reply)->addr;
            port = port_of_universal_address(address != nullptr ? address : "");
        }));
    return port;
}

}  // namespace

Result<std::uint16_t> find_rpc_port(const std::string& host, std::uint32_t program, std::uint32_t version,
                                    std::string_view what, Deadline deadline) {
    KZ_TRY_CONTEXT(RpcConnection portmapper, RpcConnection::open(host, kPortmapperPort, {}, deadline),
                   "cannot reach the server's portmapper (rpcbind)");
    const bool ipv6 = portmapper.address().find(':') != std::string::npos;
    const auto ask = ipv6 ? ask_portmapper3 : ask_portmapper2;
    KZ_TRY_CONTEXT(const std::uint32_t port, ask(portmapper, program, version, deadline),
                   fmt::format("portmapper of {}", host));
    if (port == 0 || port > UINT16_MAX)
        return fail(Errc::unavailable, "{} offers no {} over TCP: its portmapper (rpcbind) knows none", host,
                    what);
    return static_cast<std::uint16_t>(port);
}

}  // namespace kz::storage
