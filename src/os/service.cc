#include "os/service.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "os/process.h"

namespace kz {
namespace {

constexpr std::chrono::seconds kStartTimeout{15};
// Another instance may just be ending; a restart shall not fail for that.
constexpr std::chrono::milliseconds kLockTimeout{500};

// Gives the value of an option, from "--port=N" or the next argument.
class Arguments {
  public:
    Arguments(int argc, char** argv) : words_(argv + std::min(argc, 1), argv + argc) {}

    bool next() {
        if (position_ == words_.size()) return false;
        word_ = words_[position_++];
        inline_value_.reset();
        const auto equals = word_.find('=');
        if (word_.starts_with("--") && equals != std::string::npos) {
            inline_value_ = word_.substr(equals + 1);
            word_.erase(equals);
        }
        return true;
    }
    const std::string& word() const { return word_; }
    const std::optional<std::string>& inline_value() const { return inline_value_; }
    Result<std::string> value() {
        if (inline_value_) return *inline_value_;
        if (position_ == words_.size()) return fail(Errc::invalid_argument, "option {} needs a value", word_);
        return words_[position_++];
    }

  private:
    std::vector<std::string> words_;
    std::size_t position_ = 0;
    std::string word_;
    std::optional<std::string> inline_value_;
};

Result<std::uint16_t> parse_port(std::string_view text) {
    const auto number = parse_u64(text);
    if (!number || *number == 0 || *number > 65535)
        return fail(Errc::invalid_argument, "'{}' is not a port", text);
    return static_cast<std::uint16_t>(*number);
}

Result<UniqueFd> block_and_watch_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    if (::sigprocmask(SIG_BLOCK, &set, nullptr) < 0) return fail_errno(errno, "sigprocmask");
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno(errno, "signalfd");
    return fd;
}

Result<UniqueFd> open_log(const std::string& file) {
    if (!file.empty()) return open_file(file, O_WRONLY | O_CREAT | O_APPEND, 0640);
    UniqueFd copy(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail_errno(errno, "standard error");
    return copy;
}

std::string running_pid(const Path& pid_file) {
    const auto text = read_file(pid_file, 64);
    return text ? std::string(trim(*text)) : "unknown";
}

}  // namespace

Result<ServiceOptions> parse_service_options(int argc, char** argv, std::uint16_t default_port) {
    ServiceOptions options;
    options.port = default_port;
    Arguments arguments(argc, argv);
    while (arguments.next()) {
        const std::string& word = arguments.word();
        if (word == "-R" || word == "--root") {
            KZ_TRY(options.root, arguments.value());
        } else if (word == "--port") {
            KZ_TRY(const std::string text, arguments.value());
            KZ_TRY(options.port, parse_port(text));
        } else if (word == "--listen") {
            KZ_TRY(options.address, arguments.value());
        } else if (word == "--log") {
            KZ_TRY(options.log_file, arguments.value());
        } else if (word == "--daemon" && !arguments.inline_value()) {
            options.daemon = true;
        } else if ((word == "--help" || word == "-h") && !arguments.inline_value()) {
            options.help = true;
        } else {
            options.others.push_back(word);
            if (arguments.inline_value()) options.others.push_back(*arguments.inline_value());
        }
    }
    return options;
}

Result<void> start_as_daemon(std::string_view program, std::string_view name, const HostPaths& paths,
                             const ServiceOptions& options) {
    KZ_CHECK(make_directories(paths.log_dir(), 0755));
    const Path log = options.log_file.empty() ? paths.log_dir() / (std::string(name) + ".log")
                                              : std::filesystem::absolute(options.log_file);
    std::vector<std::string> argv{
        HostPaths::program(program).string(), "-R",    paths.root().string(), "--port",
        std::to_string(options.port),         "--log", log.string()};
    if (!options.address.empty()) argv.insert(argv.end(), {"--listen", options.address});
    return spawn_daemon(std::move(argv), {}, Deadline::after(kStartTimeout));
}

Result<Service> Service::start(std::string_view name, const HostPaths& paths, const ServiceOptions& options) {
    KZ_TRY(UniqueFd stop, block_and_watch_signals());
    KZ_CHECK(make_directories(paths.run_dir(), 0755));
    const Path lock_file = paths.run_dir() / (std::string(name) + ".lock");
    const Path pid_file = paths.run_dir() / (std::string(name) + ".pid");
    auto lock = FileLock::acquire(lock_file, Deadline::after(kLockTimeout));
    if (!lock && lock.error().code() == Errc::busy)
        return fail(Errc::busy, "kz-{} is already running (pid {})", name, running_pid(pid_file));
    if (!lock) return std::unexpected(std::move(lock).error());
    KZ_TRY(UniqueFd log_fd, open_log(options.log_file));
    KZ_CHECK(write_file_atomic(pid_file, std::to_string(::getpid()) + "\n", 0644));
    auto log = std::make_unique<Log>(std::move(log_fd), "kz-" + std::string(name));
    return Service(*std::move(lock), pid_file, std::move(stop), std::move(log));
}

namespace {

Result<void> serve_locked(const ServiceProgram& program, const HostPaths& paths,
                          const ServiceOptions& options) {
    KZ_TRY(Service service, Service::start(program.name, paths, options));
    Result<void> served = program.serve(service, paths, options);
    if (!served && !options.log_file.empty()) service.log().error("{}", served.error().message());
    return served;
}

Result<void> serve_in_foreground(const ServiceProgram& program, const HostPaths& paths,
                                 const ServiceOptions& options) {
    Result<void> served = serve_locked(program, paths, options);
    // Without effect once the program has said that it is ready. A failure is told when lock and pid file are
    // gone, so that who hears it may start the program again at once.
    report_ready(served);
    return served;
}

Result<int> run_program(const ServiceProgram& program, int argc, char** argv) {
    KZ_TRY(const ServiceOptions options, parse_service_options(argc, argv, program.default_port));
    if (options.help) {
        fmt::print("{}", program.usage);
        return 0;
    }
    KZ_TRY(const HostPaths paths, HostPaths::from_environment(options.root));
    KZ_TRY(const std::optional<int> status, program.arguments(paths, options));
    if (status) return *status;
    if (options.daemon)
        KZ_CHECK(start_as_daemon(program.program, program.name, paths, options));
    else
        KZ_CHECK(serve_in_foreground(program, paths, options));
    return 0;
}

}  // namespace

int run_service_program(const ServiceProgram& program, int argc, char** argv) {
    constexpr int kFailure = 1;
    constexpr int kWrongUsage = 2;
    const auto status = run_program(program, argc, argv);
    if (status) return *status;
    fmt::print(stderr, "{}: {}\n", program.program, status.error().message());
    if (status.error().code() != Errc::invalid_argument) return kFailure;
    fmt::print(stderr, "{}", program.usage);
    return kWrongUsage;
}

Service::Service(FileLock lock, Path pid_file, UniqueFd stop, std::unique_ptr<Log> log)
    : lock_(std::move(lock)), pid_file_(std::move(pid_file)), stop_(std::move(stop)), log_(std::move(log)) {}

Service::~Service() {
    // Moved-from: the other object has the file. The lock is still held here, so the pid file is ours.
    if (!log_) return;
    std::error_code ignored;
    std::filesystem::remove(pid_file_, ignored);
}

}  // namespace kz
