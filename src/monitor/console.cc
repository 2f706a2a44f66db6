#include "monitor/console.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/json.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxInput = 4096;
constexpr std::size_t kChunk = 16 * 1024;
constexpr std::chrono::milliseconds kGreetingTime{1000};

bool would_block() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

Result<std::unique_ptr<Console>> Console::open(const Path& history_file, const Path& socket) {
    KZ_TRY(ConsoleHistory history, ConsoleHistory::open(history_file));
    KZ_TRY(UniqueFd listener, unix_listen(socket, 0600));
    KZ_TRY(EventFd wake, EventFd::create());
    std::unique_ptr<Console> console(
        new Console(std::move(history), std::move(listener), std::move(wake), socket));
    console->thread_ = std::jthread([raw = console.get()](const std::stop_token& stop) { raw->run(stop); });
    return console;
}

Console::~Console() {
    thread_.request_stop();
    wake_.signal();
    if (thread_.joinable()) thread_.join();
    ::unlink(socket_.c_str());
}

void Console::attach(UniqueFd hvc, UniqueFd serial) {
    const std::lock_guard lock(mutex_);
    hvc_ = std::move(hvc);
    serial_ = std::move(serial);
    for (const UniqueFd* fd : {&hvc_, &serial_}) {
        if (*fd) [[maybe_unused]]
            const Result<void> set = set_nonblocking(fd->get(), true);
    }
    input_.clear();
    wake_.signal();
}

void Console::drain(Deadline deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(deadline.poll_timeout()),
                      [this] { return !hvc_ && !serial_; });
    hvc_.reset();
    serial_.reset();
    // The thread may be polling them: they are closed in earnest once it looks up.
    wake_.signal();
}

void Console::notice(std::string_view text) {
    const std::lock_guard lock(mutex_);
    history_.append(as_bytes(fmt::format("\r\n[NOTICE: Zone {}]\r\n", text)));
    wake_.signal();
}

Console::Snapshot Console::snapshot() const {
    const std::lock_guard lock(mutex_);
    return {history_.read(history_.begin(), kConsoleHistoryBytes), history_.end()};
}

void Console::restore(const Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    history_.restore(snapshot.history, snapshot.end);
    history_expected_ = false;
    for (Client& client : clients_) {
        if (client.sent) client.sent = std::min(*client.sent, history_.end());
    }
    wake_.signal();
}

void Console::expect_history() {
    const std::lock_guard lock(mutex_);
    history_.restore({}, 0);
    history_expected_ = true;
}

void Console::flush(Deadline deadline) {
    wake_.signal();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(deadline.poll_timeout()),
                      [this] { return everyone_has_everything(); });
}

bool Console::everyone_has_everything() const {
    for (const Client& client : clients_) {
        if (!client.gone && client.sent && *client.sent < history_.end()) return false;
    }
    return true;
}

// The loop of the thread: builds the poll set under the lock, waits without it.
void Console::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::vector<pollfd> polled{{listener_.get(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
        std::vector<Client*> order;
        {
            const std::lock_guard lock(mutex_);
            std::erase_if(clients_, [](const Client& client) { return client.gone; });
            polled.push_back({hvc_.get(), static_cast<short>(input_.empty() ? POLLIN : POLLIN | POLLOUT), 0});
            polled.push_back({serial_.get(), POLLIN, 0});
            for (Client& client : clients_) {
                const bool behind = client.sent && *client.sent < history_.end();
                const bool accepts = input_.size() < kMaxInput;
                polled.push_back({client.fd.get(),
                                  static_cast<short>((accepts ? POLLIN : 0) | (behind ? POLLOUT : 0)), 0});
                order.push_back(&client);
            }
        }
        if (::poll(polled.data(), polled.size(), -1) < 0) continue;
        const std::lock_guard lock(mutex_);
        if (polled[1].revents != 0) wake_.reset();
        // attach() may have replaced the descriptors meanwhile; reading is non-blocking, so a stale hint does
        // no harm.
        if (polled[2].revents != 0) handle_guest(hvc_);
        if (polled[3].revents != 0) handle_guest(serial_);
        write_input();
        for (std::size_t i = 0; i < order.size(); ++i)
            handle_client(*order[i], polled[4 + i].revents);
        if (polled[0].revents != 0) accept_client();
        changed_.notify_all();
    }
}

void Console::handle_guest(UniqueFd& fd) {
    if (!fd) return;
    std::array<Byte, kChunk> chunk;
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got > 0) {
        history_.append(ByteView(chunk).first(static_cast<std::size_t>(got)));
    } else if (got == 0 || !would_block()) {
        fd.reset();
    }
}

void Console::write_input() {
    while (hvc_ && !input_.empty()) {
        std::array<Byte, 512> chunk;
        const std::size_t length = std::min(input_.size(), chunk.size());
        std::copy_n(input_.begin(), length, chunk.begin());
        const ssize_t written = ::send(hvc_.get(), chunk.data(), length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written <= 0) return;
        input_.erase(input_.begin(), input_.begin() + written);
    }
    if (!hvc_) input_.clear();
}

void Console::accept_client() {
    Result<UniqueFd> fd = accept_connection(listener_.get(), Deadline::after(std::chrono::milliseconds(0)));
    if (!fd || clients_.size() >= kMaxClients) return;
    set_socket_buffers(fd->get(), 256 * 1024);
    clients_.push_back(Client{std::move(*fd), std::nullopt});
}

void Console::greet(Client& client) {
    const Result<Message> hello = receive_message(client.fd.get(), Deadline::after(kGreetingTime));
    client.gone = true;
    if (!hello) return;
    const Result<Json> wish = parse_json(hello->text);
    if (!wish) return;
    const auto from = json_optional_u64(*wish, "from");
    if (!from) return;
    const std::uint64_t wished = from->value_or(0);
    client.sent = history_expected_ ? wished : std::clamp(wished, history_.begin(), history_.end());
    const std::string answer = render_json({{"position", *client.sent}});
    if (!send_message(client.fd.get(), answer, {}, Deadline::after(kGreetingTime))) return;
    client.gone = !set_nonblocking(client.fd.get(), true).has_value();
}

void Console::handle_client(Client& client, short events) {
    if (events != 0 && !client.sent) return greet(client);
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && input_.size() < kMaxInput) {
        std::array<Byte, 1024> chunk;
        const ssize_t got =
            ::read(client.fd.get(), chunk.data(), std::min(chunk.size(), kMaxInput - input_.size()));
        if (got > 0 && hvc_) input_.insert(input_.end(), chunk.begin(), chunk.begin() + got);
        if (got == 0 || (got < 0 && !would_block())) client.gone = true;
        write_input();
    } else if ((events & (POLLHUP | POLLERR)) != 0) {
        // The guest takes no input and this client has hung up: what it still had to say has no place to go,
        // and poll would report it without end.
        client.gone = true;
    }
    if (!client.gone) send_pending(client);
}

void Console::send_pending(Client& client) {
    while (client.sent && *client.sent < history_.end()) {
        if (*client.sent < history_.begin()) client.sent = history_.begin();
        const Bytes chunk = history_.read(*client.sent, kChunk);
        const ssize_t written =
            ::send(client.fd.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && !would_block()) client.gone = true;
        if (written <= 0) return;
        *client.sent += static_cast<std::uint64_t>(written);
    }
}

}  // namespace kz::monitor
