#include "os/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <future>
#include <thread>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

Deadline soon() {
    return Deadline::after(milliseconds(20'000));
}

Process spawn(std::vector<std::string> argv) {
    SpawnOptions options;
    options.argv = std::move(argv);
    return *Process::spawn(options);
}

TEST(Process, EndIsWaitedForAndDescribed) {
    Process seven = spawn({"sh", "-c", "exit 7"});
    EXPECT_EQ(*seven.wait(soon()), "exited with status 7");
    EXPECT_EQ(seven.exit_status(), 7);
    EXPECT_FALSE(seven.alive());
    Process killed = spawn({"sleep", "1000"});
    EXPECT_TRUE(killed.alive());
    EXPECT_EQ(killed.wait(Deadline::after(milliseconds(10))).error().code(), Errc::timeout);
    ASSERT_TRUE(killed.signal(SIGTERM));
    EXPECT_THAT(*killed.wait(soon()), HasSubstr("killed by signal 15"));
    EXPECT_EQ(killed.exit_status(), 128 + SIGTERM);
    EXPECT_TRUE(killed.signal(SIGTERM)) << "a signal to the dead is no error";
    killed.kill_and_wait();
}

TEST(Process, FailedExecIsAnErrorOfSpawn) {
    const test::TempFolder folder;
    std::ofstream(folder.path() / "not-executable") << "x";
    SpawnOptions options;
    options.argv = {(folder.path() / "not-executable").string()};
    EXPECT_EQ(Process::spawn(options).error().code(), Errc::permission);
    options.argv = {"/no/such/program"};
    EXPECT_EQ(Process::spawn(options).error().code(), Errc::not_found);
    options.argv = {"no-such-program"};
    EXPECT_EQ(Process::spawn(options).error().message(), "no-such-program: program not found");
    options.argv = {};
    EXPECT_FALSE(Process::spawn(options));
}

TEST(Process, ChildHasOnlyTheDescriptorsItWasGiven) {
    const auto [ours, theirs] = *unix_socket_pair();
    const UniqueFd leak(::open("/dev/null", O_RDONLY));  // not close-on-exec
    SpawnOptions options;
    options.argv = {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&7"};
    options.fds = {{theirs.get(), 7}};
    Process child = *Process::spawn(options);
    ASSERT_EQ(*child.wait(soon()), "exited with status 0");
    Bytes buffer(100);
    const std::size_t got = *read_some(ours.get(), buffer, soon());
    // 3 is the folder that ls itself reads.
    EXPECT_EQ(as_text(ByteView(buffer).first(got)), "0 1 2 3 7 ");
}

TEST(Process, StandardDescriptorsAreThereEvenWhenOursAreClosed) {
    const test::TempFolder folder;
    const pid_t without = ::fork();
    if (without == 0) {
        for (const int fd : {0, 1, 2})
            ::close(fd);
        SpawnOptions options;
        options.argv = {"sh", "-c",
                        "test -c /proc/self/fd/0 && test -c /proc/self/fd/1 && test -c /proc/self/fd/2"};
        Result<Process> child = Process::spawn(options);
        ::_exit(child && child->wait(soon()) && child->exit_status() == 0 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(without, &status, 0), without);
    EXPECT_EQ(status, 0);
}

TEST(Process, PrivilegesAreDropped) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto [ours, theirs] = *unix_socket_pair();
    SpawnOptions options;
    options.argv = {"sh", "-c", "id -u; id -g; id -G"};
    options.fds = {{theirs.get(), 1}};
    options.uid = 65534;
    options.gid = 65533;
    options.groups = {65531};
    Process child = *Process::spawn(options);
    ASSERT_EQ(*child.wait(soon()), "exited with status 0");
    Bytes buffer(100);
    std::string text;
    while (std::ranges::count(text, '\n') < 3)
        text += as_text(ByteView(buffer).first(*read_some(ours.get(), buffer, soon())));
    EXPECT_EQ(text, "65534\n65533\n65533 65531\n");
}

TEST(Process, EnvironmentIsAddedTo) {
    SpawnOptions options;
    ::setenv("KZ_TEST_KEPT", "kept", 1);
    ::setenv("KZ_TEST_SET", "old", 1);
    options.argv = {"sh", "-c", "test $KZ_TEST_KEPT = kept && test $KZ_TEST_SET = new"};
    options.environment = {{"KZ_TEST_SET", "new"}};
    Process child = *Process::spawn(options);
    EXPECT_EQ(*child.wait(soon()), "exited with status 0");
}

TEST(Process, MayEndWithTheThreadThatStartedIt) {
    SpawnOptions options;
    options.argv = {"sleep", "1000"};
    options.dies_with_parent = true;
    Process child = std::async(std::launch::async, [&] { return Process::spawn(options).value(); }).get();
    EXPECT_EQ(child.wait(soon()).value(), "killed by signal 15 (Terminated)");
}

TEST(Process, IsAdoptedByItsIdentity) {
    Process child = spawn({"sleep", "1000"});
    Process adopted = *Process::adopt(child.identity());
    EXPECT_TRUE(adopted.alive());
    EXPECT_EQ(*identify_process(child.identity().pid), child.identity());
    ProcessIdentity other = child.identity();
    other.start_time += 1;
    EXPECT_EQ(Process::adopt(other).error().code(), Errc::not_found);
    ASSERT_TRUE(adopted.signal(SIGKILL));
    EXPECT_EQ(*adopted.wait(soon()), "ended");
    EXPECT_FALSE(adopted.alive());
    // Dead, not reaped yet: its identity is no process any more.
    EXPECT_EQ(identify_process(child.identity().pid).error().code(), Errc::not_found);
    EXPECT_FALSE(Process::adopt(child.identity()));
    EXPECT_THAT(*child.wait(soon()), HasSubstr("killed by signal 9"));
    EXPECT_EQ(Process::adopt(child.identity()).error().code(), Errc::not_found);
}

TEST(RunCommand, CollectsBothStreamsAndTheStatus) {
    const CommandOutput output =
        *run_command({"sh", "-c", "cat; echo oops >&2; exit 3"}, {.standard_input = "fed"});
    EXPECT_EQ(output.status, 3);
    EXPECT_EQ(output.standard_output, "fed");
    EXPECT_EQ(output.standard_error, "oops\n");
    EXPECT_EQ(run_command({"no-such-program"}).error().code(), Errc::not_found);
}

TEST(RunCommand, LargeInputAndOutputDoNotBlockEachOther) {
    const std::string large(2'000'000, 'x');
    EXPECT_EQ(run_command({"cat"}, {.standard_input = large})->standard_output, large);
    // The child need not read what it is fed.
    EXPECT_EQ(run_command({"true"}, {.standard_input = large})->status, 0);
}

TEST(RunCommand, OutputIsCapped) {
    const auto endless = run_command({"yes"}, {.output_cap = 100'000});
    EXPECT_EQ(endless.error().message(), "yes: more than 100000 bytes of output");
}

TEST(RunCommand, DeadlineAndCancelKillTheChild) {
    const test::TempFolder folder;
    const std::string note = "echo $$ > " + (folder.path() / "pid").string() + "; exec sleep 1000";
    EXPECT_EQ(
        run_command({"sh", "-c", note}, {.deadline = Deadline::after(milliseconds(300))}).error().code(),
        Errc::timeout);
    const pid_t pid = static_cast<pid_t>(std::stol(*read_file(folder.path() / "pid", 100)));
    EXPECT_EQ(identify_process(pid).error().code(), Errc::not_found);
    const EventFd cancel = *EventFd::create();
    std::jthread canceller([&] { cancel.signal(); });
    EXPECT_EQ(run_command({"sleep", "1000"}, {.cancel_fd = cancel.fd()}).error().code(), Errc::cancelled);
    // Also when it has closed its outputs.
    EXPECT_EQ(run_command({"sh", "-c", "exec >&- 2>&-; exec sleep 1000"},
                          {.deadline = Deadline::after(milliseconds(100))})
                  .error()
                  .code(),
              Errc::timeout);
}

TEST(RunCommand, FolderAndChecks) {
    const test::TempFolder folder;
    EXPECT_EQ(*run_checked({"pwd", "-P"}, {.working_directory = folder.path()}),
              std::filesystem::canonical(folder.path()).string() + "\n");
    const auto failed =
        run_checked({"sh", "-c", "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 9"});
    EXPECT_THAT(failed.error().message(), HasSubstr("exit code 9: line 3; line 4; line 5; line 6; line 7"));
}

// What daemons of kzones do with the descriptor that KZONES_READY_FD names, in the shell's words.
TEST(SpawnDaemon, HearsThatItIsReady) {
    const test::TempFolder folder;
    const std::string script =
        "echo $$ > " + (folder.path() / "pid").string() +
        "; echo ok >&$KZONES_READY_FD; eval \"exec $KZONES_READY_FD>&-\"; exec sleep 1000";
    ASSERT_TRUE(spawn_daemon({"sh", "-c", script}, {}, soon()));
    const pid_t pid = static_cast<pid_t>(std::stol(*read_file(folder.path() / "pid", 100)));
    Process daemon = *Process::adopt(*identify_process(pid));
    EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1) << "it is not our child";
    EXPECT_NE(::getsid(pid), ::getsid(0));
    ASSERT_TRUE(daemon.signal(SIGKILL));
    EXPECT_TRUE(daemon.wait(soon()));
}

TEST(SpawnDaemon, HearsWhyItIsNot) {
    const auto reason = [](const std::string& script) {
        return spawn_daemon({"sh", "-c", script}, {{"KZ_TEST_WHY", "no QEMU here"}}, soon());
    };
    const Result<void> told = reason("echo unavailable $KZ_TEST_WHY >&$KZONES_READY_FD");
    EXPECT_EQ(told.error().code(), Errc::unavailable);
    EXPECT_EQ(told.error().message(), "no QEMU here");
    EXPECT_THAT(reason("exit 1").error().message(), HasSubstr("ended before it was ready"));
}

TEST(SpawnDaemon, ReportReadyIsTheOtherHalf) {
    const auto report = [](const Result<void>& outcome) {
        const auto [ours, theirs] = *unix_socket_pair();
        const int fd = ::dup(theirs.get());
        ::setenv("KZONES_READY_FD", std::to_string(fd).c_str(), 1);
        report_ready(outcome);
        EXPECT_EQ(::getenv("KZONES_READY_FD"), nullptr);
        EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "left open";
        Bytes buffer(200);
        const std::size_t got = *read_some(ours.get(), buffer, soon());
        return std::string(as_text(ByteView(buffer).first(got)));
    };
    EXPECT_EQ(report({}), "ok\n");
    EXPECT_EQ(report(fail(Errc::busy, "already running")), "busy already running\n");
    report_ready({});  // started in the foreground: nobody to tell
}

}  // namespace
}  // namespace kz
