#include "cli/zoneadm.h"

#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "base/text.h"
#include "cli/help_text.h"

namespace kz::cli {
namespace {

int zoneadm_help(const ZoneadmCall& call);

constexpr std::array kCommands{
    ZoneadmCommand{
        "apply", "apply [-n] [-q]",
        "Make the running zone like its stored configuration, as far as that can be done while it\n"
        "\truns; says what has to wait for the next boot. -n only checks, -q says only what goes wrong.",
        true, true, zoneadm_apply},
    ZoneadmCommand{
        "attach", "attach [-x force-takeover] [-x initialize-hostdata]",
        "Attach a zone whose disk was detached from another host, or by this one. A zone that another\n"
        "\thost owns is refused unless its ownership is taken over by force.",
        true, true, zoneadm_attach},
    ZoneadmCommand{
        "boot", "boot [--wait [SECONDS]] [-x discard-image] [-x eager] [-- boot_arguments]",
        "Boot an installed zone. A suspended zone resumes where it stopped; with -x discard-image it\n"
        "\tboots afresh and what was in its memory is lost. It runs before all of its memory is in, where\n"
        "\tQEMU can do that; with -x eager it does not. With --wait the command ends when the zone can be "
        "used,\n"
        "\twhich an agent in it says; after SECONDS (300) it fails, and the zone runs on.",
        true, true, zoneadm_boot},
    ZoneadmCommand{
        "clone",
        "clone [-m copy] [-c profile.yaml|dir] [-x install-size=SIZE] [-x force-storage-overwrite[=ID,...]]\n"
        "\tsource",
        "Install the configured zone as a copy of another, which must not be running. It gets keys, host\n"
        "\tkeys, a machine id, addresses and a name of its own.",
        true, true, zoneadm_clone},
    ZoneadmCommand{"detach", "detach",
                   "Release the zone's disk so that another host may attach it. Deletes nothing.", true, true,
                   zoneadm_detach},
    ZoneadmCommand{"halt", "halt", "Power the zone off at once, without running any of its scripts.", true,
                   true, zoneadm_halt},
    ZoneadmCommand{"help", "help [subcommand]", "Print general help, or help for one sub-command.", false,
                   false, zoneadm_help},
    ZoneadmCommand{"history", "history [--json]",
                   "Show the migrations, suspends and resumes of the zone on this host.", true, false,
                   zoneadm_history},
    ZoneadmCommand{"image", "image info|verify file|SURI",
                   "Show what a suspend image is, or check every record of it. Nothing is run. Where this\n"
                   "\thost does not have the zone's key, info says so and shows what the header claims.",
                   false, false, zoneadm_image},
    ZoneadmCommand{
        "install",
        "install [-m manifest|-a archive] [-c profile.yaml|dir] [-x install-size=SIZE] "
        "[-x force-storage-overwrite[=ID,...]] [-x no-agent]",
        "Install the configured zone onto its disk: what the manifest says (default: a Debian of this\n"
        "\thost's release), or the disk image that -a names, for a system with cloud-init. Disks that do\n"
        "\tnot exist are made, of install-size (16G). A disk that holds something is refused unless -x\n"
        "\tnames its id, or (without =ID) all. -c names a profile of sysconfig create-profile: what the\n"
        "\tzone is called and who may log in. A system from an archive gets the agent that zlogin needs\n"
        "\twhen it boots first, unless -x no-agent says that it is to have none.",
        true, true, zoneadm_install},
    ZoneadmCommand{"list", "list [-cinpsd] [-v [--long]] [--json]",
                   "List running zones; -i installed ones too, -c all; -n without the global zone. -v table, "
                   "with --long\n"
                   "\twhat the zones' agents say: whether they are up, and their addresses. -p for programs, "
                   "-s states and\n"
                   "\tauxiliary states, --json all of it.",
                   false, false, zoneadm_list},
    ZoneadmCommand{"mark", "mark incomplete|unavailable", "Change the state of an installed zone by hand.",
                   true, true, zoneadm_mark},
    ZoneadmCommand{
        "migrate",
        "migrate [-nqvw] [-c cipher|none|list] [-t auto|live|warm|cold] [--max-pause MS] [--deadline S]\n"
        "\t[--on-deadline cancel|force] [--bandwidth RATE] [--post-copy] [--connections N] [--json]\n"
        "\t[--accept-new] [--fingerprint SHA256:...] [--tunnel] [ssh|rads]://[user@]host[:port]\n"
        "\tzoneadm -z zonename migrate --set-bandwidth RATE|none",
        "Move the zone to another host: live when it runs, warm when it is suspended, cold when it is\n"
        "\tinstalled; -t warm suspends a zone that runs, and resumes it there. -n checks everything and\n"
        "\tmoves nothing. A bare host is reached by rads: with this host's key, or a password when user@ is\n"
        "\tgiven. ssh goes by the keys of ssh; with --tunnel memory takes that way too. --bandwidth limits\n"
        "\tall that a live move sends, the last pages too, for which the zone stands still; --set-bandwidth\n"
        "\tchanges that while it runs. With --post-copy memory that changes faster than it moves, or has "
        "not\n"
        "\tmoved at the deadline, follows while the zone runs there already: until it has, the loss of "
        "either\n"
        "\thost costs what was in memory, and while they cannot reach each other the zone stands still.",
        true, true, zoneadm_migrate},
    ZoneadmCommand{"ready", "ready", "Prepare the zone's machine without running anything in it.", true, true,
                   zoneadm_ready},
    ZoneadmCommand{"reboot", "reboot [-- boot_arguments]", "Power the zone off at once and boot it again.",
                   true, true, zoneadm_reboot},
    ZoneadmCommand{"rename", "rename newname", "Give a configured zone another name.", true, true,
                   zoneadm_rename},
    ZoneadmCommand{"shutdown", "shutdown [-r [-- boot_arguments]]",
                   "Shut the zone down cleanly and wait for it; -r boots it again.", true, true,
                   zoneadm_shutdown},
    ZoneadmCommand{
        "suspend", "suspend [--stop-first] [-x old-layout]",
        "Write the running zone to its encrypted suspend image and halt it. Memory is copied while\n"
        "\tthe zone runs, and what has changed meanwhile after it was stopped; with --stop-first it\n"
        "\tis stopped before. -x old-layout is for an image that earlier versions can read.",
        true, true, zoneadm_suspend},
    ZoneadmCommand{"uninstall", "uninstall [-F] [-x force-storage-destroy-all]",
                   "Remove what was installed. Asks first unless -F is given.", true, true,
                   zoneadm_uninstall},
    ZoneadmCommand{"verify", "verify", "Check that the zone's configuration fits this host.", true, false,
                   zoneadm_verify},
};

constexpr const char* kSynopsis =
    "usage:\tzoneadm help [subcommand]\n"
    "\tzoneadm [-R root] [-z zonename] [-u uuid-match] list [list-options]\n"
    "\tzoneadm [-R root] {-z zonename|-u uuid-match} subcommand [subcommand-options]\n";

const ZoneadmCommand* find_command(std::string_view name) {
    const auto found =
        std::ranges::find_if(kCommands, [&](const ZoneadmCommand& command) { return name == command.name; });
    return found == kCommands.end() ? nullptr : &*found;
}

int zoneadm_help(const ZoneadmCall& call) {
    if (call.words.size() > 1) {
        const ZoneadmCommand* command = find_command(call.words[1]);
        if (command == nullptr) {
            zoneadm_message("", fmt::format("unknown subcommand '{}'", call.words[1]));
            return kExitUsage;
        }
        fmt::print("usage:\t{}", help_entry(command->usage, command->help));
        return kExitOk;
    }
    fmt::print("{}\n", kSynopsis);
    for (const ZoneadmCommand& command : kCommands)
        fmt::print("{}", help_entry(command.usage, command.help));
    return kExitOk;
}

struct GlobalOptions {
    std::string root;
    std::string zone;
    std::string uuid;
    std::vector<std::string> words;
};

std::optional<GlobalOptions> read_global_options(int argc, char** argv) {
    GlobalOptions options;
    ::optind = 0;
    for (int letter = ::getopt(argc, argv, "+:R:z:u:"); letter != -1;
         letter = ::getopt(argc, argv, "+:R:z:u:")) {
        if (letter == 'R') {
            options.root = ::optarg;
        } else if (letter == 'z') {
            options.zone = ::optarg;
        } else if (letter == 'u') {
            options.uuid = ::optarg;
        } else {
            return std::nullopt;
        }
    }
    options.words.assign(argv + ::optind, argv + argc);
    if (options.words.empty()) return std::nullopt;
    return options;
}

// -u names the zone by its uuid, or by a part of it that only one zone has.
Result<std::string> zone_of_uuid(client::Client& client, const std::string& uuid) {
    KZ_TRY(const auto statuses, client.statuses());
    std::vector<std::string> matches;
    for (const store::ZoneStatus& status : statuses) {
        if (status.uuid.find(uuid) != std::string::npos) matches.push_back(status.name);
    }
    if (matches.size() == 1) return matches.front();
    if (matches.empty()) return fail(Errc::not_found, "{}: No such zone configured", uuid);
    return fail(Errc::invalid_argument, "{}: matches more than one zone", uuid);
}

int run_command(const ZoneadmCommand& command, client::Client& client, const GlobalOptions& options) {
    std::string zone = options.zone;
    if (!options.uuid.empty()) {
        const Result<std::string> found = zone_of_uuid(client, options.uuid);
        if (!found) {
            zoneadm_message("", found.error().message());
            return kExitError;
        }
        zone = *found;
    }
    const ZoneadmCall call{client, zone, options.words, command.usage};
    if (command.needs_zone && zone.empty()) {
        zoneadm_message("", "no zone specified");
        return kExitError;
    }
    if (command.needs_zone && zone == "global") {
        zoneadm_message(zone, fmt::format("{} operation is invalid for the global zone.", command.name));
        return kExitError;
    }
    if (!zone.empty() && zone != "global" && !client.registry().exists(zone)) {
        zoneadm_message("", fmt::format("{}: No such zone configured", zone));
        return kExitError;
    }
    if (command.needs_root && ::geteuid() != 0) {
        zoneadm_message(zone, fmt::format("only a privileged user may {} a zone.", command.name));
        return kExitError;
    }
    return command.run(call);
}

}  // namespace

void zoneadm_message(const std::string& zone, std::string_view text) {
    bool announced = false;
    for (const std::string& line : split(text, '\n')) {
        // Findings stand by themselves below the message that announces them, as with the original.
        if (announced && (line.starts_with("error: ") || line.starts_with("warning: "))) {
            fmt::print(stderr, "{}\n", line);
        } else if (zone.empty()) {
            fmt::print(stderr, "zoneadm: {}\n", line);
        } else {
            fmt::print(stderr, "zoneadm: zone '{}': {}\n", zone, line);
        }
        announced = true;
    }
}

int zoneadm_report(const ZoneadmCall& call, const Result<void>& outcome) {
    if (outcome) return kExitOk;
    zoneadm_message(call.zone, outcome.error().message());
    return kExitError;
}

int zoneadm_usage(const ZoneadmCall& call) {
    fmt::print(stderr, "usage:\tzoneadm {}{}\n", call.zone.empty() ? "" : "-z zonename ", call.usage);
    return kExitUsage;
}

client::Reporter zoneadm_reporter(const ZoneadmCall& call) {
    client::Reporter reporter;
    reporter.message = [zone = call.zone](const std::string& text) { zoneadm_message(zone, text); };
    return reporter;
}

bool read_options(const ZoneadmCall& call, const char* letters,
                  const std::function<bool(int, const std::string&)>& take, std::vector<std::string>& rest) {
    std::vector<char*> argv;
    for (const std::string& word : call.words)
        argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const int argc = static_cast<int>(call.words.size());
    const std::string quiet = fmt::format("+:{}", letters);
    ::optind = 0;
    for (int letter = ::getopt(argc, argv.data(), quiet.c_str()); letter != -1;
         letter = ::getopt(argc, argv.data(), quiet.c_str())) {
        if (letter == '?' || letter == ':' || !take(letter, ::optarg != nullptr ? ::optarg : ""))
            return false;
    }
    rest.assign(argv.begin() + ::optind, argv.end() - 1);
    return true;
}

bool ask_yes_no(const std::string& question) {
    if (::isatty(STDIN_FILENO) == 0) return false;
    fmt::print("{} (y/[n])? ", question);
    std::fflush(stdout);
    std::string answer;
    std::getline(std::cin, answer);
    return !answer.empty() && (answer[0] == 'y' || answer[0] == 'Y');
}

int zoneadm_main(int argc, char** argv) {
    const std::optional<GlobalOptions> options = read_global_options(argc, argv);
    if (!options) {
        fmt::print(stderr, "{}", kSynopsis);
        return kExitUsage;
    }
    const ZoneadmCommand* command = find_command(options->words.front());
    if (command == nullptr) {
        zoneadm_message("", fmt::format("unknown subcommand '{}'", options->words.front()));
        fmt::print(stderr, "{}", kSynopsis);
        return kExitUsage;
    }
    const Result<HostPaths> paths = HostPaths::from_environment(options->root);
    Result<client::Client> client =
        paths ? client::Client::open(*paths) : Result<client::Client>(std::unexpected(paths.error()));
    if (!client) {
        zoneadm_message("", client.error().message());
        return kExitError;
    }
    return run_command(*command, *client, *options);
}

}  // namespace kz::cli
