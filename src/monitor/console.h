// Console: a zone's console as its users see it. For the monitor; zlogin -C is at the other end of the
// socket.
//
// Theory of operation. One thread always reads what the guest writes (hvc0, and ttyS0 for the boot loader and
// early kernel messages), keeps the last 64 KiB and hands it to every client; a client that does not read
// delays nobody. What clients type goes to hvc0. The history outlives the monitor, so a client that stays
// through a halt or a suspend comes back with its position and neither loses nor repeats a byte.
//
// On the socket: the client sends one message (os/socket.h) {"from": POSITION} or {"from": null} for the
// whole history; the monitor answers {"position": POSITION} of the first byte that follows; then both sides
// send raw bytes.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "monitor/console_history.h"
#include "os/io.h"

namespace kz::monitor {

class Console {
  public:
    // Listens on `socket`, which root alone may open.
    static Result<std::unique_ptr<Console>> open(const Path& history_file, const Path& socket);
    ~Console();
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    // The connected sockets of a machine that has started (or was adopted); replaces those before.
    void attach(UniqueFd hvc, UniqueFd serial);
    // Call when the machine has ended: reads what it still wrote, up to its end or the deadline, and lets go.
    void drain(Deadline deadline);
    // "[NOTICE: Zone TEXT]" for everyone, with an empty line before it.
    void notice(std::string_view text);

    struct Snapshot {
        Bytes history;
        std::uint64_t end;
    };
    Snapshot snapshot() const;
    void restore(const Snapshot& snapshot);
    // The zone is on its way to this host, and its history with it: forgets what an earlier stay here has
    // left. A client that was there then, and knows how far it has read, waits for restore().
    void expect_history();
    // Waits until every connected client has been given all there is, or the deadline.
    void flush(Deadline deadline);

  private:
    struct Client {
        UniqueFd fd;
        std::optional<std::uint64_t> sent;  // nothing until it has said where it wants to begin
        bool gone = false;
    };

    Console(ConsoleHistory history, UniqueFd listener, EventFd wake, Path socket)
        : history_(std::move(history)),
          listener_(std::move(listener)),
          wake_(std::move(wake)),
          socket_(std::move(socket)) {}
    void run(const std::stop_token& stop);
    void handle_guest(UniqueFd& fd);
    void handle_client(Client& client, short events);
    void greet(Client& client);
    void send_pending(Client& client);
    void accept_client();
    void write_input();
    bool everyone_has_everything() const;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    ConsoleHistory history_;
    bool history_expected_ = false;
    UniqueFd listener_;
    EventFd wake_;
    Path socket_;
    UniqueFd hvc_;
    UniqueFd serial_;
    std::list<Client> clients_;
    std::deque<Byte> input_;
    std::jthread thread_;
};

}  // namespace kz::monitor
