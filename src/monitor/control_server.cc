#include "monitor/control_server.h"

#include <unistd.h>

#include "os/socket.h"

namespace kz::monitor {
namespace {

constexpr std::size_t kMaxConnections = 16;
constexpr std::chrono::seconds kRequestTime{5};
constexpr std::chrono::seconds kSendTime{5};

struct ControlRequest {
    Json json;
    std::vector<UniqueFd> descriptors;
};

Result<ControlRequest> receive_request(int fd, int cancel_fd) {
    KZ_TRY(Message message, receive_message(fd, Deadline::after(kRequestTime), cancel_fd));
    KZ_TRY(Json json, parse_json(message.text));
    KZ_CHECK(json_text(json, "op"));
    return ControlRequest{std::move(json), std::move(message.fds)};
}

}  // namespace

void Caller::message(std::string_view text) {
    send({{"message", text}});
}

void Caller::progress(const Json& figures) {
    send({{"progress", figures}});
}

void Caller::send(const Json& note) {
    const std::lock_guard lock(mutex_);
    [[maybe_unused]] const Result<void> sent =
        send_message(fd_, render_json(note), {}, Deadline::after(kSendTime));
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(const Path& socket, Handler handler,
                                                           std::function<void()> cancel) {
    KZ_TRY(UniqueFd listener, unix_listen(socket, 0600));
    KZ_TRY(EventFd stop, EventFd::create());
    std::unique_ptr<ControlServer> server(new ControlServer(socket, std::move(listener), std::move(stop),
                                                            std::move(handler), std::move(cancel)));
    server->thread_ = std::jthread([raw = server.get()] { raw->run(); });
    return server;
}

ControlServer::~ControlServer() {
    ::unlink(socket_.c_str());
    stop_.signal();
    if (thread_.joinable()) thread_.join();
    connections_.clear();
}

void ControlServer::run() {
    while (true) {
        Result<UniqueFd> fd = accept_connection(listener_.get(), Deadline::never(), stop_.fd());
        if (!fd && fd.error().code() == Errc::cancelled) return;
        std::erase_if(connections_, [](const Connection& connection) { return connection.done.load(); });
        if (!fd || connections_.size() >= kMaxConnections) continue;
        Connection& connection = connections_.emplace_back();
        connection.thread = std::jthread([this, &connection, owned = std::move(*fd)]() mutable {
            serve(std::move(owned));
            connection.done = true;
        });
    }
}

// Watches the connection while the operation runs: {"op": "cancel"} cancels it; anything else ends the watch.
void ControlServer::watch_for_cancel(int fd, const EventFd& finished) const {
    const Result<Message> message = receive_message(fd, Deadline::never(), finished.fd());
    if (!message) return;
    const Result<Json> request = parse_json(message->text);
    if (request && json_text(*request, "op").value_or("") == "cancel") cancel_();
}

void ControlServer::serve(UniqueFd fd) {
    const Result<PeerCredentials> peer = unix_peer_credentials(fd.get());
    if (!peer || (peer->uid != 0 && peer->uid != ::geteuid())) return;
    Result<ControlRequest> request = receive_request(fd.get(), stop_.fd());
    const Result<EventFd> finished = EventFd::create();
    if (!finished) return;
    Result<Json> outcome = fail(Errc::internal, "not handled");
    Caller caller(fd.get(), request ? std::move(request->descriptors) : std::vector<UniqueFd>());
    if (request) {
        const std::jthread watcher([&] { watch_for_cancel(fd.get(), *finished); });
        outcome = handler_(request->json, caller);
        finished->signal();
    } else {
        outcome = std::unexpected(std::move(request).error());
    }
    const std::string answer = render_json(outcome_to_json(outcome));
    [[maybe_unused]] const Result<void> sent = send_message(fd.get(), answer, {}, Deadline::after(kSendTime));
}

}  // namespace kz::monitor
