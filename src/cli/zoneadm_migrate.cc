// zoneadm migrate and history.
#include <getopt.h>
#include <unistd.h>

#include <array>
#include <iostream>

#include "base/text.h"
#include "cli/interrupts.h"
#include "cli/zoneadm.h"
#include "migrate/offer.h"
#include "store/journal.h"

namespace kz::cli {
namespace {

struct Arguments {
    client::MigrateOptions options;
    bool quiet = false;
    bool verbose = false;
};

bool take_option(int letter, const std::string& text, Arguments& arguments) {
    switch (letter) {
        case 'n':
            return arguments.options.dry_run = true;
        case 'q':
            return arguments.quiet = true;
        case 'v':
            return arguments.verbose = true;
        case 'a':
            return arguments.options.accept_new_host_key = true;
        case 'c':
            arguments.options.cipher = text;
            return true;
        case 't':
            arguments.options.type = text;
            return text == "auto" || text == "live" || text == "warm" || text == "cold";
        case 'C': {
            const auto number = parse_u64(text);
            arguments.options.connections = static_cast<unsigned>(number.value_or(0));
            return number && *number > 0 && *number < migrate::kMaxChannels;
        }
        default:
            return false;
    }
}

std::optional<Arguments> read_arguments(const ZoneadmCall& call) {
    static constexpr std::array kLong{option{"connections", required_argument, nullptr, 'C'},
                                      option{"accept-new", no_argument, nullptr, 'a'},
                                      option{nullptr, 0, nullptr, 0}};
    Arguments arguments;
    std::vector<char*> argv;
    for (const std::string& word : call.words)
        argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const int argc = static_cast<int>(call.words.size());
    ::optind = 0;
    for (int letter = 0;
         (letter = ::getopt_long(argc, argv.data(), "+:nqvc:t:", kLong.data(), nullptr)) != -1;) {
        if (!take_option(letter, ::optarg != nullptr ? ::optarg : "", arguments)) return std::nullopt;
    }
    if (::optind + 1 != argc) return std::nullopt;
    arguments.options.destination = argv[static_cast<std::size_t>(::optind)];
    return arguments;
}

bool confirm_on_terminal(const std::string& question) {
    fmt::print(stderr, "{}", question);
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "yes";
}

std::string readable_rate(double bytes_per_second) {
    return fmt::format("{:.1f} MB/s", bytes_per_second / 1e6);
}

// One live line, rewritten in place.
void show_progress(const Json& figures) {
    const std::uint64_t total = json_u64(figures, "total").value_or(0);
    const std::uint64_t remaining = json_u64(figures, "remaining").value_or(0);
    const std::uint64_t sent = json_u64(figures, "transferred").value_or(0);
    const double rate = figures.contains("megabits_per_second") && figures["megabits_per_second"].is_number()
                            ? figures["megabits_per_second"].get<double>() * 1e6 / 8
                            : 0;
    const unsigned percent = total == 0 ? 0 : static_cast<unsigned>(100 - remaining * 100 / total);
    fmt::print(stderr, "\r{:3}%  sent {} MiB  {}  changing {}  pause now {} ms \x1b[K\r", percent, sent >> 20,
               readable_rate(rate),
               readable_rate(static_cast<double>(json_u64(figures, "dirty_bytes_per_second").value_or(0))),
               json_u64(figures, "expected_pause_ms").value_or(0));
}

int list_ciphers(const ZoneadmCall& call, const client::MigrateOptions& options) {
    const Result<std::vector<std::string>> theirs = call.client.destination_ciphers(options);
    if (!theirs) {
        zoneadm_message(call.zone, theirs.error().message());
        return kExitError;
    }
    fmt::print("source ciphers: {}\ndestination ciphers: {}\n", join(migrate::cipher_names(), " "),
               join(*theirs, " "));
    return kExitOk;
}

void print_report(const ZoneadmCall& call, const Json& report) {
    if (!report.contains("pause_ms")) return;
    zoneadm_message(
        call.zone,
        fmt::format("to {}: pause {} ms, {} bytes in {} ms, {}, {} memory connections, key {}",
                    report["peer"].get<std::string>(), report["pause_ms"].dump(), report["bytes"].dump(),
                    report["total_ms"].dump(), report["cipher"].get<std::string>(),
                    report["connections"].dump(), report["fingerprint"].get<std::string>()));
}

}  // namespace

int zoneadm_migrate(const ZoneadmCall& call) {
    std::optional<Arguments> arguments = read_arguments(call);
    if (!arguments) return zoneadm_usage(call);
    if (::isatty(STDIN_FILENO) != 0) arguments->options.confirm_host_key = confirm_on_terminal;
    if (arguments->options.cipher == "list") return list_ciphers(call, arguments->options);
    const Interrupts interrupts;
    client::Reporter reporter = zoneadm_reporter(call);
    reporter.cancel_fd = interrupts.fd();
    if (arguments->quiet) reporter.message = nullptr;
    if (!arguments->quiet && ::isatty(STDERR_FILENO) != 0) {
        reporter.progress = show_progress;
        reporter.message = [zone = call.zone](const std::string& text) {
            fmt::print(stderr, "\x1b[K");
            zoneadm_message(zone, text);
        };
    }
    const Result<Json> report = call.client.migrate(call.zone, arguments->options, reporter);
    if (!report) {
        zoneadm_message(call.zone, report.error().message());
        return kExitError;
    }
    if (arguments->verbose) print_report(call, *report);
    return kExitOk;
}

int zoneadm_history(const ZoneadmCall& call) {
    const bool json = call.words.size() == 2 && call.words[1] == "--json";
    if (call.words.size() > 1 && !json) return zoneadm_usage(call);
    const Result<std::vector<Json>> entries = store::read_journal(call.client.paths(), call.zone);
    if (!entries) {
        zoneadm_message(call.zone, entries.error().message());
        return kExitError;
    }
    if (json) {
        fmt::print("{}\n", render_json(Json(*entries), 2));
        return kExitOk;
    }
    fmt::print("{:<25} {:<8} {:>9} {:>12} {:<18} {:>5} {}\n", "WHEN", "MOVE", "PAUSE ms", "BYTES", "CIPHER",
               "CONNS", "PEER");
    for (const Json& entry : *entries) {
        const auto number = [&](const char* key) {
            const auto value = json_u64(entry, key);
            return value ? std::to_string(*value) : std::string("-");
        };
        fmt::print("{:<25} {:<8} {:>9} {:>12} {:<18} {:>5} {}\n", json_text(entry, "when").value_or("-"),
                   json_text(entry, "move").value_or("-"), number("pause_ms"), number("bytes"),
                   json_text(entry, "cipher").value_or("-"), number("connections"),
                   json_text(entry, "peer").value_or("-"));
    }
    return kExitOk;
}

}  // namespace kz::cli
