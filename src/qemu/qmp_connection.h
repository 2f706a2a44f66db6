// QmpConnection: the socket, the reader thread and the commands under way of a Qmp. Inside qemu only.
#pragma once

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "os/io.h"
#include "qemu/event_queue.h"
#include "qemu/qmp_message.h"

namespace kz::qemu {

class QmpConnection {
  public:
    static Result<std::unique_ptr<QmpConnection>> open(UniqueFd socket, Deadline deadline,
                                                       QmpHandlers handlers);
    ~QmpConnection() { close(); }
    QmpConnection(const QmpConnection&) = delete;
    QmpConnection& operator=(const QmpConnection&) = delete;

    Result<nlohmann::json> execute(std::string_view command, const nlohmann::json& arguments, int fd,
                                   Deadline deadline, QmpOrder order = QmpOrder::queued);
    void subscribe(const std::shared_ptr<EventQueue>& queue);
    bool connected() const;
    const nlohmann::json& version() const { return version_; }
    void close();

  private:
    using Outcome = Result<QmpReply>;

    QmpConnection(UniqueFd socket, EventFd stop, QmpHandlers handlers)
        : socket_(std::move(socket)), stop_(std::move(stop)), handlers_(std::move(handlers)) {}

    Result<void> read_greeting(Deadline deadline);
    Result<std::future<Outcome>> announce(std::uint64_t& id);
    Result<void> send(std::string_view line, int fd, Deadline deadline);
    Outcome await(std::uint64_t id, std::future<Outcome>& reply, Deadline deadline);
    void forget(std::uint64_t id);

    void run_reader();
    Error read_until_it_ends();
    Result<void> handle(std::string_view line);
    Result<void> settle(QmpReply reply);
    void publish(const QmpEvent& event);
    void end(const Error& why);

    UniqueFd socket_;
    EventFd stop_;
    const QmpHandlers handlers_;
    nlohmann::json version_;
    bool out_of_band_ = false;
    LineBuffer lines_;  // the reader's alone, once it runs
    std::thread reader_;
    std::atomic<std::thread::id> reader_id_;
    std::mutex close_mutex_;
    std::mutex write_mutex_;

    mutable std::mutex mutex_;  // guards what follows
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, std::promise<Outcome>> pending_;
    std::vector<std::weak_ptr<EventQueue>> queues_;
    std::optional<Error> ended_;
};

}  // namespace kz::qemu
