// ssh:// — the command lines, what ssh's words mean, and a link on a program that is not ssh and misbehaves.
#include "migrate/peer_ssh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "../support/temp_folder.h"
#include "base/text.h"
#include "os/file.h"
#include "os/io.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

PeerAddress address_of(const char* text) {
    return PeerAddress::parse(text).value();
}
std::string line_of(const std::vector<std::string>& argv) {
    return join(argv, " ");
}

TEST(SshCommand, AsksNothingAndRunsKzRadd) {
    const std::string line = line_of(ssh_command(address_of("ssh://node2"), {}));
    EXPECT_TRUE(line.starts_with("ssh -T -a -x ")) << line;
    for (const char* setting : {"-o BatchMode=yes ", "-o ControlPath=none ", "-o ClearAllForwardings=yes ",
                                "-o RemoteCommand=none ", "-o ServerAliveInterval="})
        EXPECT_THAT(line, HasSubstr(setting));
    EXPECT_THAT(line, Not(HasSubstr("StrictHostKeyChecking")));
    EXPECT_THAT(line, Not(HasSubstr(" -L ")));
    EXPECT_TRUE(line.ends_with(
        R"(-- node2 exec sh -c 'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; exec kz-radd --stdio')"))
        << line;
}

TEST(SshCommand, UserPortKeysAndTunnel) {
    SshOptions options;
    options.programs = {.ssh = "/opt/ssh", .radd = "/opt/kz/kz-radd"};
    options.accept_new = true;
    options.tunnel = true;
    const auto argv = ssh_command(address_of("ssh://root@[2001:db8::1]:2222"), options);
    const std::string line = line_of(argv);
    EXPECT_EQ(argv.front(), "/opt/ssh");
    EXPECT_THAT(line, HasSubstr(" -o StrictHostKeyChecking=accept-new "));
    EXPECT_THAT(line, HasSubstr(" -L ./8102:127.0.0.1:8102 "));
    EXPECT_THAT(line, HasSubstr(" -o ExitOnForwardFailure=yes "));
    // It would clear the tunnel too.
    EXPECT_THAT(line, Not(HasSubstr("ClearAllForwardings")));
    EXPECT_THAT(line, HasSubstr(" -p 2222 -l root -- 2001:db8::1 "));
    EXPECT_THAT(argv.back(), HasSubstr("exec /opt/kz/kz-radd --stdio'"));
}

TEST(SshCommand, AskedForItsConfiguration) {
    EXPECT_THAT(ssh_query_command(address_of("ssh://root@alias:22"), {}),
                ElementsAre("ssh", "-G", "-p", "22", "-l", "root", "--", "alias"));
    EXPECT_EQ(ssh_host_name("user root\nhostname node2.example\nport 22\n"), "node2.example");
    EXPECT_EQ(ssh_host_name("hostname 2001:db8::1\n"), "2001:db8::1");
    EXPECT_EQ(ssh_host_name("user root\n"), std::nullopt);
    EXPECT_EQ(ssh_host_name("hostname \n"), std::nullopt);
    EXPECT_EQ(ssh_host_name("hostname a b\n"), std::nullopt);
    EXPECT_EQ(ssh_host_name("hostname " + std::string(300, 'a')), std::nullopt);
}

class Environment {
  public:
    Environment(const char* name, const std::string& value) : name_(name) {
        ::setenv(name, value.c_str(), 1);
    }
    ~Environment() { ::unsetenv(name_); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    const char* name_;
};

TEST(SshPrograms, ComeFromTheEnvironmentUnlessAShellWouldTakeThemApart) {
    EXPECT_EQ(SshPrograms::from_environment().value().radd, "kz-radd");
    const Environment ssh("KZONES_SSH", "/opt/my ssh");
    {
        const Environment radd("KZONES_SSH_RADD", "/opt/kz/kz-radd");
        const SshPrograms programs = SshPrograms::from_environment().value();
        EXPECT_EQ(programs.ssh, "/opt/my ssh");
        EXPECT_EQ(programs.radd, "/opt/kz/kz-radd");
    }
    for (const char* bad : {"kz-radd; reboot", "a'b", "-x", "$(id)", "a b", "a\nb"}) {
        const Environment radd("KZONES_SSH_RADD", bad);
        const auto programs = SshPrograms::from_environment();
        ASSERT_FALSE(programs.has_value()) << bad;
        EXPECT_EQ(programs.error().code(), Errc::invalid_argument);
    }
}

struct Said {
    int status;
    const char* printed;
    Errc code;
    const char* message;
};

class SshErrors : public testing::TestWithParam<Said> {};

TEST_P(SshErrors, SayWhatToDo) {
    const Error error = ssh_error(address_of("ssh://node2"), GetParam().status, GetParam().printed);
    EXPECT_EQ(error.code(), GetParam().code) << error.message();
    EXPECT_THAT(error.message(), HasSubstr(GetParam().message));
    EXPECT_THAT(error.message(), HasSubstr("node2"));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, SshErrors,
    testing::Values(
        Said{255,
             "No ED25519 host key is known for node2 and you have requested strict checking.\r\n"
             "Host key verification failed.\r\n",
             Errc::permission, "--accept-new"},
        Said{255,
             "@@@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@\r\n"
             "Host key verification failed.\r\n",
             Errc::permission, "ssh-keygen -R node2"},
        Said{255, "root@node2: Permission denied (publickey).\r\n", Errc::permission, "ssh-add"},
        Said{255, "ssh: Could not resolve hostname node2: Name or service not known\r\n", Errc::not_found,
             "there is no host 'node2'"},
        Said{255, "ssh: connect to host node2 port 22: Connection refused\r\n", Errc::unavailable,
             "is sshd running?"},
        Said{255, "ssh: connect to host node2 port 22: Connection timed out\r\n", Errc::unavailable,
             "does not answer"},
        Said{255, "Timeout, server node2 not responding.\r\n", Errc::unavailable, "any more"},
        Said{255, "", Errc::unavailable, "could not keep a connection"},
        Said{127, "sh: 1: exec: kz-radd: not found\n", Errc::not_found, "KZONES_SSH_RADD"},
        Said{126, "sh: 1: kz-radd: Permission denied\n", Errc::not_found, "Install kzones there"},
        Said{1, "kz-radd: zones are administered as root\n", Errc::unavailable, "administered as root"},
        Said{3, "", Errc::unavailable, "ended with status 3"}));

TEST(SshErrorText, IsNeverMoreThanText) {
    const Error error = ssh_error(address_of("ssh://h"), 255, "\x1b[2Jgone\x07\r\n@@@@@\n\n  more  \n");
    EXPECT_EQ(error.message(), "ssh could not keep a connection to host 'h'\nssh: ?[2Jgone?\nssh: more");
}

// A program in ssh's place.
class FakeSsh : public testing::Test {
  protected:
    SshOptions fake(const std::string& script, bool tunnel = false) {
        const Path file = folder_.path() / "ssh";
        std::ofstream(file) << "#!/bin/sh\n" << script;
        ::chmod(file.c_str(), 0755);
        SshOptions options;
        options.programs.ssh = file.string();
        options.tunnel = tunnel;
        return options;
    }
    SshLink start(const std::string& script, bool tunnel = false) {
        return SshLink::start(address_of("ssh://node2"), paths_, fake(script, tunnel)).value();
    }
    static Result<Json> ask(SshLink& link, std::chrono::milliseconds timeout = 20s) {
        return link.peer().value().call("GET", "/api/1/host", nullptr, timeout);
    }
    // The pid that a script wrote into a file beside it.
    pid_t pid_in(const char* name) const {
        const Path file = folder_.path() / name;
        for (const Deadline deadline = Deadline::after(20s); !deadline.passed();) {
            const auto text = read_file(file, 64);
            if (text && text->ends_with('\n')) return static_cast<pid_t>(parse_u64(trim(*text)).value());
            std::this_thread::yield();
        }
        return -1;
    }
    std::string write_pid() const { return "echo $$ > " + (folder_.path() / "pid").string() + "\n"; }
    static bool ends(pid_t pid) {
        for (const Deadline deadline = Deadline::after(20s); !deadline.passed();) {
            if (::kill(pid, 0) < 0) return true;
            std::this_thread::yield();
        }
        return false;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
};

constexpr const char* kAnswer =
    "while IFS= read -r line && [ ${#line} -gt 1 ]; do :; done\n"
    "printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\n{\"api\":1}'\n";

TEST_F(FakeSsh, CarriesRequestsAndItsStreamIsGivenAway) {
    SshLink link = start(write_pid() + kAnswer + kAnswer + "cat > /dev/null\n");
    const auto first = ask(link);
    ASSERT_TRUE(first.has_value()) << first.error().message();
    EXPECT_EQ(first->at("api"), 1);
    Peer elsewhere = Peer::on_stream(address_of("ssh://node2"), link.take_stream()).value();
    EXPECT_EQ(elsewhere.call("GET", "/api/1/host", nullptr, 20s).value().at("api"), 1);
    EXPECT_EQ(elsewhere.fingerprint(), "");
    EXPECT_FALSE(link.failure(0ms).has_value()) << "it runs";
    {
        const Peer ended = std::move(elsewhere);
    }
    EXPECT_FALSE(link.failure(20s).has_value()) << "it ended because its stream was closed, and said 0";
}

TEST_F(FakeSsh, ItsFailureIsTold) {
    SshLink link = start("echo 'root@node2: Permission denied (publickey).' >&2; exit 255\n");
    EXPECT_EQ(ask(link).error().code(), Errc::unavailable);
    const auto failure = link.failure(20s);
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code(), Errc::permission);
    EXPECT_THAT(failure->message(), HasSubstr("ssh: root@node2: Permission denied (publickey)."));
}

TEST_F(FakeSsh, ThatSpeaksSomethingElseIsNotBelieved) {
    SshLink link = start("echo 'Welcome to node2, today is sunday'; echo; cat > /dev/null\n");
    EXPECT_EQ(ask(link).error().code(), Errc::protocol);
}

TEST_F(FakeSsh, ThatAnswersNothingIsGivenUpAndEnded) {
    pid_t pid = -1;
    {
        SshLink link = start("trap '' TERM\n" + write_pid() + "while :; do sleep 1000 & wait; done\n");
        pid = pid_in("pid");
        ASSERT_GT(pid, 0);
        EXPECT_EQ(ask(link, 50ms).error().code(), Errc::timeout);
    }
    EXPECT_TRUE(ends(pid));
}

TEST_F(FakeSsh, ThatComplainsWithoutEndBlocksNobody) {
    SshLink link = start("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo last words >&2; exit 255\n");
    EXPECT_EQ(ask(link).error().code(), Errc::unavailable);
    const auto failure = link.failure(20s);
    ASSERT_TRUE(failure.has_value());
    EXPECT_LT(failure->message().size(), 10'000U);
    EXPECT_THAT(failure->message(), HasSubstr("last words"));
}

TEST_F(FakeSsh, GetsNoTerminalAndNoInterrupt) {
    SshLink link = start(write_pid() + "cat > /dev/null\n");
    const pid_t pid = pid_in("pid");
    ASSERT_GT(pid, 0);
    EXPECT_EQ(::getsid(pid), pid) << "a session of its own";
}

TEST_F(FakeSsh, EndsWithTheThreadThatStartedIt) {
    std::optional<SshLink> link;
    std::thread([&] { link.emplace(start(write_pid() + "exec sleep 1000\n")); }).join();
    EXPECT_TRUE(link->failure(20s).has_value());
}

TEST_F(FakeSsh, MissingIsAClearError) {
    SshOptions options;
    options.programs.ssh = "no-such-ssh";
    const auto link = SshLink::start(address_of("ssh://node2"), paths_, options);
    ASSERT_FALSE(link.has_value());
    EXPECT_EQ(link.error().code(), Errc::not_found);
    EXPECT_THAT(link.error().message(), HasSubstr("openssh-client"));
}

TEST_F(FakeSsh, ATunnelHasAFolderOfItsOwnThatGoesWithIt) {
    Path socket;
    {
        const SshLink link = start("pwd > where; cat > /dev/null\n", /*tunnel=*/true);
        socket = link.memory_socket();
        EXPECT_EQ(socket.filename(), "8102");
        struct stat status{};
        ASSERT_EQ(::stat(socket.parent_path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0700U);
        EXPECT_EQ(socket.parent_path().parent_path(), paths_.run_dir());
        const Path where = socket.parent_path() / "where";
        for (const Deadline deadline = Deadline::after(20s); !deadline.passed();)
            if (read_file(where, 4096).value_or("").ends_with('\n')) break;
        EXPECT_EQ(trim(read_file(where, 4096).value()), socket.parent_path().string());
    }
    EXPECT_FALSE(std::filesystem::exists(socket.parent_path()));
    EXPECT_EQ(start("cat > /dev/null\n").memory_socket(), Path());
}

TEST_F(FakeSsh, FoldersOfKilledCommandsAreRemoved) {
    const auto ended = run_command({"sh", "-c", "echo $$"}).value();
    const Path left = paths_.run_dir() / ("ssh-" + std::string(trim(ended.standard_output)));
    const Path other = paths_.run_dir() / "ssh-1";  // init lives
    ASSERT_TRUE(make_directories(left / "sub", 0700).has_value());
    ASSERT_TRUE(make_directories(other, 0700).has_value());
    const SshLink link = start("cat > /dev/null\n", /*tunnel=*/true);
    EXPECT_FALSE(std::filesystem::exists(left));
    EXPECT_TRUE(std::filesystem::exists(other));
}

}  // namespace
}  // namespace kz::migrate
