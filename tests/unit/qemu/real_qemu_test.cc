// The command line, the QMP client and the migration helpers with the installed QEMU.
#include <gmock/gmock.h>
#include <signal.h>

#include "base/text.h"
#include "fake_qemu.h"
#include "qemu/accel.h"
#include "qemu/migration.h"
#include "real_machine.h"
#include "relay.h"

namespace kz::qemu {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr unsigned kChannels = 2;

std::string process_status(const RealMachine& machine, std::string_view field) {
    const std::string text =
        read_file(fmt::format("/proc/{}/status", machine.process().identity().pid), 65536).value_or("");
    for (const std::string& line : split(text, '\n')) {
        if (line.starts_with(field))
            return std::string(trim(std::string_view(line).substr(field.size() + 1)));
    }
    return {};
}

json node(RealMachine& machine, std::string_view name) {
    const auto nodes = machine.qmp().execute("query-named-block-nodes");
    if (!nodes) return nullptr;
    for (const json& each : *nodes) {
        if (each.value("node-name", "") == name) return each;
    }
    return nullptr;
}

class RealQemu : public testing::Test {
  protected:
    // Begins to move `source` to `target`.
    void begin_move(RealMachine& source, RealMachine& target, const MigrationSetup& setup = {}) {
        const std::string uri = workshop_.migration_uri("memory");
        ASSERT_TRUE(set_up_incoming(target.qmp(), setup.channels));
        ASSERT_TRUE(set_up_outgoing(source.qmp(), setup));
        const auto listening = start_incoming(target.qmp(), uri);
        ASSERT_TRUE(listening) << listening.error().message() << target.errors();
        const auto started = start_outgoing(source.qmp(), uri);
        ASSERT_TRUE(started) << started.error().message() << source.errors();
    }
    Workshop workshop_;
};

TEST_F(RealQemu, StartsStoppedWithoutRightsInTheSandbox) {
    RealMachine machine(workshop_, "a");
    EXPECT_EQ(machine.run_state(), "prelaunch");
    EXPECT_EQ(machine.errors(), "");
    EXPECT_EQ(process_status(machine, "Seccomp:"), "2");
    EXPECT_EQ(process_status(machine, "NoNewPrivs:"), "1");
    if (::geteuid() == 0) {
        EXPECT_THAT(process_status(machine, "Uid:"), HasSubstr(std::to_string(kQemuUser)));
        EXPECT_EQ(process_status(machine, "CapEff:"), "0000000000000000");
    }
    EXPECT_EQ((*machine.qmp().execute("query-name"))["name"], "test,zone");
}

TEST_F(RealQemu, GuestSeesLessThanTheWholeDisk) {
    RealMachine machine(workshop_, "a");
    EXPECT_EQ(node(machine, "disk0")["image"]["virtual-size"], kGuestBytes);
    EXPECT_EQ(node(machine, "disk0-file")["image"]["virtual-size"], kDiskBytes);
}

TEST_F(RealQemu, GuestRunsAndQuitEndsIt) {
    RealMachine machine(workshop_, "a");
    auto events = EventWait::subscribe(machine.qmp(), {"RESUME", "SHUTDOWN"});
    ASSERT_TRUE(events);
    ASSERT_TRUE(machine.qmp().execute("cont"));
    EXPECT_EQ(events->next(soon())->name, "RESUME");
    EXPECT_TRUE(machine.guest_answers());
    ASSERT_TRUE(machine.qmp().execute("quit"));
    const auto shutdown = events->next(soon());
    ASSERT_TRUE(shutdown) << shutdown.error().message();
    EXPECT_EQ(shutdown->data["reason"], "host-qmp-quit");
    EXPECT_EQ(machine.process().wait(soon()), "exited with status 0");
    EXPECT_EQ(events->next(soon()).error().code(), Errc::unavailable);
}

TEST_F(RealQemu, ResetByTheGuestKeepsTheMachine) {
    RealMachine machine(workshop_, "a");
    ASSERT_TRUE(machine.qmp().execute("cont"));
    auto events = EventWait::subscribe(machine.qmp(), {"RESET", "SHUTDOWN"});
    machine.tell_guest('r');
    const auto reset = events->next(soon());
    ASSERT_TRUE(reset);
    EXPECT_EQ(reset->name, "RESET");
    EXPECT_EQ(reset->data["reason"], "guest-reset");
    EXPECT_EQ(machine.run_state(), "running");
    EXPECT_TRUE(machine.guest_answers());
}

TEST_F(RealQemu, PowerOffByTheGuestIsThereForAMonitorThatWasAway) {
    RealMachine machine(workshop_, "a");
    ASSERT_TRUE(machine.qmp().execute("cont"));
    auto events = EventWait::subscribe(machine.qmp(), {"SHUTDOWN"});
    machine.tell_guest('p');
    const auto shutdown = events->next(soon());
    ASSERT_TRUE(shutdown);
    EXPECT_EQ(shutdown->data["guest"], true);
    EXPECT_EQ(shutdown->data["reason"], "guest-shutdown");
    machine.detach();
    machine.attach_again();
    EXPECT_EQ(machine.run_state(), "shutdown");
    ASSERT_TRUE(machine.qmp().execute("quit"));
    EXPECT_EQ(machine.process().wait(soon()), "exited with status 0");
}

TEST_F(RealQemu, MonitorMayComeBack) {
    RealMachine machine(workshop_, "a");
    const auto second = machine.attach(Deadline::after(std::chrono::milliseconds(200)));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Errc::timeout);
    machine.detach();
    machine.attach_again();
    EXPECT_EQ(machine.run_state(), "prelaunch");
}

TEST_F(RealQemu, ConsoleClientMayComeBack) {
    RealMachine machine(workshop_, "a");
    ASSERT_TRUE(machine.qmp().execute("cont"));
    for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(machine.guest_answers());
        machine.hang_up_serial();
    }
    const auto chardevs = machine.qmp().execute("query-chardev");
    ASSERT_TRUE(chardevs);
    for (const json& each : *chardevs) {
        if (each["label"] != "console") continue;
        EXPECT_THAT(each["filename"].get<std::string>(), HasSubstr("server=on"));
    }
}

TEST_F(RealQemu, QemuThatIsKilledIsNoticed) {
    RealMachine machine(workshop_, "a");
    auto events = EventWait::subscribe(machine.qmp(), {});
    machine.process().kill_and_wait();
    EXPECT_EQ(events->next(soon()).error().code(), Errc::unavailable);
    EXPECT_FALSE(machine.qmp().connected());
    EXPECT_FALSE(machine.connect("qmp"));
}

class Move : public RealQemu, public testing::WithParamInterface<std::string> {};

TEST_P(Move, LiveWithAPauseBeforeTheLastPages) {
    if (GetParam() == "kvm") {
        const auto choice = choose_accel("kvm", gather_accel_facts(::geteuid(), ::getegid(), {}));
        if (!choice) GTEST_SKIP() << choice.error().message();
    }
    RealMachine source(workshop_, "a", {.accel = GetParam()});
    ASSERT_TRUE(source.qmp().execute("cont"));
    ASSERT_TRUE(source.guest_answers()) << source.errors();
    RealMachine target(workshop_, "b", {.incoming = true, .accel = GetParam()});
    EXPECT_EQ(target.run_state(), "inmigrate");

    begin_move(source, target, {.channels = kChannels, .pause_before_switchover = true});
    const auto paused = wait_for_status(source.qmp(), {MigrationStatus::pre_switchover}, soon());
    ASSERT_TRUE(paused);
    ASSERT_EQ(paused->status, MigrationStatus::pre_switchover) << paused->error;
    EXPECT_EQ(source.run_state(), "finish-migrate");
    ASSERT_TRUE(continue_after_pause(source.qmp()));
    const auto sent = wait_for_end(source.qmp(), soon());
    ASSERT_TRUE(sent) << sent.error().message();
    EXPECT_GT(sent->transferred, 0U);
    EXPECT_GT(sent->multifd_bytes, 0U);
    EXPECT_EQ(sent->page_size, 4096U);
    ASSERT_TRUE(wait_for_end(target.qmp(), soon()));
    EXPECT_EQ(target.run_state(), "paused");
    // Which has taken the disk's locks already.
    EXPECT_FALSE(source.qmp().execute("cont"));

    ASSERT_TRUE(target.qmp().execute("cont"));
    EXPECT_TRUE(target.guest_answers());
    // The disk is the target's now: the source cannot have it back while the target lives.
    const auto back = source.qmp().execute("cont");
    ASSERT_FALSE(back);
    EXPECT_THAT(back.error().message(), HasSubstr("lock"));
    EXPECT_EQ(source.run_state(), "postmigrate");
    EXPECT_TRUE(target.guest_answers());
}

INSTANTIATE_TEST_SUITE_P(Accel, Move, testing::Values("tcg", "kvm"),
                         [](const auto& each) { return each.param; });

TEST_F(RealQemu, SourceGoesOnWhenTheTargetIsGoneAfterTheLastPage) {
    RealMachine source(workshop_, "a");
    ASSERT_TRUE(source.qmp().execute("cont"));
    ASSERT_TRUE(source.guest_answers());
    {
        RealMachine target(workshop_, "b", {.incoming = true});
        begin_move(source, target);
        ASSERT_TRUE(wait_for_end(source.qmp(), soon()));
        ASSERT_TRUE(wait_for_end(target.qmp(), soon()));
    }
    ASSERT_TRUE(source.qmp().execute("cont"));
    EXPECT_EQ(source.run_state(), "running");
    EXPECT_TRUE(source.guest_answers());
}

TEST_F(RealQemu, CancelBeforeTheLastPagesLetsTheSourceGoOnAndTryAgain) {
    RealMachine source(workshop_, "a");
    ASSERT_TRUE(source.qmp().execute("cont"));
    ASSERT_TRUE(source.guest_answers());
    {
        RealMachine target(workshop_, "b", {.incoming = true});
        begin_move(source, target, {.pause_before_switchover = true});
        ASSERT_EQ(wait_for_status(source.qmp(), {MigrationStatus::pre_switchover}, soon())->status,
                  MigrationStatus::pre_switchover);
        ASSERT_TRUE(cancel_migration(source.qmp()));
        const auto end = wait_for_end(source.qmp(), soon());
        ASSERT_FALSE(end);
        EXPECT_EQ(end.error().code(), Errc::cancelled);
        EXPECT_TRUE(source.guest_answers());
    }
    RealMachine target(workshop_, "c", {.incoming = true});
    begin_move(source, target, {.channels = 0});
    ASSERT_TRUE(wait_for_end(source.qmp(), soon()));
    ASSERT_TRUE(wait_for_end(target.qmp(), soon()));
    ASSERT_TRUE(target.qmp().execute("cont"));
    EXPECT_TRUE(target.guest_answers());
}

// What a source's QEMU 7.2 must be spared is that its sockets close under it: with more than one channel it
// may then wait for ever while it holds its big lock, and the guest with it. A relay that goes on reading
// keeps the source well whatever becomes of the target.
class TargetKilled : public RealQemu {
  protected:
    static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }
    void SetUp() override {
        ASSERT_TRUE(source_.qmp().execute("cont"));
        ASSERT_TRUE(source_.guest_answers());
    }
    void begin(const MigrationSetup& setup) {
        ASSERT_TRUE(set_up_incoming(target_.qmp(), setup.channels));
        ASSERT_TRUE(set_up_outgoing(source_.qmp(), setup));
        ASSERT_TRUE(start_incoming(target_.qmp(), workshop_.migration_uri("memory")));
        ASSERT_TRUE(start_outgoing(source_.qmp(), workshop_.migration_uri("relay")));
    }
    MigrationStatus wait_for(MigrationStatus status) {
        const auto state = wait_for_status(source_.qmp(), {status}, soon());
        EXPECT_TRUE(state) << state.error().message();
        return state ? state->status : MigrationStatus::unknown;
    }
    void expect_source_lives() {
        EXPECT_EQ(source_.run_state(), "running");
        EXPECT_TRUE(source_.guest_answers());
    }
    RealMachine source_{workshop_, "a"};
    RealMachine target_{workshop_, "b", {.incoming = true}};
    Relay relay_{workshop_.file("sockets/relay"), workshop_.file("sockets/memory")};
};

TEST_F(TargetKilled, WhileMemoryMoves) {
    begin({.max_bytes_per_second = 10000});
    ASSERT_EQ(wait_for(MigrationStatus::active), MigrationStatus::active);
    target_.process().kill_and_wait();
    ASSERT_TRUE(cancel_migration(source_.qmp()));
    EXPECT_EQ(wait_for_end(source_.qmp(), soon()).error().code(), Errc::cancelled);
    expect_source_lives();
    EXPECT_EQ(relay_.connections(), 1 + kChannels);
}

TEST_F(TargetKilled, WhilePausedBeforeTheLastPages) {
    begin({.pause_before_switchover = true});
    ASSERT_EQ(wait_for(MigrationStatus::pre_switchover), MigrationStatus::pre_switchover);
    target_.process().kill_and_wait();
    ASSERT_TRUE(cancel_migration(source_.qmp()));
    EXPECT_EQ(wait_for_end(source_.qmp(), soon()).error().code(), Errc::cancelled);
    expect_source_lives();
}

TEST_F(TargetKilled, BeforeItHasTheLastPages) {
    begin({.pause_before_switchover = true});
    ASSERT_EQ(wait_for(MigrationStatus::pre_switchover), MigrationStatus::pre_switchover);
    target_.process().kill_and_wait();
    ASSERT_TRUE(continue_after_pause(source_.qmp()));
    // The source cannot know: for it all went well, and `cont` takes the guest back.
    ASSERT_TRUE(wait_for_end(source_.qmp(), soon()));
    const auto back = source_.qmp().execute("cont");
    ASSERT_TRUE(back) << back.error().message() << source_.run_state();
    expect_source_lives();
}

TEST_F(RealQemu, MoveToNobodyFails) {
    RealMachine source(workshop_, "a");
    ASSERT_TRUE(set_up_outgoing(source.qmp(), {}));
    const auto started = start_outgoing(source.qmp(), workshop_.migration_uri("nobody"));
    const auto end = wait_for_end(source.qmp(), soon());
    EXPECT_TRUE(!started || !end);
    EXPECT_EQ((*query_migration(source.qmp())).status, MigrationStatus::failed);
}

TEST_F(RealQemu, WaitingCanBeGivenUp) {
    RealMachine source(workshop_, "a");
    const auto cancel = EventFd::create();
    cancel->signal();
    EXPECT_EQ(query_migration(source.qmp())->status, MigrationStatus::none);
    EXPECT_EQ(wait_for_end(source.qmp(), Deadline::never(), cancel->fd()).error().code(), Errc::cancelled);
    EXPECT_EQ(wait_for_end(source.qmp(), Deadline::after(std::chrono::milliseconds(30))).error().code(),
              Errc::timeout);
}

}  // namespace
}  // namespace kz::qemu
