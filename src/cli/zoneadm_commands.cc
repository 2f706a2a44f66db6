// The sub-commands of zoneadm that do one thing each: they read their options and call the client API.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/interrupts.h"
#include "cli/zoneadm.h"

namespace kz::cli {
namespace {

constexpr std::chrono::seconds kShutdownPatience{120};

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

bool take_install_option(const std::string& text, client::InstallOptions& options, std::string& problem) {
    constexpr std::string_view kSize = "install-size=";
    if (text == "force-overwrite") return options.force_overwrite = true;
    if (!text.starts_with(kSize)) return false;
    const Result<std::uint64_t> size = parse_size(std::string_view(text).substr(kSize.size()));
    if (size) {
        options.install_size = *size;
    } else {
        problem = size.error().message();
    }
    return true;
}

}  // namespace

int zoneadm_verify(const ZoneadmCall& call) {
    if (has_arguments(call)) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.verify(call.zone, zoneadm_reporter(call)));
}

int zoneadm_install(const ZoneadmCall& call) {
    client::InstallOptions options;
    std::vector<std::string> rest;
    std::string problem;
    const auto take = [&](int letter, const std::string& text) {
        if (letter == 'm') options.manifest = text;
        return letter == 'm' || take_install_option(text, options, problem);
    };
    if (!read_options(call, "m:x:", take, rest) || !rest.empty()) return zoneadm_usage(call);
    if (!problem.empty()) {
        zoneadm_message(call.zone, "install-size: " + problem);
        return kExitError;
    }
    const Interrupts interrupts;
    return zoneadm_report(call, call.client.install(call.zone, options, plain_reporter(interrupts.fd())));
}

int zoneadm_uninstall(const ZoneadmCall& call) {
    bool force = false;
    bool destroy_all = false;
    std::vector<std::string> rest;
    const auto take = [&](int letter, const std::string& text) {
        if (letter == 'F') return force = true;
        return destroy_all = text == "force-storage-destroy-all";
    };
    if (!read_options(call, "Fx:", take, rest) || !rest.empty()) return zoneadm_usage(call);
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
    std::vector<std::string> rest;
    const auto take = [&](int, const std::string& text) {
        if (text == "force-takeover") return options.force_takeover = true;
        return text == "initialize-hostdata" && (options.initialize_host_data = true);
    };
    if (!read_options(call, "x:", take, rest) || !rest.empty()) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.attach(call.zone, options, zoneadm_reporter(call)));
}

int zoneadm_detach(const ZoneadmCall& call) {
    if (has_arguments(call)) return zoneadm_usage(call);
    return zoneadm_report(call, call.client.detach(call.zone));
}

int zoneadm_boot(const ZoneadmCall& call) {
    client::BootOptions options;
    std::vector<std::string> rest;
    const auto take = [&](int, const std::string& text) {
        return options.discard_image = text == "discard-image";
    };
    if (!read_options(call, "x:", take, rest)) return zoneadm_usage(call);
    options.boot_args = boot_arguments(rest);
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
    return zoneadm_report(call,
                          call.client.shutdown(call.zone, reboot, kShutdownPatience, zoneadm_reporter(call)));
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
    if (has_arguments(call)) return zoneadm_usage(call);
    const Interrupts interrupts;
    client::Reporter reporter = zoneadm_reporter(call);
    reporter.cancel_fd = interrupts.fd();
    return zoneadm_report(call, call.client.suspend(call.zone, reporter));
}

}  // namespace kz::cli
