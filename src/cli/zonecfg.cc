#include "cli/zonecfg.h"

#include <getopt.h>
#include <unistd.h>

#include <iostream>

#include "base/text.h"
#include "cli/help_text.h"
#include "cli/line_editor.h"
#include "cli/zonecfg_environment.h"
#include "cli/zonecfg_live.h"
#include "client/client.h"
#include "os/file.h"
#include "zone/names.h"
#include "zonecfg/help.h"
#include "zonecfg/parse_export.h"
#include "zonecfg/session.h"

namespace kz::cli {

namespace {

using zonecfg::Session;
using zonecfg::Source;

struct Options {
    std::string zone;
    std::string root;
    std::optional<std::string> file;
    bool live = false;
    std::string command;  // the words after the options, joined with blanks
};

int fail_usage(std::string_view message) {
    if (!message.empty()) std::cerr << message << '\n';
    std::cerr << zonecfg::usage_text();
    return zonecfg::kExitUsage;
}

int fail_error(std::string_view message) {
    std::cerr << "zonecfg: " << message << '\n';
    return zonecfg::kExitError;
}

// Nothing when the command line is wrong; getopt has said why.
std::optional<Options> read_options(int argc, char** argv) {
    Options options;
    optind = 1;
    for (int letter = getopt(argc, argv, "+z:R:f:r"); letter != -1; letter = getopt(argc, argv, "+z:R:f:r")) {
        switch (letter) {
            case 'z':
                options.zone = optarg;
                break;
            case 'R':
                options.root = optarg;
                break;
            case 'f':
                options.file = optarg;
                break;
            case 'r':
                options.live = true;
                break;
            default:
                return std::nullopt;
        }
    }
    options.command = join(std::vector<std::string>(argv + optind, argv + argc), " ");
    return options;
}

// Feeds a text line by line. False when the session ended before.
void feed(Session& session, std::string_view text) {
    while (!text.empty() && !session.done()) {
        const auto size = std::min(text.find('\n'), text.size());
        session.execute(text.substr(0, size));
        text.remove_prefix(std::min(size + 1, text.size()));
    }
}

int finish_batch(Session& session) {
    session.finish();
    return session.status();
}

int run_file(Session& session, const std::string& text) {
    if (!session.open()) return session.status();
    feed(session, text);
    return finish_batch(session);
}

int run_pipe(Session& session) {
    if (!session.open()) return session.status();
    std::string line;
    while (!session.done() && std::getline(std::cin, line))
        session.execute(line);
    return finish_batch(session);
}

int run_terminal(Session& session) {
    if (!session.open()) return session.status();
    LineEditor editor("zonecfg", [&](std::string_view text) { return session.complete(text); });
    do {
        while (!session.done()) {
            const auto line = editor.read(session.prompt());
            if (!line) {
                std::cout << std::endl;
                break;
            }
            session.execute(*line);
        }
    } while (!session.finish());
    return session.status();
}

Result<std::string> read_commands(const std::string& file) {
    if (file != "-") return read_file(file, zonecfg::kMaxConfigText);
    std::string text(std::istreambuf_iterator<char>(std::cin), {});
    if (text.size() > zonecfg::kMaxConfigText) return fail(Errc::invalid_argument, "stdin: too long");
    return text;
}

int run(const Options& options, zonecfg::Environment& environment) {
    if (options.file) {
        const auto text = read_commands(*options.file);
        if (!text) return fail_error(fmt::format("could not open file {}", text.error().message()));
        const std::string shown = *options.file == "-" ? "" : *options.file;
        Session session(environment, {.zone = options.zone, .source = Source::file, .file_name = shown});
        return run_file(session, *text);
    }
    if (!options.command.empty()) {
        Session session(environment, {.zone = options.zone, .source = Source::command_line});
        return run_file(session, options.command);
    }
    const bool terminal = isatty(STDIN_FILENO) != 0;
    Session session(environment,
                    {.zone = options.zone, .source = terminal ? Source::terminal : Source::pipe});
    return terminal ? run_terminal(session) : run_pipe(session);
}

// -r edits the running zone: what it runs with until its next boot.
int run_live(const Options& options, const HostPaths& paths, store::Registry registry) {
    auto client = client::Client::open(paths);
    if (!client) return fail_error(client.error().message());
    LiveEnvironment environment(std::move(registry), *std::move(client));
    const auto state = environment.state(options.zone);
    if (!state) return fail_error(fmt::format("-r: {}: {}", options.zone, zone::kNoSuchZone));
    if (*state != zone::State::running)
        return fail_error(fmt::format("-r: zone '{}' is not running", options.zone));
    return run(options, environment);
}

bool asks_for_help(const std::string& command) {
    return command == "help" || command.starts_with("help ");
}

}  // namespace

int zonecfg_main(int argc, char** argv) {
    if (asks_for_help(argc, argv)) {
        std::cout << zonecfg::usage_text() << '\n' << zonecfg::commands_text();
        return zonecfg::kExitOk;
    }
    const auto options = read_options(argc, argv);
    if (!options) return fail_usage("");
    if (options->file && !options->command.empty())
        return fail_usage("zonecfg: -f and a command exclude each other");
    if (options->zone.empty() && !asks_for_help(options->command))
        return fail_usage("zonecfg: no zone specified");
    if (!options->zone.empty() && !zone::is_valid_zone_name(options->zone))
        return fail_usage(fmt::format("{}: {}", options->zone, zone::kBogusZoneName));
    auto paths = HostPaths::from_environment(options->root);
    if (!paths) return fail_error(paths.error().message());
    auto registry = store::Registry::open(*paths);
    if (!registry) return fail_error(registry.error().message());
    if (options->live) return run_live(*options, *paths, *std::move(registry));
    HostEnvironment environment(*std::move(registry));
    return run(*options, environment);
}

}  // namespace kz::cli
