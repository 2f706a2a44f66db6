// zoneadm migrate and history.
#include <unistd.h>

#include <memory>

#include "base/text.h"
#include "cli/interrupts.h"
#include "cli/migrate_arguments.h"
#include "cli/questions.h"
#include "cli/zoneadm.h"
#include "client/migration_limits.h"
#include "migrate/offer.h"
#include "os/io.h"
#include "store/journal.h"

namespace kz::cli {
namespace {

// The questions that a person at a terminal can answer; a script is refused with what to do instead.
void offer_questions(client::MigrateOptions& options, int cancel_fd) {
    auto opened = QuestionTerminal::open();
    if (!opened) return;
    const auto terminal = std::make_shared<const QuestionTerminal>(*std::move(opened));
    options.confirm_host_key = [terminal, cancel_fd](const std::string& question) {
        const Result<std::string> answer = terminal->ask(question, cancel_fd);
        return answer && *answer == "yes";
    };
    options.ask_password = [terminal, cancel_fd](const std::string& prompt) {
        return terminal->ask_password(prompt, cancel_fd);
    };
}

std::string readable_rate(std::uint64_t bytes_per_second) {
    return fmt::format("{:.1f} MB/s", static_cast<double>(bytes_per_second) / 1e6);
}

std::string readable_time_left(const Json& figures) {
    const auto left = json_u64(figures, "time_left_ms");
    if (!left) return "no end in sight";
    const std::uint64_t seconds = (*left + 999) / 1000;
    return seconds < 60 ? fmt::format("{} s left", seconds)
                        : fmt::format("{}:{:02} min left", seconds / 60, seconds % 60);
}

// One live line, rewritten in place.
void show_progress(const Json& figures) {
    const auto number = [&](std::string_view key) { return json_u64(figures, key).value_or(0); };
    const std::uint64_t total = number("total");
    const std::uint64_t percent = total == 0 ? 0 : 100 - std::min(number("remaining"), total) * 100 / total;
    fmt::print(stderr, "\r{:3}%  sent {} MiB at {}  changing {}  pause now {} ms  {}\x1b[K\r", percent,
               number("transferred") >> 20, readable_rate(number("bytes_per_second")),
               readable_rate(number("dirty_bytes_per_second")), number("expected_pause_ms"),
               readable_time_left(figures));
}

int list_ciphers(const ZoneadmCall& call, const client::MigrateOptions& options,
                 const client::Reporter& reporter) {
    const Result<std::vector<std::string>> theirs = call.client.destination_ciphers(options, reporter);
    if (!theirs) {
        zoneadm_message(call.zone, theirs.error().message());
        return kExitError;
    }
    fmt::print("source ciphers: {}\ndestination ciphers: {}\n", join(migrate::cipher_names(), " "),
               join(*theirs, " "));
    return kExitOk;
}

// "12, 34 and 5 bytes": of each memory connection.
std::string readable_shares(const Json& report) {
    if (!report.contains("connection_bytes") || !report["connection_bytes"].is_array()) return {};
    std::vector<std::string> shares;
    for (const Json& each : report["connection_bytes"])
        shares.push_back(each.dump());
    return join(shares, " ");
}

void print_report(const ZoneadmCall& call, const Json& report) {
    if (!report.contains("pause_ms")) return;
    const std::string key = json_text(report, "fingerprint").value_or("");
    zoneadm_message(
        call.zone,
        fmt::format("to {}: pause {} ms, {} bytes in {} ms, compressed {}:1, {}, {} memory connections, {}",
                    report["peer"].get<std::string>(), report["pause_ms"].dump(), report["bytes"].dump(),
                    report["total_ms"].dump(), report["compression"].dump(),
                    report["cipher"].get<std::string>(), report["connections"].dump(),
                    key.empty() ? "host known to ssh" : "key " + key));
    if (const std::string shares = readable_shares(report); !shares.empty())
        zoneadm_message(call.zone, "bytes of each connection: " + shares);
}

std::string readable_peer(const Json& entry) {
    const auto peer = json_text(entry, "peer");
    if (!peer) return "-";
    return (json_text(entry, "direction").value_or("out") == "in" ? "from " : "to ") + *peer;
}

// One line of JSON a note, for programs: {"zone": NAME, "message" | "progress" | "report" | "error": ...}.
void print_json(const std::string& zone, const char* kind, const Json& value) {
    fmt::print("{}\n", render_json({{"zone", zone}, {kind, value}}));
    std::fflush(stdout);
}

client::Reporter make_reporter(const ZoneadmCall& call, const MigrateArguments& arguments) {
    client::Reporter reporter = zoneadm_reporter(call);
    if (arguments.json) {
        reporter.message = [zone = call.zone](const std::string& text) { print_json(zone, "message", text); };
        reporter.progress = [zone = call.zone](const Json& figures) {
            print_json(zone, "progress", figures);
        };
    } else if (arguments.quiet) {
        reporter.message = nullptr;
    } else if (::isatty(STDERR_FILENO) != 0) {
        reporter.progress = show_progress;
        reporter.message = [zone = call.zone](const std::string& text) {
            fmt::print(stderr, "\x1b[K");
            zoneadm_message(zone, text);
        };
    }
    return reporter;
}

// Who gave up too late is told so; all is well otherwise.
void say_too_late(const Json& report, const client::Reporter& reporter) {
    const bool dry_run = report.contains("dry_run");
    if (!dry_run && wait_readable(reporter.cancel_fd, Deadline::after(std::chrono::milliseconds(0))))
        reporter.say("too late: moved");
}

int set_bandwidth(const ZoneadmCall& call, std::uint64_t bandwidth) {
    const Result<void> done = client::limit_migration(call.client.paths(), call.zone, bandwidth);
    if (done) return kExitOk;
    zoneadm_message(call.zone, done.error().message());
    return kExitError;
}

int finish(const ZoneadmCall& call, const MigrateArguments& arguments, const Result<Json>& report) {
    if (!report) {
        zoneadm_message(call.zone, report.error().message());
        if (arguments.json)
            print_json(call.zone, "error",
                       {{"code", errc_name(report.error().code())}, {"message", report.error().message()}});
        return kExitError;
    }
    if (arguments.json)
        print_json(call.zone, "report", *report);
    else if (arguments.verbose)
        print_report(call, *report);
    return kExitOk;
}

}  // namespace

int zoneadm_migrate(const ZoneadmCall& call) {
    Result<MigrateArguments> arguments = read_migrate_arguments(call.words);
    if (!arguments) {
        if (!arguments.error().message().empty()) zoneadm_message(call.zone, arguments.error().message());
        return zoneadm_usage(call);
    }
    if (arguments->set_bandwidth) return set_bandwidth(call, *arguments->set_bandwidth);
    const Interrupts interrupts;
    client::Reporter reporter = make_reporter(call, *arguments);
    reporter.cancel_fd = interrupts.fd();
    offer_questions(arguments->options, interrupts.fd());
    if (arguments->boot_writable) reporter.say("-w has no meaning for linux-kz zones, and is ignored.");
    if (arguments->options.cipher == "list") return list_ciphers(call, arguments->options, reporter);
    const Result<Json> report = call.client.migrate(call.zone, arguments->options, reporter);
    if (report) say_too_late(*report, reporter);
    return finish(call, *arguments, report);
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
                   json_text(entry, "cipher").value_or("-"), number("connections"), readable_peer(entry));
    }
    return kExitOk;
}

}  // namespace kz::cli
