// Processes: starting, watching by pidfd, running a command for its output, becoming a daemon. For every
// floor.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "os/deadline.h"
#include "os/paths.h"

namespace kz {

// Names one process for ever: a pid may be used again, a pid with its start time may not.
struct ProcessIdentity {
    pid_t pid = -1;
    std::uint64_t start_time = 0;  // clock ticks since the host booted, /proc/PID/stat field 22
    bool operator==(const ProcessIdentity&) const = default;
};
Result<ProcessIdentity> identify_process(pid_t pid);

struct ChildFd {
    int parent_fd;  // stays open in the parent
    int child_fd;   // its number in the child; 3 or above, or 0, 1, 2
};

struct SpawnOptions {
    std::vector<std::string> argv;  // argv[0] is searched in PATH unless it holds a slash
    std::vector<ChildFd> fds;       // everything else is closed in the child; 0, 1, 2 default to /dev/null
    std::optional<uid_t> uid;       // with gid and groups: dropped to before exec
    std::optional<gid_t> gid;
    std::vector<gid_t> groups;
    std::map<std::string, std::string> environment;  // added to our own
    bool new_session = false;
    // SIGTERM when the thread that started it ends, however that comes.
    bool dies_with_parent = false;
    std::optional<Path> working_directory;  // entered before privileges are dropped
    std::optional<Path> cgroup;  // a cgroup v2 folder whose cgroup.procs the child enters before exec
};

// A child of ours, or an adopted process. Dropping the object neither kills nor waits.
class Process {
  public:
    // Errors name the program; a failed exec is reported here, not as an exit status.
    static Result<Process> spawn(const SpawnOptions& options);
    // A process that is not our child; Errc::not_found when it is gone or another has taken its pid.
    static Result<Process> adopt(ProcessIdentity identity);

    const ProcessIdentity& identity() const { return identity_; }
    // Readable when the process has ended.
    int pidfd() const { return pidfd_.get(); }
    bool alive() const;
    Result<void> signal(int signal_number) const;
    // Waits for its end. A child is reaped and described ("exited with status 1", "killed by signal 9");
    // of an adopted process only "ended" is known.
    Result<std::string> wait(Deadline deadline, int cancel_fd = -1);
    // After wait() of a child: its exit status, 128 + signal when killed.
    std::optional<int> exit_status() const { return exit_status_; }
    // SIGKILL and wait; safe when it has already ended.
    void kill_and_wait();

  private:
    Process(ProcessIdentity identity, UniqueFd pidfd, bool child)
        : identity_(identity), pidfd_(std::move(pidfd)), child_(child) {}
    ProcessIdentity identity_;
    UniqueFd pidfd_;
    bool child_;
    std::optional<int> exit_status_;
};

struct CommandOptions {
    Deadline deadline = Deadline::never();
    int cancel_fd = -1;
    std::string standard_input{};
    std::map<std::string, std::string> environment{};
    std::optional<Path> working_directory{};
    std::size_t output_cap = 16 * 1024 * 1024;  // more output than this is an error
};
struct CommandOutput {
    int status = 0;
    std::string standard_output;
    std::string standard_error;
};
// Runs to the end and collects. A status other than 0 is returned, not an error; not being able to start, a
// passed deadline or a cancel (the child is killed) are errors. A missing program is Errc::not_found.
Result<CommandOutput> run_command(std::vector<std::string> argv, const CommandOptions& options = {});
// As run_command, but a status other than 0 is an error that names the command and the last lines of its
// stderr.
Result<std::string> run_checked(std::vector<std::string> argv, const CommandOptions& options = {});

// Starts `argv` as a daemon: its own session, not our child. The daemon reports on the inherited descriptor
// that KZONES_READY_FD names: "ok\n", or an error's text; its end without a word is an error too. Waits for
// that.
Result<void> spawn_daemon(std::vector<std::string> argv,
                          const std::map<std::string, std::string>& environment, Deadline deadline);
// The daemon's half: says that it is ready, or why it is not. Does nothing when it was started in the
// foreground.
void report_ready(const Result<void>& outcome);

}  // namespace kz
