#include "migrate/peer.h"

#include <algorithm>

#include "base/json.h"
#include "crypto/tls.h"
#include "migrate/peer_http.h"
#include "migrate/peer_keys.h"
#include "migrate/peer_login.h"
#include "migrate/peer_trust.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

constexpr std::size_t kMaxErrorText = 4096;
constexpr unsigned kUnauthorized = 401;
constexpr unsigned kTooManyRequests = 429;

// What the other host wrote goes to a terminal: no escape sequences.
std::string printable(std::string text) {
    if (text.size() > kMaxErrorText) text.resize(kMaxErrorText);
    std::ranges::replace_if(text, [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; }, '?');
    return text;
}

Error error_of(const HttpResponse& response) {
    const auto body = parse_json(response.body);
    const auto error = body ? json_optional_object(*body, "error") : Result<const Json*>(nullptr);
    if (error && *error != nullptr) {
        const auto code = json_text(**error, "code");
        const auto message = json_text(**error, "message");
        if (code && message) return Error(errc_from_name(*code), printable(*message));
    }
    return Error::make(Errc::protocol, "the host answered with HTTP status {}", response.status);
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

Result<UniqueFd> connect_socket(const PeerAddress& address, Deadline deadline, int cancel_fd) {
    auto socket = tcp_connect(address.host, address.port, deadline, cancel_fd);
    if (!socket && socket.error().sys_errno() == ECONNREFUSED)
        return fail(Errc::unavailable, "{}; is kz-radd running there?", socket.error().message());
    if (socket) KZ_CHECK(tune_tcp(socket->get()));
    return socket;
}

}  // namespace

bool is_host_key_fingerprint(std::string_view text) {
    return crypto::is_fingerprint(text);
}

struct Peer::Impl {
    Result<HttpResponse> exchange(std::string_view text, Deadline deadline, int cancel_fd);

    PeerAddress address;
    std::string fingerprint;
    std::unique_ptr<Transport> transport;
    HttpReader reader{HttpLimits{}};
    bool usable = true;
};

Peer::Peer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Peer::Peer(Peer&&) noexcept = default;
Peer& Peer::operator=(Peer&&) noexcept = default;
Peer::~Peer() = default;

Result<Peer> Peer::connect(const PeerAddress& address, const HostPaths& paths, const TrustPolicy& policy,
                           std::chrono::milliseconds timeout, int cancel_fd) {
    KZ_TRY(const crypto::HostKey own, load_or_create_host_key(paths));
    KZ_TRY(const crypto::TlsContext context, crypto::TlsContext::client(own));
    KZ_TRY(TrustDecision trust, TrustDecision::prepare(paths, address, policy));
    while (true) {
        const auto deadline = Deadline::after(timeout);
        KZ_TRY(UniqueFd socket, connect_socket(address, deadline, cancel_fd));
        auto stream = crypto::TlsStream::connect(
            std::move(socket), context, [&](const std::string& shown) { return trust.judge(shown); },
            deadline, cancel_fd);
        if (!stream && trust.refused()) {
            // The other host does not wait while a person thinks: its handshake has a time limit. So the
            // answer is for the next connection, which must show the same key.
            KZ_CHECK(trust.resolve());
            continue;
        }
        if (!stream) return std::unexpected(std::move(stream).error().context(address.host));
        KZ_CHECK(trust.remember());
        auto impl = std::make_unique<Impl>();
        impl->address = address;
        impl->fingerprint = stream->peer_fingerprint();
        impl->transport = make_transport(*std::move(stream));
        return Peer(std::move(impl));
    }
}

Result<Peer> Peer::connect_local(const HostPaths& paths, std::chrono::milliseconds timeout) {
    KZ_TRY(UniqueFd socket, unix_connect(paths.run_dir() / "rad.sock", Deadline::after(timeout)));
    auto impl = std::make_unique<Impl>();
    impl->address.host = "localhost";
    KZ_TRY(impl->transport, make_transport(std::move(socket)));
    return Peer(std::move(impl));
}

Result<Peer> Peer::on_stream(const PeerAddress& address, UniqueFd socket) {
    auto impl = std::make_unique<Impl>();
    impl->address = address;
    KZ_TRY(impl->transport, make_transport(std::move(socket)));
    return Peer(std::move(impl));
}

Result<HttpResponse> Peer::Impl::exchange(std::string_view text, Deadline deadline, int cancel_fd) {
    if (!usable) return fail(Errc::unavailable, "{}: the connection was given up", address.host);
    // The other host may answer (413, 403) and close before it has read all of it: the answer counts.
    const auto sent = transport->write_all(as_bytes(text), deadline, cancel_fd);
    auto response = !sent && sent.error().code() != Errc::unavailable
                        ? Result<HttpResponse>(std::unexpected(sent.error()))
                        : reader.read_response(*transport, deadline, cancel_fd);
    usable = response && response->keep_alive;
    if (!response) return std::unexpected(std::move(response).error().context(address.host));
    return response;
}

Result<Json> Peer::call(std::string_view method, std::string_view target, const Json& body,
                        std::chrono::milliseconds timeout, int cancel_fd) {
    if (!is_token(method) || !is_token(target) || !target.starts_with('/'))
        return fail(Errc::invalid_argument, "'{} {}' is not a request", method, target);
    const HttpRequest request{std::string(method), std::string(target),
                              body.is_null() ? WipedText() : WipedText(render_json(body))};
    const auto response =
        impl_->exchange(render_request(request, impl_->address.host), Deadline::after(timeout), cancel_fd);
    if (!response) return std::unexpected(response.error());
    if (response->status / 100 != 2) return std::unexpected(error_of(*response));
    if (response->body.empty()) return Json();
    auto answer = parse_json(response->body);
    if (!answer) return std::unexpected(std::move(answer).error().context(impl_->address.host));
    return answer;
}

Result<void> Peer::login(const std::string& user, const Secret& password, std::chrono::milliseconds timeout,
                         int cancel_fd) {
    Secret text = render_login(user, password, impl_->address.host);
    const auto response = impl_->exchange(as_text(text.view()), Deadline::after(timeout), cancel_fd);
    if (!response) return std::unexpected(response.error());
    if (response->status / 100 == 2) return {};
    impl_->usable = false;
    if (response->status == kUnauthorized)
        return fail(Errc::permission, "host '{}' does not accept this password for user '{}'",
                    impl_->address.host, user);
    Error error = error_of(*response);
    if (response->status == kTooManyRequests) return fail(Errc::busy, "{}", error.message());
    return std::unexpected(std::move(error));
}

const std::string& Peer::fingerprint() const {
    return impl_->fingerprint;
}
const std::string& Peer::host() const {
    return impl_->address.host;
}
const PeerAddress& Peer::address() const {
    return impl_->address;
}
int Peer::fd() const {
    return impl_->transport->fd();
}

}  // namespace kz::migrate
