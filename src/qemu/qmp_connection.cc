#include "qemu/qmp_connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace kz::qemu {
namespace {

using nlohmann::json;

// One sendmsg that never waits, with a descriptor when fd is not negative. 0 when there is no room now.
Result<std::size_t> send_part(int socket, std::string_view text, int fd) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (fd >= 0) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    }
    const ssize_t sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0U;
    if (errno == EPIPE || errno == ECONNRESET)
        return fail(Errc::unavailable, "QEMU closed the monitor connection");
    return fail_errno(errno, "sendmsg");
}

Error failure_as_error(std::string_view command, const QmpFailure& failure) {
    const std::string& error_class = failure.error_class;
    Errc code = Errc::io;
    if (error_class == "CommandNotFound" || error_class == "DeviceNotFound") code = Errc::not_found;
    if (error_class == "DeviceNotActive") code = Errc::wrong_state;
    if (error_class == "GenericError") return Error::make(code, "{}: {}", command, failure.description);
    return Error::make(code, "{}: {} ({})", command, failure.description, error_class);
}

}  // namespace

Result<std::unique_ptr<QmpConnection>> QmpConnection::open(UniqueFd socket, Deadline deadline,
                                                           QmpHandlers handlers) {
    KZ_TRY(EventFd stop, EventFd::create());
    std::unique_ptr<QmpConnection> connection(
        new QmpConnection(std::move(socket), std::move(stop), std::move(handlers)));
    KZ_CHECK(connection->read_greeting(deadline));
    connection->reader_ = std::thread([raw = connection.get()] { raw->run_reader(); });
    json wanted = json::object();
    if (connection->out_of_band_) wanted["enable"] = {"oob"};
    KZ_CHECK(connection->execute("qmp_capabilities", wanted, -1, deadline));
    return connection;
}

Result<void> QmpConnection::read_greeting(Deadline deadline) {
    std::array<Byte, 4096> buffer;
    while (true) {
        if (const auto line = lines_.next_line()) {
            KZ_TRY(QmpMessage message, parse_qmp_message(*line));
            auto* greeting = std::get_if<QmpGreeting>(&message);
            if (greeting == nullptr) return fail(Errc::protocol, "QEMU did not begin with a greeting");
            version_ = std::move(greeting->version);
            out_of_band_ = greeting->out_of_band;
            return {};
        }
        KZ_TRY(const std::size_t got, read_some(socket_.get(), buffer, deadline));
        if (got == 0) return fail(Errc::unavailable, "QEMU closed the monitor connection");
        KZ_CHECK(lines_.append(ByteView(buffer).first(got)));
    }
}

Result<json> QmpConnection::execute(std::string_view command, const json& arguments, int fd,
                                    Deadline deadline, QmpOrder order) {
    if (order == QmpOrder::out_of_band && !out_of_band_)
        return fail(Errc::unsupported, "{}: QEMU takes no commands out of band", command);
    if (std::this_thread::get_id() == reader_id_.load())
        return fail(Errc::internal, "{}: called from an event handler", command);
    std::uint64_t id = 0;
    KZ_TRY(std::future<Outcome> future, announce(id));
    Result<std::string> line = render_qmp_command(command, arguments, id, order);
    const Result<void> sent = line ? send(*line, fd, deadline) : std::unexpected(line.error());
    if (!sent) {
        forget(id);
        return std::unexpected(Error(sent.error()).context(command));
    }
    Outcome reply = await(id, future, deadline);
    if (!reply) return std::unexpected(std::move(reply).error().context(command));
    if (const auto* failure = std::get_if<QmpFailure>(&reply->outcome))
        return std::unexpected(failure_as_error(command, *failure));
    return std::get<json>(std::move(reply->outcome));
}

Result<std::future<QmpConnection::Outcome>> QmpConnection::announce(std::uint64_t& id) {
    const std::lock_guard lock(mutex_);
    if (ended_) return std::unexpected(*ended_);
    id = next_id_++;
    return pending_[id].get_future();
}

Result<void> QmpConnection::send(std::string_view line, int fd, Deadline deadline) {
    const std::lock_guard lock(write_mutex_);
    const std::size_t size = line.size();
    while (!line.empty()) {
        Result<std::size_t> sent = send_part(socket_.get(), line, fd);
        if (sent && *sent > 0) {
            line.remove_prefix(*sent);
            fd = -1;
            continue;
        }
        const Result<void> room = sent ? wait_writable(socket_.get(), deadline, stop_.fd())
                                       : std::unexpected(std::move(sent).error());
        if (!room) {
            // Half a command cannot be taken back: nothing could be understood after it.
            if (line.size() < size) ::shutdown(socket_.get(), SHUT_RDWR);
            return room;
        }
    }
    return {};
}

QmpConnection::Outcome QmpConnection::await(std::uint64_t id, std::future<Outcome>& reply,
                                            Deadline deadline) {
    while (!deadline.passed()) {
        const int timeout = deadline.poll_timeout();
        if (timeout < 0) {
            reply.wait();
            return reply.get();
        }
        if (reply.wait_for(std::chrono::milliseconds(timeout)) == std::future_status::ready)
            return reply.get();
    }
    const std::lock_guard lock(mutex_);
    // Not there any more: the reply has come after all.
    if (pending_.erase(id) == 0) return reply.get();
    return fail(Errc::timeout, "QEMU did not answer in time");
}

void QmpConnection::forget(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    pending_.erase(id);
}

void QmpConnection::subscribe(const std::shared_ptr<EventQueue>& queue) {
    const std::lock_guard lock(mutex_);
    if (ended_) {
        queue->end(*ended_);
        return;
    }
    std::erase_if(queues_, [](const auto& each) { return each.expired(); });
    queues_.push_back(queue);
}

bool QmpConnection::connected() const {
    const std::lock_guard lock(mutex_);
    return !ended_;
}

void QmpConnection::close() {
    const std::lock_guard lock(close_mutex_);
    stop_.signal();
    if (reader_.joinable()) reader_.join();
}

void QmpConnection::run_reader() {
    reader_id_ = std::this_thread::get_id();
    const Error why = read_until_it_ends();
    // Not closed: another thread may be about to write.
    ::shutdown(socket_.get(), SHUT_RDWR);
    end(why);
    if (why.code() != Errc::cancelled && handlers_.on_close) handlers_.on_close(why);
}

Error QmpConnection::read_until_it_ends() {
    std::vector<Byte> buffer(64 * 1024);
    while (true) {
        while (const auto line = lines_.next_line()) {
            if (const auto handled = handle(*line); !handled) return handled.error();
        }
        const auto got = read_some(socket_.get(), buffer, Deadline::never(), stop_.fd());
        if (!got && got.error().code() == Errc::cancelled)
            return Error(Errc::cancelled, "the monitor connection was closed");
        if (!got && got.error().sys_errno() != ECONNRESET) return got.error();
        if (!got || *got == 0) return Error(Errc::unavailable, "QEMU closed the monitor connection");
        if (const auto kept = lines_.append(ByteView(buffer).first(*got)); !kept) return kept.error();
    }
}

Result<void> QmpConnection::handle(std::string_view line) {
    KZ_TRY(QmpMessage message, parse_qmp_message(line));
    if (auto* reply = std::get_if<QmpReply>(&message)) return settle(std::move(*reply));
    if (const auto* event = std::get_if<QmpEvent>(&message)) {
        publish(*event);
        return {};
    }
    return fail(Errc::protocol, "QEMU sent a second greeting");
}

Result<void> QmpConnection::settle(QmpReply reply) {
    const std::lock_guard lock(mutex_);
    if (reply.id >= next_id_) return fail(Errc::protocol, "QEMU answered what nobody asked");
    const auto found = pending_.find(reply.id);
    // Its caller has given up waiting.
    if (found == pending_.end()) return {};
    found->second.set_value(std::move(reply));
    pending_.erase(found);
    return {};
}

void QmpConnection::publish(const QmpEvent& event) {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& each : queues_) {
            if (const auto queue = each.lock()) queue->push(event);
        }
    }
    if (handlers_.on_event) handlers_.on_event(event);
}

void QmpConnection::end(const Error& why) {
    const std::lock_guard lock(mutex_);
    ended_ = why;
    for (auto& [id, promise] : pending_)
        promise.set_value(std::unexpected(why));
    pending_.clear();
    for (const auto& each : queues_) {
        if (const auto queue = each.lock()) queue->end(why);
    }
    queues_.clear();
}

}  // namespace kz::qemu
