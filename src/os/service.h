// Service: what kz-radd and kz-migrd share as programs: options, one instance per root, pid file, log,
// signals, --daemon. For the main functions of daemons.
//
// Files: run/zones/NAME.lock (held while it runs), run/zones/NAME.pid, var/log/zones/NAME.log.
#pragma once

#include <cstdint>
#include <functional>
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
    std::vector<std::string> others;  // the rest, in order; "--x=y" as two
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

// A daemon program: everything between main() and what it serves.
struct ServiceProgram {
    std::string_view program;  // "kz-radd", as beside the running one
    std::string_view name;     // "radd", for its files
    std::uint16_t default_port = 0;
    std::string_view usage;
    // Looks at the arguments that are not ServiceOptions: nothing goes on to serve, a number is the exit
    // status. Errc::invalid_argument is wrong usage (2).
    std::function<Result<std::optional<int>>(const HostPaths&, const ServiceOptions&)> arguments;
    // Opens its sockets, calls report_ready({}) (os/process.h), and serves until service.stop_fd().
    std::function<Result<void>(Service& service, const HostPaths&, const ServiceOptions&)> serve;
};
// Returns the exit status: 0, 1 for failures, 2 for wrong usage; messages go to stderr as "PROGRAM: ...".
int run_service_program(const ServiceProgram& program, int argc, char** argv);

}  // namespace kz
