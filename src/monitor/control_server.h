// ControlServer: accepts requests on the control socket and gives each to the monitor on a thread of its own.
// For the monitor; the words are in monitor/control.h.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "monitor/control.h"
#include "os/io.h"

namespace kz::monitor {

// What an operation may use to speak to its caller while it works. Thread-safe; a caller that has gone is no
// error.
class Caller {
  public:
    Caller(int fd, std::vector<UniqueFd> descriptors) : descriptors_(std::move(descriptors)), fd_(fd) {}
    // What came with the request; once, for the operation itself.
    std::vector<UniqueFd> take_descriptors() { return std::exchange(descriptors_, {}); }
    void message(std::string_view text);
    void progress(const Json& figures);

  private:
    void send(const Json& note);
    std::vector<UniqueFd> descriptors_;
    std::mutex mutex_;
    int fd_;
};

class ControlServer {
  public:
    using Handler = std::function<Result<Json>(const Json& request, Caller& caller)>;

    // `cancel` is called, on a thread of its own, when the caller of a request that is being handled asks to
    // cancel it.
    static Result<std::unique_ptr<ControlServer>> open(const Path& socket, Handler handler,
                                                       std::function<void()> cancel);
    // Lets requests that are being handled end, and refuses new ones.
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

  private:
    struct Connection {
        std::jthread thread;
        std::atomic<bool> done = false;
    };

    ControlServer(Path socket, UniqueFd listener, EventFd stop, Handler handler, std::function<void()> cancel)
        : socket_(std::move(socket)),
          listener_(std::move(listener)),
          stop_(std::move(stop)),
          handler_(std::move(handler)),
          cancel_(std::move(cancel)) {}
    void watch_for_cancel(int fd, const EventFd& finished) const;
    void run();
    void serve(UniqueFd fd);

    Path socket_;
    UniqueFd listener_;
    EventFd stop_;
    Handler handler_;
    std::function<void()> cancel_;
    std::list<Connection> connections_;
    std::jthread thread_;
};

}  // namespace kz::monitor
