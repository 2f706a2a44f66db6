// Service: what kz-radd and kz-migrd share as programs: options, one instance per root, pid file, log,
// signals, --daemon. For the main functions of daemons.
//
// Files: run/zones/NAME.lock (held while it runs), run/zones/NAME.pid, var/log/zones/NAME.log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "os/file.h"
#include "os/paths.h"

namespace kz {

struct ServiceOptions {
    std::string root;  // -R; empty: KZONES_ROOT or /
    std::uint16_t port = 0;
    std::string address;  // --listen; empty: every address
    bool daemon = false;
    bool help = false;
    std::string log_file;             // --log; empty: standard error
    std::vector<std::string> others;  // arguments that are not these, in order
};
// "-R DIR --port N --listen ADDR --daemon --log FILE --help", also as "--port=N". Errors:
// Errc::invalid_argument.
Result<ServiceOptions> parse_service_options(int argc, char** argv, std::uint16_t default_port);

// Starts the same program again as a daemon with its log in var/log/zones/NAME.log, and waits until it is
// ready or says why not. `program` is its name beside the running one ("kz-radd").
Result<void> start_as_daemon(std::string_view program, std::string_view name, const HostPaths& paths,
                             const ServiceOptions& options);

// The running daemon. Construct it before any thread: it blocks SIGTERM and SIGINT, which stop_fd() tells.
class Service {
  public:
    // Errors: Errc::busy when another instance has this root (its pid is named).
    static Result<Service> start(std::string_view name, const HostPaths& paths,
                                 const ServiceOptions& options);
    Service(Service&&) noexcept = default;
    Service(const Service&) = delete;
    Service& operator=(Service&&) = delete;
    ~Service();

    // Readable when the service shall end.
    int stop_fd() const { return stop_.get(); }
    Log& log() { return *log_; }

  private:
    Service(FileLock lock, Path pid_file, UniqueFd stop, std::unique_ptr<Log> log);
    FileLock lock_;
    Path pid_file_;
    UniqueFd stop_;
    std::unique_ptr<Log> log_;
};

}  // namespace kz
