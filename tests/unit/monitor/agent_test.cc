// The monitor's side against the real kz-agent, over a socket that stands for the port.
#include "monitor/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temp_folder.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;
using agent::Frame;
using agent::FrameReader;
using agent::FrameType;
using agent::OpenKind;

Deadline soon() {
    return Deadline::after(20s);
}

// zlogin's side of a session.
class Client {
  public:
    explicit Client(const HostPaths& paths)
        : fd_(unix_connect(store::agent_socket(paths, "z1"), soon()).value()) {}

    void send(FrameType type, std::uint8_t stream, std::string_view payload) {
        std::string bytes;
        agent::append_frame(bytes, type, 0, stream, payload);
        // A session that has ended takes no more.
        [[maybe_unused]] const auto sent = write_all(fd_.get(), as_bytes(bytes), soon());
    }
    void open(const std::string& command, OpenKind kind = OpenKind::failsafe) {
        send(FrameType::open, 0, agent::encode(agent::Open{kind, "root", "vt100", {33, 44}, command}));
    }
    // The next frame; of type announce when there is none any more.
    Frame next() {
        Frame frame;
        while (reader_.next(frame) != FrameReader::Event::frame) {
            std::array<Byte, 65536> chunk;
            const auto got = read_some(fd_.get(), chunk, soon());
            if (!got || *got == 0) return {FrameType::announce};
            reader_.feed(as_text(ByteView(chunk).first(*got)));
        }
        return frame;
    }
    // Reads to the end and gives credit for all of it.
    Frame finish() {
        while (true) {
            Frame frame = next();
            if (frame.type == FrameType::data) {
                (frame.stream == 2 ? err : out) += frame.payload;
                send(FrameType::credit, frame.stream,
                     agent::encode_number(static_cast<std::uint32_t>(frame.payload.size())));
            } else if (frame.type != FrameType::opened && frame.type != FrameType::end &&
                       frame.type != FrameType::credit) {
                return frame;
            }
        }
    }
    void hang_up() { fd_.reset(); }

    std::string out;
    std::string err;

  private:
    UniqueFd fd_;
    FrameReader reader_{/*aligned=*/true};
};

class AgentTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths_.zone_run_dir("z1"), 0755));
        agent_ = Agent::open({paths_, "z1", log_}).value();
        start_guest();
    }
    void TearDown() override { end_guest(); }

    void start_guest() {
        auto [ours, theirs] = unix_socket_pair().value();
        SpawnOptions options;
        options.argv = {KZ_AGENT_PROGRAM, "--fd", "3"};
        options.fds = {{theirs.get(), 3}};
        guest_.emplace(Process::spawn(options).value());
        agent_->attach(std::move(ours));
        agent_->port_changed(true);
        const Deadline deadline = soon();
        while (!agent_->connected() && !deadline.passed())
            std::this_thread::yield();
        ASSERT_TRUE(agent_->connected());
    }
    void end_guest() {
        if (guest_) guest_->kill_and_wait();
        guest_.reset();
    }
    static int status_of(const Frame& frame) {
        const auto exited = agent::decode_exited(frame.payload);
        if (frame.type != FrameType::exited || !exited) return -1;
        return exited->by_signal ? 1000 + exited->value : exited->value;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(::open("/dev/null", O_WRONLY)), "test"};
    std::unique_ptr<Agent> agent_;
    std::optional<Process> guest_;
};

TEST_F(AgentTest, StreamsAreSeparateAndTheStatusIsTheCommands) {
    Client client(paths_);
    client.open("cat; echo wrong >&2; exit 7");
    client.send(FrameType::data, 0, "some text");
    client.send(FrameType::end, 0, "");
    EXPECT_EQ(status_of(client.finish()), 7);
    EXPECT_EQ(client.out, "some text");
    EXPECT_EQ(client.err, "wrong\n");
}

TEST_F(AgentTest, ASignalReachesTheCommand) {
    Client client(paths_);
    client.open("echo ready; exec sleep 100");
    EXPECT_EQ(client.next().type, FrameType::opened);
    EXPECT_EQ(client.next().payload, "ready\n");
    client.send(FrameType::signal, 0, std::string(1, '\x0f'));
    EXPECT_EQ(status_of(client.finish()), 1015);
}

TEST_F(AgentTest, ATerminalHasItsSizeAndChangesIt) {
    Client client(paths_);
    client.open("");
    const Frame opened = client.next();
    ASSERT_EQ(opened.type, FrameType::opened);
    EXPECT_THAT(agent::decode_text(opened.payload).value_or(""), testing::StartsWith("pts/"));
    client.send(FrameType::resize, 0, agent::encode(agent::WindowSize{55, 66}));
    client.send(FrameType::data, 0, "stty size; tty; exit 5\n");
    EXPECT_EQ(status_of(client.finish()), 5);
    EXPECT_THAT(client.out, testing::HasSubstr("55 66"));
    EXPECT_THAT(client.out, testing::HasSubstr("/dev/pts/"));
}

TEST_F(AgentTest, AnUnknownUserIsRefused) {
    Client client(paths_);
    client.open("id", OpenKind::command);
    EXPECT_EQ(status_of(client.finish()), 0);
    EXPECT_THAT(client.out, testing::StartsWith("uid=0(root)"));
    Client other(paths_);
    other.send(FrameType::open, 0, agent::encode(agent::Open{OpenKind::command, "-c", "", {}, "id"}));
    EXPECT_EQ(other.finish().type, FrameType::failed);
}

TEST_F(AgentTest, ASessionThatNobodyReadsStallsItselfAlone) {
    Client lazy(paths_);
    lazy.open("cat /dev/zero");
    EXPECT_EQ(lazy.next().type, FrameType::opened);
    for (int i = 0; i < 3; ++i) {
        Client quick(paths_);
        quick.open("head -c 3000000 /dev/zero");
        EXPECT_EQ(status_of(quick.finish()), 0);
        EXPECT_EQ(quick.out.size(), 3000000U);
    }
}

TEST_F(AgentTest, WhatItsClientLeavesIsEnded) {
    const Path file = folder_.path() / "pid";
    {
        Client client(paths_);
        client.open(fmt::format("echo $$ > {}; echo x; exec sleep 1000", file.string()));
        EXPECT_EQ(client.next().type, FrameType::opened);
        EXPECT_EQ(client.next().type, FrameType::data);
    }
    const pid_t pid = std::stoi(read_file(file, 64).value());
    const Deadline deadline = soon();
    while (::kill(pid, 0) == 0 && !deadline.passed())
        std::this_thread::sleep_for(10ms);
    EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(AgentTest, TheAgentsEndIsToldAndAnotherServesOn) {
    Client client(paths_);
    client.open("echo x; exec sleep 1000");
    EXPECT_EQ(client.next().type, FrameType::opened);
    EXPECT_EQ(client.next().type, FrameType::data);
    end_guest();
    const Frame last = client.finish();
    EXPECT_EQ(last.type, FrameType::failed);
    EXPECT_FALSE(agent_->connected());
    start_guest();
    Client next(paths_);
    next.open("exit 4");
    EXPECT_EQ(status_of(next.finish()), 4);
}

TEST_F(AgentTest, CallsAreAnsweredAndFailAtOnceWhereNobodyIs) {
    EXPECT_TRUE(agent_->call(agent::Operation::ping, 0, soon()));
    EXPECT_TRUE(agent_->wait_until_usable(soon()));
    EXPECT_THAT(store::load_guest_report(paths_, "z1").value().agent, testing::StartsWith("kz-agent "));
    agent_->detach("the zone has halted");
    const auto refused = agent_->call(agent::Operation::ping, 0, soon());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::unavailable);
    EXPECT_FALSE(store::load_guest_report(paths_, "z1"));
}

TEST_F(AgentTest, AMachineWithoutAPortIsSaidAtOnce) {
    agent_->detach("halted");
    Client client(paths_);
    client.open("true");
    const Frame refused = client.finish();
    ASSERT_EQ(refused.type, FrameType::failed);
    EXPECT_THAT(agent::decode_text(refused.payload).value_or(""), testing::HasSubstr("no port"));
}

// Nobody may be reached by what a client says before it has a session.
TEST_F(AgentTest, AClientThatDoesNotKeepToTheWordsIsCutOff) {
    Client client(paths_);
    client.send(FrameType::data, 0, "x");
    EXPECT_EQ(client.next().type, FrameType::announce);
    EXPECT_TRUE(agent_->connected());
}

}  // namespace
}  // namespace kz::monitor
