#include "migrate/session.h"

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "migrate/session_wire.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

// "CODE MESSAGE" of the gateway.
std::unexpected<Error> refusal(std::string_view text) {
    const auto separator = std::min(text.find(' '), text.size());
    return std::unexpected(
        Error(errc_from_name(text.substr(0, separator)), std::string(trim(text.substr(separator)))));
}

std::unexpected<Error> not_accepted(unsigned channel, const std::string& host) {
    return fail(Errc::permission, "host '{}' did not accept memory connection {}", host, channel);
}

Result<HelloBytes> hello_of(const Message& message) {
    if (message.fds.size() != 1 || message.text.size() != stream::kHelloSize)
        return fail(Errc::protocol, "kz-migrd sent something other than a connection");
    HelloBytes bytes;
    std::ranges::copy(as_bytes(message.text), bytes.begin());
    return bytes;
}

}  // namespace

Result<SessionRegistration> SessionRegistration::open(const HostPaths& paths, const SessionId& id,
                                                      const Secret& proof_key, unsigned connections,
                                                      Deadline deadline) {
    KZ_TRY(const Secret request,
           encode_registration({.id = id, .proof_key = proof_key.clone(), .connections = connections}));
    auto socket = unix_connect(paths.migrd_socket(), deadline);
    if (!socket && (socket.error().sys_errno() == ENOENT || socket.error().sys_errno() == ECONNREFUSED))
        return fail(Errc::unavailable,
                    "kz-migrd does not run on this host; start it with systemctl enable --now kz-migrd, or "
                    "kz-migrd --daemon");
    if (!socket) return std::unexpected(std::move(socket).error());
    KZ_CHECK_CONTEXT(send_message(socket->get(), as_text(request.view()), {}, deadline), "kz-migrd");
    KZ_TRY_CONTEXT(const Message answer, receive_message(socket->get(), deadline), "kz-migrd");
    if (answer.text != kRegistered) return refusal(answer.text);
    return SessionRegistration(*std::move(socket), proof_key.clone(), id, connections);
}

Result<ChannelConnection> SessionRegistration::next(Deadline deadline, int cancel_fd) {
    KZ_TRY_CONTEXT(Message message, receive_message(socket_.get(), deadline, cancel_fd), "kz-migrd");
    KZ_TRY(const HelloBytes bytes, hello_of(message));
    KZ_TRY(const stream::Hello hello, stream::decode_hello(bytes));
    if (hello.session != id_ || hello.channel >= connections_)
        return fail(Errc::protocol, "kz-migrd sent a connection of another session");
    KZ_CHECK(stream::verify_hello(hello, proof_key_.view()));
    ChannelConnection connection{std::move(message.fds.front()), hello.channel, hello.nonce};
    KZ_CHECK(set_nonblocking(connection.fd.get(), true));
    KZ_CHECK(tune_tcp(connection.fd.get()));
    KZ_TRY(const Answer answer, make_answer(bytes, id_, proof_key_.view()));
    auto sent = write_all(connection.fd.get(), answer, deadline, cancel_fd);
    if (!sent) return fail(Errc::io, "memory connection {}: {}", hello.channel, sent.error().message());
    return connection;
}

Result<ChannelConnection> connect_channel(const std::string& host, std::uint16_t port, const SessionId& id,
                                          const Secret& proof_key, unsigned channel, Deadline deadline,
                                          int cancel_fd) {
    auto socket = tcp_connect(host, port, deadline, cancel_fd);
    if (!socket && socket.error().sys_errno() == ECONNREFUSED)
        return fail(Errc::unavailable, "{}; is kz-migrd running there?", socket.error().message());
    if (!socket) return std::unexpected(std::move(socket).error());
    KZ_CHECK(tune_tcp(socket->get()));
    return prove_channel(*std::move(socket), host, id, proof_key, channel, deadline, cancel_fd);
}

Result<ChannelConnection> prove_channel(UniqueFd socket, const std::string& host, const SessionId& id,
                                        const Secret& proof_key, unsigned channel, Deadline deadline,
                                        int cancel_fd) {
    KZ_TRY(const stream::Hello hello, stream::make_hello(id, channel, proof_key.view()));
    const HelloBytes bytes = stream::encode_hello(hello);
    ChannelConnection connection{std::move(socket), channel, hello.nonce};
    KZ_CHECK(set_nonblocking(connection.fd.get(), true));
    Answer answer{};
    const auto exchange = [&]() -> Result<void> {
        KZ_CHECK(write_all(connection.fd.get(), bytes, deadline, cancel_fd));
        return read_exact(connection.fd.get(), answer, deadline, cancel_fd);
    };
    if (auto done = exchange(); !done) {
        const bool closed =
            done.error().code() == Errc::unavailable || done.error().sys_errno() == ECONNRESET;
        if (closed) return not_accepted(channel, host);
        return std::unexpected(std::move(done).error().context(fmt::format("memory connection {}", channel)));
    }
    KZ_TRY(const Answer expected, make_answer(bytes, id, proof_key.view()));
    if (!equal_in_constant_time(answer, expected))
        return fail(Errc::protocol, "host '{}' does not hold the key of this migration", host);
    return connection;
}

}  // namespace kz::migrate
