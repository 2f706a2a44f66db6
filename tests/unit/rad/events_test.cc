// The event hub, the watch of zones, and the stream of events.
#include "administration_fixture.h"
#include "os/process.h"
#include "rad/event_hub.h"
#include "rad/zone_watch.h"
#include "store/runtime.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

TEST(Hub, TellsAllSubscribersInOrder) {
    EventHub hub;
    hub.publish({{"type", "zone"}, {"zone", "early"}});
    const auto a = hub.subscribe().value();
    const auto b = hub.subscribe().value();
    EXPECT_EQ(a->next().value(), std::nullopt);
    hub.publish({{"type", "zone"}, {"zone", "x"}});
    hub.publish({{"type", "zone"}, {"zone", "y"}});
    for (Subscription* each : {a.get(), b.get()}) {
        ASSERT_TRUE(wait_readable(each->fd(), soon()).has_value());
        EXPECT_EQ(each->next().value()->at("zone"), "x");
        ASSERT_TRUE(wait_readable(each->fd(), soon()).has_value());
        const Json second = each->next().value().value();
        EXPECT_EQ(second["zone"], "y");
        EXPECT_EQ(second["id"], 3);
        EXPECT_EQ(each->next().value(), std::nullopt);
        EXPECT_FALSE(wait_readable(each->fd(), Deadline::after(0ms)).has_value());
    }
}

TEST(Hub, ASlowSubscriberLosesAllAndIsTold) {
    EventHub hub;
    const auto slow = hub.subscribe().value();
    const auto quick = hub.subscribe().value();
    for (std::size_t i = 0; i < 10 * EventHub::kQueue; ++i) {
        hub.publish({{"type", "zone"}, {"zone", "x"}});
        ASSERT_TRUE(quick->next().value().has_value());
    }
    EXPECT_TRUE(wait_readable(slow->fd(), soon()).has_value());
    EXPECT_EQ(slow->next().error().code(), Errc::no_space);
    EXPECT_EQ(slow->next().error().code(), Errc::no_space);
}

TEST(Hub, HasRoomForSoMany) {
    EventHub hub;
    std::vector<std::unique_ptr<Subscription>> all;
    for (std::size_t i = 0; i < EventHub::kSubscribers; ++i)
        all.push_back(hub.subscribe().value());
    EXPECT_EQ(hub.subscribe().error().code(), Errc::unavailable);
    all.pop_back();
    EXPECT_TRUE(hub.subscribe().has_value());
    EXPECT_EQ(hub.subscriber_count(), EventHub::kSubscribers - 1);
}

class WatchTest : public testing::Test {
  protected:
    void SetUp() override {
        watch_ = ZoneWatch::start(paths_, hub_, log_).value();
        subscription_ = hub_.subscribe().value();
    }
    Json next() {
        while (true) {
            if (!wait_readable(subscription_->fd(), soon())) return {};
            if (auto event = subscription_->next().value()) return *std::move(event);
        }
    }
    void save(const std::string& zone) {
        const auto config = zonecfg::parse_export("create -b\nset brand=linux-kz\n", zone).value();
        ASSERT_TRUE(registry_.save_config(config).has_value());
    }

    test::TempFolder folder_;
    HostPaths paths_{folder_.path()};
    Log log_{UniqueFd(), "test"};
    EventHub hub_;
    store::Registry registry_ = store::Registry::open(paths_).value();
    std::unique_ptr<ZoneWatch> watch_;
    std::unique_ptr<Subscription> subscription_;
};

TEST_F(WatchTest, ChangesOfFilesAreTold) {
    save("web1");
    const Json made = next();
    EXPECT_EQ(made["type"], "zone");
    EXPECT_EQ(made["zone"], "web1");
    EXPECT_EQ(made["state"], "configured");
    EXPECT_FALSE(made.contains("previous"));
    store::ZoneRecord record = registry_.record("web1").value();
    record.state = zone::State::installed;
    record.aux.insert(zone::Aux::suspended);
    ASSERT_TRUE(registry_.put_record("web1", record).has_value());
    const Json installed = next();
    EXPECT_EQ(installed["state"], "installed");
    EXPECT_EQ(installed["previous"], "configured");
    EXPECT_EQ(installed["auxiliary"], Json::array({"suspended"}));
    ASSERT_TRUE(registry_.remove("web1").has_value());
    const Json removed = next();
    EXPECT_EQ(removed["type"], "zone-removed");
    EXPECT_EQ(removed["zone"], "web1");
}

TEST_F(WatchTest, AMachineThatDiesChangesNoFileAndIsTold) {
    save("web1");
    ASSERT_EQ(next()["state"], "configured");
    SpawnOptions sleep;
    sleep.argv = {"sleep", "60"};
    auto machine = Process::spawn(sleep).value();
    store::RuntimeRecord runtime;
    runtime.zone_id = 1;
    runtime.state = zone::State::running;
    runtime.qemu = machine.identity();
    runtime.started = utc_timestamp();
    ASSERT_TRUE(store::save_runtime(paths_, "web1", runtime).has_value());
    EXPECT_EQ(next()["state"], "running");
    machine.kill_and_wait();
    const Json ended = next();
    EXPECT_EQ(ended["state"], "configured");
    EXPECT_EQ(ended["previous"], "running");
}

TEST_F(WatchTest, WhatIsNoStateIsNotTold) {
    save("web1");
    ASSERT_EQ(next()["zone"], "web1");
    ASSERT_TRUE(write_file_atomic(paths_.run_dir() / "something", "x", 0600).has_value());
    ASSERT_TRUE(make_directories(paths_.zone_run_dir("web1"), 0755).has_value());
    save("web1");
    save("web2");
    EXPECT_EQ(next()["zone"], "web2");
}

class EventStream : public AdministrationTest {
  protected:
    static void subscribe(HttpClient& client, std::string_view target = "/api/1/events") {
        client.send(fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", target));
        const std::string begun = client.read_until("from now on\n\n");
        EXPECT_TRUE(begun.starts_with("HTTP/1.1 200 OK\r\n")) << begun;
        EXPECT_NE(begun.find("Content-Type: text/event-stream\r\n"), std::string::npos) << begun;
    }
};

TEST_F(EventStream, TellsOfZones) {
    auto client = viewer();
    subscribe(client);
    put_state("web1", zone::State::installed);
    const std::string text = client.read_until("\"installed\"");
    EXPECT_NE(text.find("event: zone\ndata: {"), std::string::npos) << text;
    EXPECT_NE(text.find("\"zone\":\"web1\""), std::string::npos) << text;
}

TEST_F(EventStream, ShowsOnlyTheZoneThatWasAskedForOrIsDelegated) {
    auto one = viewer();
    subscribe(one, "/api/1/events?zone=web2");
    auto delegated = delegate();  // of web1
    subscribe(delegated);
    administration_->events().publish({{"type", "zone"}, {"zone", "web1"}, {"state", "first"}});
    administration_->events().publish({{"type", "zone"}, {"zone", "web2"}, {"state", "second"}});
    administration_->events().publish({{"type", "zone"}, {"zone", "web1"}, {"state", "third"}});
    EXPECT_EQ(one.read_until("second").find("first"), std::string::npos);
    EXPECT_EQ(delegated.read_until("third").find("second"), std::string::npos);
}

TEST_F(EventStream, EndsWithTheRightToSeeIt) {
    auto client = viewer();
    subscribe(client);
    ASSERT_TRUE(write_file_atomic(paths_.rad_dir() / "roles", "", 0644).has_value());
    administration_->events().publish({{"type", "zone"}, {"zone", "web1"}, {"state", "hidden"}});
    EXPECT_EQ(client.read_until("never said").find("hidden"), std::string::npos);
}

TEST_F(EventStream, LeavesNothingBehind) {
    {
        auto client = viewer();
        subscribe(client);
        EXPECT_EQ(administration_->events().subscriber_count(), 1U);
    }
    const Deadline limit = soon();
    while (administration_->events().subscriber_count() > 0 && !limit.passed())
        std::this_thread::sleep_for(1ms);
    EXPECT_EQ(administration_->events().subscriber_count(), 0U);
}

}  // namespace
}  // namespace kz::rad
