// The sub-commands of zoneadm that do one thing each: they read their options and call the client API.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/text.h"
#include "cli/extra_options.h"
#include "cli/interrupts.h"
#include "cli/zoneadm.h"

namespace kz::cli {
namespace {

constexpr std::chrono::seconds kUsablePatience{300};
constexpr std::uint64_t kLongestPatience = 3600;

// For sub-commands that take no argument.
bool has_arguments(const ZoneadmCall& call) {
    return call.words.size() > 1;
}

// "-- a b c" after the options: the boot arguments, joined with blanks.
std::string boot_arguments(const std::vector<std::string>& rest) {
    return join(rest, " ");
}

// What installers print goes to stdout, as it is.
client::Reporter plain_reporter(int cancel_fd) {
    client::Reporter reporter;
    reporter.message = [](const std::string& text) {
        fmt::print("{}\n", text);
        std::fflush(stdout);
    };
    reporter.cancel_fd = cancel_fd;
    return reporter;
}

template <typename Options>
Result<void> take_ids(const std::string& list, Options& options) {
    if (list.empty()) options.force_overwrite = true;
    for (const std::string& word : list.empty() ? std::vector<std::string>() : split(list, ',')) {
        const auto id = parse_u64(word);
        if (!id || *id > UINT_MAX)
            return fail(Errc::invalid_argument, "'{}' is not the id of a device", word);
        options.force_overwrite_ids.insert(static_cast<unsigned>(*id));
    }
    return {};
}

template <typename Options>
std::vector<ExtraOption> install_extras(Options& options) {
    return {{"install-size", "SIZE", false,
             [&options](const std::string& text) -> Result<void> {
                 KZ_TRY(options.install_size, parse_size(text));
                 return {};
             }},
            extra_flag("force-overwrite", options.force_overwrite),
            {"force-storage-overwrite", "ID,...", true,
             [&options](const std::string& list) { return take_ids(list, options); }}};
}

// Reads options of which -x is one; other letters go to `take`. Nothing, and the message is printed, when
// they are wrong; else what follows them.
std::optional<std::vector<std::string>> read_with_extras(
    const ZoneadmCall& call, const std::string& letters, const std::vector<ExtraOption>& extras,
    const std::function<bool(int, const std::string&)>& take) {
    std::vector<std::string> rest;
    std::string problem;
    const auto take_any = [&](int letter, const std::string& text) {
        if (letter != 'x') return take && take(letter, text);
        const Result<void> taken = take_extra_option(extras, text);
        if (!taken && problem.empty()) problem = taken.error().message();
        return taken.has_value();
    };
    if (read_options(call, (letters + "x:").c_str(), take_any, rest)) return rest;
    if (!problem.empty()) zoneadm_message(call.zone, problem);
    return std::nullopt;
}

}  // namespace

int zoneadm_apply(const ZoneadmCall& call) {
    client::ApplyOptions options;
    bool quiet = false;
    std::vector<std::string> rest;
    const auto take = [&](int letter, const std::string&) {
        (letter == 'n' ? options.dry_run : quiet) = true;
        return true;
    };
    if (!read_options(call, "nq", take, rest) || !rest.empty()) return zoneadm_usage(call);
    const Interrupts interrupts;
    client::Reporter reporter;
    reporter.message = [&](const std::string& text) {
        if (text.starts_with("warning: ")) return zoneadm_message(call.zone, text);
        if (!quiet) fmt::print("zone '{}': {}\n", call.zone, text);
        std::fflush(stdout);
    };
    reporter.cancel_fd = interrupts.fd();
    const Result<Json> applied = call.client.apply(call.zone, options, reporter);
    return zoneadm_report(call, applied ? Result<void>() : std::unexpected(applied.error()));
}

int zoneadm_verify(const ZoneadmCall& call) {
    if (has_arguments(call)) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.verify(call.zone, zoneadm_reporter(call)));
}

int zoneadm_install(const ZoneadmCall& call) {
    client::InstallOptions options;
    bool manifest = false;
    const auto take = [&](int letter, const std::string& text) {
        if (letter == 'm') manifest = true;
        (letter == 'm' ? options.manifest : letter == 'a' ? options.archive : options.profile) = text;
        return !text.empty();
    };
    std::vector<ExtraOption> extras = install_extras(options);
    extras.push_back(extra_flag("no-agent", options.no_agent));
    const auto rest = read_with_extras(call, "a:c:m:", extras, take);
    if (!rest || !rest->empty()) return zoneadm_usage(call);
    if (options.no_agent && options.archive.empty()) {
        zoneadm_message(call.zone, "-x no-agent goes with -a.");
        return zoneadm_usage(call);
    }
    if (manifest && !options.archive.empty()) {
        zoneadm_message(call.zone, "-a and -m are mutually exclusive.");
        return zoneadm_usage(call);
    }
    const Interrupts interrupts;
    return zoneadm_report(call, call.client.install(call.zone, options, plain_reporter(interrupts.fd())));
}

int zoneadm_clone(const ZoneadmCall& call) {
    client::CloneOptions options;
    std::string method = "copy";
    const auto take = [&](int letter, const std::string& text) {
        (letter == 'm' ? method : options.profile) = text;
        return !text.empty();
    };
    const auto rest = read_with_extras(call, "c:m:", install_extras(options), take);
    if (!rest || rest->size() != 1) return zoneadm_usage(call);
    if (method != "copy") {
        zoneadm_message(call.zone,
                        fmt::format("clone method '{}' is not known here; there is: copy", method));
        return zoneadm_usage(call);
    }
    options.source = rest->front();
    const Interrupts interrupts;
    return zoneadm_report(call, call.client.clone(call.zone, options, plain_reporter(interrupts.fd())));
}

int zoneadm_uninstall(const ZoneadmCall& call) {
    bool force = false;
    bool destroy_all = false;
    const auto rest = read_with_extras(call, "F", {extra_flag("force-storage-destroy-all", destroy_all)},
                                       [&](int, const std::string&) { return force = true; });
    if (!rest || !rest->empty()) return zoneadm_usage(call);
    if (!force && ::isatty(STDIN_FILENO) == 0) {
        zoneadm_message(call.zone,
                        "input not from terminal and -F not specified: uninstall command ignored, exiting.");
        return kExitError;
    }
    if (!force && !ask_yes_no(fmt::format("Are you sure you want to uninstall zone {}", call.zone)))
        return kExitError;
    return zoneadm_report(call, call.client.uninstall(call.zone, destroy_all, zoneadm_reporter(call)));
}

int zoneadm_mark(const ZoneadmCall& call) {
    if (call.words.size() != 2) return zoneadm_usage(call);
    if (call.words[1] == "incomplete")
        return zoneadm_report(call, call.client.mark(call.zone, zone::State::incomplete));
    if (call.words[1] == "unavailable")
        return zoneadm_report(call, call.client.mark(call.zone, zone::State::unavailable));
    return zoneadm_usage(call);
}

int zoneadm_rename(const ZoneadmCall& call) {
    if (call.words.size() != 2) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.rename(call.zone, call.words[1]));
}

int zoneadm_attach(const ZoneadmCall& call) {
    client::AttachOptions options;
    const std::vector<ExtraOption> extras{extra_flag("force-takeover", options.force_takeover),
                                          extra_flag("initialize-hostdata", options.initialize_host_data)};
    const auto rest = read_with_extras(call, "", extras, {});
    if (!rest || !rest->empty()) return zoneadm_usage(call);
    // Watching another host takes a minute or two.
    const Interrupts interrupts;
    client::Reporter reporter = zoneadm_reporter(call);
    reporter.cancel_fd = interrupts.fd();
    return zoneadm_report(call, call.client.attach(call.zone, options, reporter));
}

int zoneadm_detach(const ZoneadmCall& call) {
    if (has_arguments(call)) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.detach(call.zone));
}

namespace {

// "--wait [SECONDS]" before any "--". False: SECONDS is no number.
bool take_wait(std::vector<std::string>& words, std::optional<std::chrono::seconds>& wait) {
    const auto end = std::ranges::find(words, "--");
    const auto option = std::find_if(words.begin(), end, [](const std::string& word) {
        return word == "--wait" || word.starts_with("--wait=");
    });
    if (option == end) return true;
    std::string number = option->size() > 6 ? option->substr(7) : "";
    auto next = words.erase(option);
    if (number.empty() && next != words.end() && parse_u64(*next)) {
        number = *next;
        words.erase(next);
    }
    const auto seconds =
        number.empty() ? std::optional<std::uint64_t>(kUsablePatience.count()) : parse_u64(number);
    if (!seconds || *seconds > kLongestPatience) return false;
    wait = std::chrono::seconds(*seconds);
    return true;
}

}  // namespace

int zoneadm_boot(const ZoneadmCall& short_call) {
    client::BootOptions options;
    ZoneadmCall call = short_call;
    if (!take_wait(call.words, options.wait)) return zoneadm_usage(call);
    const auto rest = read_with_extras(
        call, "", {extra_flag("discard-image", options.discard_image), extra_flag("eager", options.eager)},
        {});
    if (!rest) return zoneadm_usage(call);
    options.boot_args = boot_arguments(*rest);
    return zoneadm_report(call, call.client.boot(call.zone, options, zoneadm_reporter(call)));
}

int zoneadm_ready(const ZoneadmCall& call) {
    if (has_arguments(call)) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.ready(call.zone));
}

int zoneadm_halt(const ZoneadmCall& call) {
    if (has_arguments(call)) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.halt(call.zone));
}

int zoneadm_shutdown(const ZoneadmCall& call) {
    bool reboot = false;
    std::vector<std::string> rest;
    if (!read_options(call, "r", [&](int, const std::string&) { return reboot = true; }, rest))
        return zoneadm_usage(call);
    if (!rest.empty() && !reboot) return zoneadm_usage(call);
    return zoneadm_report(
        call, call.client.shutdown(call.zone, reboot, client::kShutdownPatience, zoneadm_reporter(call)));
}

int zoneadm_reboot(const ZoneadmCall& call) {
    std::vector<std::string> rest;
    if (!read_options(call, "", [](int, const std::string&) { return true; }, rest))
        return zoneadm_usage(call);
    client::BootOptions options;
    options.boot_args = boot_arguments(rest);
    return zoneadm_report(call, call.client.reboot(call.zone, options));
}

int zoneadm_suspend(const ZoneadmCall& call) {
    client::SuspendOptions options;
    ZoneadmCall short_options = call;
    std::erase_if(short_options.words, [&](const std::string& word) {
        if (word != "--stop-first") return false;
        return options.stop_first = true;
    });
    const auto rest = read_with_extras(short_options, "", {extra_flag("old-layout", options.old_layout)}, {});
    if (!rest || !rest->empty()) return zoneadm_usage(call);
    const Interrupts interrupts;
    client::Reporter reporter = zoneadm_reporter(call);
    reporter.cancel_fd = interrupts.fd();
    return zoneadm_report(call, call.client.suspend(call.zone, reporter, options));
}

}  // namespace kz::cli
