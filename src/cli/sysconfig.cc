#include "cli/sysconfig.h"

#include <unistd.h>

#include <cstdio>

#include "base/text.h"
#include "cli/help_text.h"
#include "cli/interrupts.h"
#include "cli/sysconfig_dialogue.h"
#include "cli/sysconfig_options.h"
#include "os/file.h"

namespace kz::cli {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

void message(std::string_view text) {
    fmt::print(stderr, "sysconfig: {}\n", text);
}

constexpr const char* kCreateProfileHelp =
    "Make a profile for 'zoneadm install -c': what the zone is called, its time zone, language, network, and "
    "who\n"
    "may log in. It is a #cloud-config, of mode 0600. Asks on the terminal, in full-screen forms where that "
    "can show\n"
    "them; an option that says something about the zone answers all questions. -o names the folder or the "
    "file\n"
    "(default: sc_profile.yaml here), -f replaces it, -l names the log. --check only reads a profile and "
    "says what\n"
    "is wrong with it.";

int print_usage() {
    fmt::print(stderr, "usage:\tsysconfig {}\n", kCreateProfileUsage);
    return kExitUsage;
}

int print_help() {
    fmt::print("usage:\tsysconfig help\n\tsysconfig subcommand [options]\n\n{}",
               help_entry(kCreateProfileUsage, kCreateProfileHelp));
    return kExitOk;
}

// Says before any question what would make all answers be in vain.
Result<void> check_output(const CreateProfileOptions& options) {
    std::error_code error;
    const Path file = options.file();
    if (std::filesystem::is_directory(file, error))
        return fail(Errc::invalid_argument, "{} is a folder", file.string());
    if (!options.replace && std::filesystem::exists(file, error))
        return fail(Errc::already_exists, "{} exists; -f replaces it", file.string());
    return {};
}

Result<void> write_profile(const CreateProfileOptions& options, const install::Profile& profile) {
    const Path file = options.file();
    const std::string text = install::render_profile(profile);
    KZ_CHECK(install::parse_profile(text, file.string()));
    if (file.has_parent_path()) KZ_CHECK(make_directories(file.parent_path(), 0755));
    // It holds what opens accounts.
    KZ_CHECK(write_file_atomic(file, text, 0600));
    fmt::print("SC profile successfully generated as:\n{}\n", file.string());
    return {};
}

Result<Path> log_file(const CreateProfileOptions& options) {
    if (!options.log.empty()) return options.log;
    KZ_TRY(const HostPaths paths, HostPaths::from_environment(""));
    return paths.log_dir() / "sysconfig.log";
}

Result<void> ask_and_write(const CreateProfileOptions& options) {
    KZ_TRY(const Path log_path, log_file(options));
    // Without the rights of root there may be no log; who named one wants it.
    Result<SysconfigLog> log = SysconfigLog::create(log_path);
    if (!log && !options.log.empty()) return std::unexpected(log.error());
    const auto note = [&](const std::string& text) {
        if (log) log->say(text);
    };
    const Interrupts interrupts;
    Result<install::Profile> profile = ask_for_profile(note, interrupts.fd());
    Result<void> done = profile ? write_profile(options, *profile) : std::unexpected(profile.error());
    note(done ? fmt::format("SC profile successfully generated as: {}", options.file().string())
              : done.error().message());
    if (!log) return done;
    fmt::print("Exiting System Configuration Tool. Log is available at:\n{}\n", log_path.string());
    return done;
}

Result<void> create_profile(const CreateProfileOptions& options) {
    if (options.check) {
        KZ_CHECK(install::load_profile(*options.check));
        return {};
    }
    KZ_CHECK(check_output(options));
    if (options.answered) return write_profile(options, options.profile);
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0)
        return fail(Errc::unavailable, "there is no terminal to ask on, and no option says what the zone is");
    return ask_and_write(options);
}

int run_create_profile(int argc, char** argv) {
    const auto options = read_create_profile_options(argc, argv);
    if (!options && options.error().code() == Errc::unsupported && options.error().message().empty())
        return print_usage();
    const Result<void> done = options ? create_profile(*options) : std::unexpected(options.error());
    if (done) return kExitOk;
    message(done.error().message());
    return kExitError;
}

}  // namespace

int sysconfig_main(int argc, char** argv) {
    if (argc < 2) return print_usage();
    const std::string_view name = argv[1];
    if (name == "help" || name == "--help") return print_help();
    if (name == "create-profile") return run_create_profile(argc - 1, argv + 1);
    message(fmt::format("unknown subcommand '{}'", name));
    return print_usage();
}

}  // namespace kz::cli
