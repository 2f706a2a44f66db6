#include "monitor/guard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "../support/temp_folder.h"
#include "base/json.h"
#include "os/file.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::monitor {
namespace {

using namespace std::chrono_literals;

constexpr auto kSoon = 300ms;
// After a moment that must have passed without an effect.
constexpr auto kWellAfter = 700ms;
constexpr auto kPatience = 20s;
constexpr const char* kGone = "the zone's monitor is gone";
constexpr const char* kRanOut = "the lease on the storage has run out";

// A guard in a process of its own, over a machine that is a process which does nothing. There is no program
// zoneadmd beside this one: that the guard looks for a monitor is seen in its log.
class GuardTest : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(make_directories(paths_.zone_run_dir("ant1"), 0755));
        ASSERT_TRUE(make_directories(paths_.log_dir(), 0755));
        machine_.emplace(start_machine());
        start_guard();
    }
    void TearDown() override {
        if (machine_) machine_->kill_and_wait();
        for (const pid_t guard : guards_)
            ::waitpid(guard, nullptr, 0);  // it ends with its machine
    }

    static Process start_machine() {
        SpawnOptions options;
        options.argv = {"sleep", "600"};
        return *Process::spawn(options);
    }

    void start_guard() {
        std::array<int, 2> ready{};
        ASSERT_EQ(::pipe(ready.data()), 0);
        const UniqueFd read_end(ready[0]);
        UniqueFd write_end(ready[1]);
        const pid_t guard = ::fork();
        ASSERT_GE(guard, 0);
        if (guard == 0) {
            ::setenv("KZONES_READY_FD", std::to_string(write_end.get()).c_str(), 1);
            ::_exit(guard_machine(paths_, "ant1", machine_->identity()) ? 0 : 1);
        }
        guards_.push_back(guard);
        write_end.reset();
        Bytes word(3);
        ASSERT_TRUE(read_exact(read_end.get(), word, Deadline::after(kPatience)));
        EXPECT_EQ(as_text(word), "ok\n");
    }

    Result<GuardLink> link() { return GuardLink::open(paths_, "ant1", machine_->identity()); }
    UniqueFd raw_connection() {
        return *unix_connect(paths_.zone_run_dir("ant1") / "guard.sock", Deadline::after(kPatience));
    }
    bool machine_ends(std::chrono::milliseconds patience) {
        return machine_->wait(Deadline::after(patience)).has_value();
    }
    std::string log() const {
        std::ifstream file(paths_.log_dir() / "ant1.log");
        return {std::istreambuf_iterator<char>(file), {}};
    }
    bool logs(std::string_view text) const {
        const Deadline deadline = Deadline::after(kPatience);
        while (!log().contains(text)) {
            if (deadline.passed()) return false;
            std::this_thread::sleep_for(1ms);
        }
        return true;
    }
    static bool ends(pid_t guard) {
        const Deadline deadline = Deadline::after(kPatience);
        while (::waitpid(guard, nullptr, WNOHANG) == 0) {
            if (deadline.passed()) return false;
            std::this_thread::sleep_for(1ms);
        }
        return true;
    }
    // What the guard answers to a text: {"ok": ...}; nothing: it has closed the connection.
    static std::optional<bool> answer(const UniqueFd& connection, std::string_view text) {
        if (!send_message(connection.get(), text, {}, Deadline::after(kPatience))) return std::nullopt;
        const Result<Message> said = receive_message(connection.get(), Deadline::after(kPatience));
        if (!said) return std::nullopt;
        const Result<Json> words = parse_json(said->text);
        const Result<bool> ok = words ? json_bool(*words, "ok") : false;
        return ok && *ok;
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    std::optional<Process> machine_;
    std::vector<pid_t> guards_;
};

TEST_F(GuardTest, EndsTheMachineAtTheMomentAndNotBefore) {
    GuardLink guard = *link();
    const auto moment = BootClock::now() + kSoon;
    ASSERT_TRUE(guard.may_run_until(moment));
    ASSERT_TRUE(machine_ends(kPatience));
    EXPECT_GE(BootClock::now(), moment);
    EXPECT_TRUE(logs(kRanOut));
}

TEST_F(GuardTest, ALaterMomentTakesTheEarliersPlace) {
    GuardLink guard = *link();
    ASSERT_TRUE(guard.may_run_until(BootClock::now() + kSoon));
    ASSERT_TRUE(guard.may_run_until(BootClock::now() + 60s));
    EXPECT_FALSE(machine_ends(kWellAfter));
}

TEST_F(GuardTest, AMomentThatHasPassedIsNow) {
    GuardLink guard = *link();
    ASSERT_TRUE(guard.may_run_until(BootClock::now() - 1h));
    EXPECT_TRUE(machine_ends(kPatience));
}

TEST_F(GuardTest, AMachineThatStandsStillIsLeftAlone) {
    GuardLink guard = *link();
    ASSERT_TRUE(guard.may_run_until(BootClock::now() + kSoon));
    ASSERT_TRUE(guard.has_stopped());
    EXPECT_FALSE(machine_ends(kWellAfter));
    ASSERT_TRUE(guard.may_run_until(BootClock::now() + kSoon));
    EXPECT_TRUE(machine_ends(kPatience));
}

TEST_F(GuardTest, TheMomentStandsWhenTheMonitorDies) {
    const auto moment = BootClock::now() + kSoon;
    ASSERT_TRUE(link()->may_run_until(moment));
    EXPECT_TRUE(logs(kGone));
    ASSERT_TRUE(machine_ends(kPatience));
    EXPECT_GE(BootClock::now(), moment);
}

TEST_F(GuardTest, AMonitorThatDiesBeforeTheGuestRunsLeavesAMachineThatStandsStill) {
    ASSERT_TRUE(link());
    EXPECT_TRUE(logs(kGone));
    EXPECT_FALSE(machine_ends(kWellAfter));
}

TEST_F(GuardTest, ANewMonitorMovesTheMoment) {
    ASSERT_TRUE(link()->may_run_until(BootClock::now() + 2s));
    GuardLink next = *link();
    ASSERT_TRUE(next.may_run_until(BootClock::now() + 60s));
    EXPECT_FALSE(machine_ends(2s + kWellAfter));
}

TEST_F(GuardTest, TheNewestConnectionCounts) {
    GuardLink first = *link();
    GuardLink second = *link();
    EXPECT_FALSE(first.may_run_until(BootClock::now()));
    EXPECT_FALSE(machine_ends(kSoon));
    ASSERT_TRUE(second.may_run_until(BootClock::now() + kSoon));
    EXPECT_TRUE(machine_ends(kPatience));
    EXPECT_FALSE(log().contains(kGone)) << log();
}

TEST_F(GuardTest, KnowsItsMachine) {
    const ProcessIdentity mine = machine_->identity();
    const UniqueFd connection = raw_connection();
    const auto ask = [&](pid_t pid, std::uint64_t start) {
        return answer(connection, Json{{"machine", pid}, {"start_time", start}}.dump());
    };
    EXPECT_EQ(ask(mine.pid, mine.start_time), true);
    EXPECT_EQ(ask(mine.pid, mine.start_time + 1), false);
    EXPECT_EQ(ask(::getpid(), mine.start_time), false);
    // For another machine another guard is started; here there is no program for it.
    EXPECT_FALSE(GuardLink::open(paths_, "ant1", *identify_process(::getpid())));
    EXPECT_TRUE(machine_->alive());
}

TEST_F(GuardTest, WhatIsNoWordEndsTheConnectionAndChangesNothing) {
    for (const std::string_view text : {"", "null", "[]", "{}", "nonsense", "\xff\xfe", R"({"until": -1})",
                                        R"({"until": "soon"})", R"({"until": 99999999999999999999})",
                                        R"({"machine": 1})", R"({"stopped": 1})", R"({"stopped": "yes"})"}) {
        ASSERT_TRUE(link()->may_run_until(BootClock::now() + 60s));
        EXPECT_EQ(answer(raw_connection(), text), std::nullopt) << text;
    }
    EXPECT_EQ(answer(raw_connection(), R"({"stopped": false})"), false);
    EXPECT_EQ(answer(raw_connection(), std::string(60'000, '[')), std::nullopt);
    const UniqueFd longer = raw_connection();
    ASSERT_TRUE(write_all(longer.get(), as_bytes("\xff\xff\xff\xff"), Deadline::after(kPatience)));
    EXPECT_FALSE(receive_message(longer.get(), Deadline::after(kPatience)));
    // It still guards, and nothing of that was taken for "it stands still".
    EXPECT_TRUE(machine_->alive());
    GuardLink guard = *link();
    ASSERT_TRUE(guard.may_run_until(BootClock::now() + kSoon));
    EXPECT_EQ(answer(raw_connection(), "nonsense"), std::nullopt);
    EXPECT_TRUE(machine_ends(kPatience));
}

TEST_F(GuardTest, AWordThatIsNotEndedDoesNotKeepItFromTheMoment) {
    const UniqueFd connection = raw_connection();
    const auto moment = BootClock::now() + kSoon;
    const Json words{{"until", moment.time_since_epoch().count()}};
    EXPECT_EQ(answer(connection, words.dump()), true);
    ASSERT_TRUE(write_all(connection.get(), as_bytes("\x01"), Deadline::after(kPatience)));
    ASSERT_TRUE(machine_ends(kPatience));
    // Far less than it waits for the rest of a word.
    EXPECT_LT(BootClock::now(), moment + 2s);
}

TEST_F(GuardTest, EndsWithItsMachine) {
    machine_->kill_and_wait();
    EXPECT_TRUE(ends(guards_.back()));
    guards_.pop_back();
    EXPECT_FALSE(log().contains(kRanOut));
}

TEST_F(GuardTest, IsNotEndedBySignalsThatAskForIt) {
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE})
        ::kill(guards_.back(), number);
    GuardLink guard = *link();
    ASSERT_TRUE(guard.may_run_until(BootClock::now() + kSoon));
    EXPECT_TRUE(machine_ends(kPatience));
}

TEST_F(GuardTest, OneThatWasGivenUpForAnotherDoesNotEndTheMachine) {
    GuardLink first = *link();
    const auto moment = BootClock::now() + kSoon;
    ASSERT_TRUE(first.may_run_until(moment));
    ::kill(guards_.front(), SIGSTOP);
    start_guard();
    GuardLink second = *link();
    ASSERT_TRUE(second.may_run_until(BootClock::now() + 60s));
    while (BootClock::now() < moment)
        std::this_thread::sleep_for(1ms);
    ::kill(guards_.front(), SIGCONT);
    EXPECT_TRUE(ends(guards_.front()));
    guards_.erase(guards_.begin());
    EXPECT_TRUE(machine_->alive());
    EXPECT_FALSE(log().contains(kRanOut)) << log();
    ASSERT_TRUE(second.may_run_until(BootClock::now() + kSoon));
    EXPECT_TRUE(machine_ends(kPatience));
}

}  // namespace
}  // namespace kz::monitor
