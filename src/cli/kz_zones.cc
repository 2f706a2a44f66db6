#include "cli/kz_zones.h"

#include <getopt.h>
#include <unistd.h>

#include <optional>

#include "base/text.h"
#include "cli/help_text.h"
#include "client/client.h"
#include "client/host_zones.h"

namespace kz::cli {
namespace {

constexpr const char* kUsage = "usage: kz-zones [-R root] [-t seconds] start|stop\n";
constexpr const char* kHelp =
    "  start         boot the zones with autoboot=true, those with boot-priority=high first\n"
    "  stop          end the zones that run, as their autoshutdown says: suspended, shut down, or halted\n"
    "  -t SECONDS    how long storage that does not answer yet is waited for (default 300), or a zone may "
    "take\n"
    "                to shut down before it is halted (default 120)\n";
constexpr std::uint64_t kLongestPatience = 24 * 60 * 60;
constexpr std::chrono::seconds kStoragePatience{300};

struct Options {
    std::string root;
    std::optional<std::chrono::seconds> patience;
    bool start = false;
};

std::optional<Options> read_options(int argc, char** argv) {
    Options options;
    for (int letter = 0; (letter = ::getopt(argc, argv, "+R:t:")) != -1;) {
        if (letter == 'R') {
            options.root = ::optarg;
            continue;
        }
        const auto seconds = letter == 't' ? parse_u64(::optarg) : std::nullopt;
        if (!seconds || *seconds > kLongestPatience) return std::nullopt;
        options.patience = std::chrono::seconds(*seconds);
    }
    if (::optind + 1 != argc) return std::nullopt;
    const std::string_view word = argv[::optind];
    options.start = word == "start";
    return options.start || word == "stop" ? std::optional(options) : std::nullopt;
}

void complain(const std::string& text) {
    fmt::print(stderr, "kz-zones: {}\n", text);
}

}  // namespace

int kz_zones_main(int argc, char** argv) {
    if (asks_for_help(argc, argv)) return show_help(kUsage, kHelp);
    const std::optional<Options> options = read_options(argc, argv);
    if (!options) return show_usage(kUsage);
    const Result<HostPaths> paths = HostPaths::from_environment(options->root);
    if (!paths) {
        complain(paths.error().message());
        return 1;
    }
    if (::geteuid() != 0) {
        complain("only a privileged user may start and stop a host's zones");
        return 1;
    }
    const client::ZoneTeller tell = [](const std::string& zone, const std::string& text) {
        complain(fmt::format("zone '{}': {}", zone, text));
    };
    const Result<unsigned> failed =
        options->start
            ? client::start_host_zones(*paths, options->patience.value_or(kStoragePatience), tell)
            : client::stop_host_zones(*paths, options->patience.value_or(client::kShutdownPatience), tell);
    if (!failed) complain(failed.error().message());
    return failed && *failed == 0 ? 0 : 1;
}

}  // namespace kz::cli
