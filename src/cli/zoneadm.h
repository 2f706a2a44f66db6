// zoneadm: the command that acts on zones. For src/bin/zoneadm.
//
// zoneadm.cc reads the command line and finds the sub-command in the table; zoneadm_*.cc hold the
// sub-commands.
#pragma once

#include <string>
#include <vector>

#include "client/client.h"

namespace kz::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;

int zoneadm_main(int argc, char** argv);

// What a sub-command is called with.
struct ZoneadmCall {
    client::Client& client;
    std::string zone;                // empty when -z was not given
    std::vector<std::string> words;  // the sub-command's name and what follows it
    const char* usage;
};

// One line of the table of sub-commands.
struct ZoneadmCommand {
    const char* name;
    const char* usage;
    const char* help;
    bool needs_zone;
    bool needs_root;
    int (*run)(const ZoneadmCall& call);
};

// Shared by the sub-commands. "zoneadm: zone 'NAME': TEXT" (or without the zone) on stderr.
void zoneadm_message(const std::string& zone, std::string_view text);
// Prints the error and gives the exit status for it.
int zoneadm_report(const ZoneadmCall& call, const Result<void>& outcome);
int zoneadm_usage(const ZoneadmCall& call);
client::Reporter zoneadm_reporter(const ZoneadmCall& call);

// Reads the options of a sub-command: `letters` as of getopt. Each option is given to `take` with its
// argument; a take that returns false, and unknown options, make the result false. What follows the options
// goes to `rest`.
bool read_options(const ZoneadmCall& call, const char* letters,
                  const std::function<bool(int, const std::string&)>& take, std::vector<std::string>& rest);
// "Are you sure ... (y/[n])? " on the terminal; false without one.
bool ask_yes_no(const std::string& question);

int zoneadm_list(const ZoneadmCall& call);
int zoneadm_verify(const ZoneadmCall& call);
int zoneadm_clone(const ZoneadmCall& call);
int zoneadm_install(const ZoneadmCall& call);
int zoneadm_uninstall(const ZoneadmCall& call);
int zoneadm_mark(const ZoneadmCall& call);
int zoneadm_rename(const ZoneadmCall& call);
int zoneadm_apply(const ZoneadmCall& call);
int zoneadm_attach(const ZoneadmCall& call);
int zoneadm_detach(const ZoneadmCall& call);
int zoneadm_boot(const ZoneadmCall& call);
int zoneadm_ready(const ZoneadmCall& call);
int zoneadm_halt(const ZoneadmCall& call);
int zoneadm_shutdown(const ZoneadmCall& call);
int zoneadm_reboot(const ZoneadmCall& call);
int zoneadm_suspend(const ZoneadmCall& call);
int zoneadm_migrate(const ZoneadmCall& call);
int zoneadm_history(const ZoneadmCall& call);
int zoneadm_image(const ZoneadmCall& call);

}  // namespace kz::cli
