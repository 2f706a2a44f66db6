#include "cli/zlogin.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "cli/escape.h"
#include "cli/help_text.h"
#include "cli/interrupts.h"
#include "cli/terminal.h"
#include "cli/zlogin_session.h"
#include "client/client.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::cli {
namespace {

constexpr const char* kUsage =
    "usage: zlogin [-dCES] [-e c] [-l username] [-R root] zonename\n"
    "       zlogin [-ES] [-e c] [-l username] [-R root] zonename utility [argument]...\n";
constexpr const char* kHelp =
    "  -l USER    who logs in, or runs the utility (default root)\n"
    "  -S         root's /bin/sh with as little of the zone as possible, where a login fails\n"
    "  -C         connect to the zone's console\n"
    "  -d         leave when the zone halts\n"
    "  -e C       the escape character (default ~): C. at the start of a line leaves\n"
    "  -E         no escape character\n"
    "  A utility and its arguments are joined with blanks and run by the user's shell; its standard input,\n"
    "  output, error and its exit status are zlogin's. The zone needs no network, but the agent kz-agent.\n";

constexpr std::chrono::seconds kHelloTime{5};
// While the zone has no monitor its socket is looked for anew this often, should inotify have nothing to say.
constexpr int kLookAgainMs = 500;

struct Options {
    std::string root;
    std::string zone;
    char escape = '~';
    bool console = false;
    bool leave_when_halted = false;
    bool failsafe = false;
    std::string user;  // empty: not given
    std::vector<std::string> command;
};

std::optional<Options> read_options(int argc, char** argv) {
    Options options;
    for (int letter = 0; (letter = ::getopt(argc, argv, "+R:CdESe:l:")) != -1;) {
        switch (letter) {
            case 'R':
                options.root = ::optarg;
                break;
            case 'C':
                options.console = true;
                break;
            case 'd':
                options.leave_when_halted = true;
                break;
            case 'E':
                options.escape = '\0';
                break;
            case 'e':
                options.escape = ::optarg[0];
                break;
            case 'l':
                options.user = ::optarg;
                if (options.user.empty()) return std::nullopt;
                break;
            case 'S':
                options.failsafe = true;
                break;
            default:
                return std::nullopt;
        }
    }
    if (::optind >= argc) return std::nullopt;
    options.zone = argv[::optind];
    options.command.assign(argv + ::optind + 1, argv + argc);
    return options;
}

int complain(std::string_view text) {
    fmt::print(stderr, "zlogin: {}\n", text);
    return 1;
}

// One user's session on a console: through any number of monitors, as the zone halts, suspends and comes
// back.
class ConsoleSession {
  public:
    ConsoleSession(client::Client& client, const Options& options)
        : client_(client), options_(options), escape_(options.escape) {}

    Result<void> run() {
        const RawTerminal terminal;
        const Interrupts interrupts;
        // Only now: from here on every key and every signal is dealt with.
        fmt::print("[Connected to zone '{}' console]{}", options_.zone, terminal.line_end());
        std::fflush(stdout);
        KZ_CHECK(watch_run_folder());
        while (!ended_) {
            if (!console_) connect();
            KZ_CHECK(step(interrupts.fd()));
        }
        return {};
    }

  private:
    Result<void> watch_run_folder() {
        const Path folder = client_.paths().zone_run_dir(options_.zone);
        KZ_CHECK(make_directories(folder, 0755));
        inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!inotify_ ||
            ::inotify_add_watch(inotify_.get(), folder.c_str(), IN_CREATE | IN_MOVED_TO | IN_ATTRIB) < 0)
            return fail_errno(errno, folder.string());
        return {};
    }

    // A zone without a monitor has no socket to connect to: that is no error, it may come back.
    void connect() {
        Result<UniqueFd> fd =
            unix_connect(client_.paths().console_socket(options_.zone), Deadline::after(kHelloTime));
        if (!fd) return;
        Json hello = Json::object();
        if (position_) hello["from"] = *position_;
        if (!send_message(fd->get(), render_json(hello), {}, Deadline::after(kHelloTime))) return;
        const Result<Message> answer = receive_message(fd->get(), Deadline::after(kHelloTime));
        if (!answer) return;
        const Result<Json> json = parse_json(answer->text);
        if (!json) return;
        if (const auto position = json_u64(*json, "position")) position_ = *position;
        console_ = std::move(*fd);
    }

    Result<void> step(int interrupt_fd) {
        std::array<pollfd, 4> polled{pollfd{typing_ ? STDIN_FILENO : -1, POLLIN, 0},
                                     pollfd{console_.get(), POLLIN, 0}, pollfd{inotify_.get(), POLLIN, 0},
                                     pollfd{interrupt_fd, POLLIN, 0}};
        if (::poll(polled.data(), polled.size(), console_ ? -1 : kLookAgainMs) < 0) return {};
        if (polled[3].revents != 0) ended_ = true;
        if (polled[2].revents != 0) drain_inotify();
        if (polled[1].revents != 0) KZ_CHECK(show());
        if (polled[0].revents != 0) type();
        if (!console_ && !ended_) leave_if_gone();
        return {};
    }

    void drain_inotify() {
        alignas(inotify_event) std::array<char, 4096> events;
        while (::read(inotify_.get(), events.data(), events.size()) > 0) {
        }
    }

    Result<void> show() {
        std::array<Byte, 16384> chunk;
        const ssize_t got = ::read(console_.get(), chunk.data(), chunk.size());
        if (got <= 0) {
            console_.reset();
            return {};
        }
        *position_ += static_cast<std::uint64_t>(got);
        return write_all(STDOUT_FILENO, ByteView(chunk).first(static_cast<std::size_t>(got)),
                         Deadline::never());
    }

    void type() {
        std::array<char, 1024> chunk;
        const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
        if (got <= 0) {
            // The end of a script's input is not the end of what the zone has to say; a terminal that is gone
            // is.
            typing_ = false;
            ended_ = ended_ || ::isatty(STDOUT_FILENO) != 0;
            return;
        }
        const std::string passed = escape_.pass({chunk.data(), static_cast<std::size_t>(got)});
        ended_ = ended_ || escape_.ended();
        if (console_ && !write_all(console_.get(), as_bytes(passed), Deadline::after(kHelloTime)))
            console_.reset();
    }

    // A zone that has been detached, moved away or uninstalled does not come back to this console.
    void leave_if_gone() {
        const Result<store::ZoneStatus> status = client_.status(options_.zone);
        if (!status || status->state == zone::State::configured || status->state == zone::State::incomplete)
            ended_ = true;
        if (status && options_.leave_when_halted && status->state < zone::State::ready) ended_ = true;
    }

    client::Client& client_;
    const Options& options_;
    EscapeFilter escape_;
    UniqueFd console_;
    UniqueFd inotify_;
    std::optional<std::uint64_t> position_;
    bool typing_ = true;
    bool ended_ = false;
};

int run_console(client::Client& client, const Options& options) {
    const Result<void> outcome = ConsoleSession(client, options).run();
    fmt::print("\n[Connection to zone '{}' console closed]\n", options.zone);
    if (!outcome) return complain(outcome.error().message());
    return 0;
}

SessionOptions session_of(const Options& options) {
    SessionOptions session{
        .zone = options.zone, .command = join(options.command, " "), .escape = options.escape};
    if (!options.user.empty()) session.user = options.user;
    if (!session.command.empty()) session.kind = kz::agent::OpenKind::command;
    if (options.failsafe) session.kind = kz::agent::OpenKind::failsafe;
    return session;
}

int log_in(client::Client& client, const Options& options) {
    if (options.zone == "global") return complain("login not allowed to the global zone");
    const Result<store::ZoneStatus> status = client.status(options.zone);
    if (!status && status.error().code() == Errc::not_found)
        return complain(fmt::format("zone '{}' unknown", options.zone));
    if (!status) return complain(status.error().message());
    if (options.console && !options.user.empty())
        return complain("-l may not be specified for console login");
    if (options.console && !options.command.empty())
        return complain("Commands may not be specified for console login.");
    if (options.console && options.failsafe) return complain("-S may not be specified for console login");
    if (options.failsafe && !options.user.empty()) return complain("-l may not be specified with -S");
    if (status->state == zone::State::configured || status->state == zone::State::incomplete) {
        return complain(fmt::format("cannot login to a zone which is '{}'", zone::state_name(status->state)));
    }
    if (options.console) return run_console(client, options);
    if (status->state != zone::State::running) {
        return complain(fmt::format("login allowed only to running zones ({} is '{}').", options.zone,
                                    zone::state_name(status->state)));
    }
    return run_session(client.paths(), session_of(options));
}

}  // namespace

int zlogin_main(int argc, char** argv) {
    if (asks_for_help(argc, argv)) return show_help(kUsage, kHelp);
    const std::optional<Options> options = read_options(argc, argv);
    if (!options) return show_usage(kUsage);
    ::signal(SIGPIPE, SIG_IGN);
    const Result<HostPaths> paths = HostPaths::from_environment(options->root);
    if (!paths) return complain(paths.error().message());
    Result<client::Client> client = client::Client::open(*paths);
    if (!client) return complain(client.error().message());
    if (::geteuid() != 0) return complain("only a privileged user may log in to a zone");
    return log_in(*client, *options);
}

}  // namespace kz::cli
