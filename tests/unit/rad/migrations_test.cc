#include "rad/migrations.h"

#include <gtest/gtest.h>

#include "http_client.h"

namespace kz::rad {
namespace {

using namespace std::chrono_literals;

// Moves that wait until they are let go or cancelled.
class MigrationsTest : public testing::Test {
  protected:
    Result<Json> move(const std::string& zone, const client::Reporter& reporter) {
        ++under_way_;
        reporter.say("Checking.");
        reporter.progress({{"percent", 12}});
        // One that has passed its commit heeds no cancel.
        const auto go = wait_readable(go_.fd(), soon(), zone == "committed" ? -1 : reporter.cancel_fd);
        --under_way_;
        if (!go) return fail(Errc::cancelled, "cancelled");
        if (zone == "bad") return fail(Errc::unavailable, "the other host is gone");
        if (zone == "worse") throw std::runtime_error("a fault of ours");
        return Json{{"bytes", 42}};
    }
    Result<Json> start(const std::string& zone) {
        client::MigrateOptions options;
        options.destination = "node2";
        return migrations_->start(zone, options, "bob");
    }
    Json ended(const std::string& zone, const std::string& id) {
        const Deadline limit = soon();
        Json facts = migrations_->find(zone, id).value();
        while (facts["status"] == "running" && !limit.passed()) {
            std::this_thread::sleep_for(1ms);
            facts = migrations_->find(zone, id).value();
        }
        return facts;
    }
    void wait_for_progress(const std::string& zone, const std::string& id) {
        const Deadline limit = soon();
        while (migrations_->find(zone, id).value()["progress"].is_null() && !limit.passed())
            std::this_thread::sleep_for(1ms);
    }

    EventFd go_ = EventFd::create().value();
    std::atomic<int> under_way_ = 0;
    std::map<std::string, std::uint64_t> limited_;
    EventHub hub_;
    std::unique_ptr<Migrations> migrations_ = std::make_unique<Migrations>(
        [this](const std::string& zone, const client::MigrateOptions&, const client::Reporter& reporter) {
            return move(zone, reporter);
        },
        [this](const std::string& zone, std::uint64_t bandwidth) -> Result<void> {
            if (zone == "cold") return fail(Errc::wrong_state, "no live migration of the zone is under way");
            limited_[zone] = bandwidth;
            return {};
        },
        hub_);
};

TEST_F(MigrationsTest, OneIsSeenWhileItRunsAndAfter) {
    const auto subscription = hub_.subscribe().value();
    const Json started = start("web1").value();
    EXPECT_EQ(started["status"], "running");
    EXPECT_EQ(started["destination"], "node2");
    const std::string id = started["id"];
    wait_for_progress("web1", id);
    const Json now = migrations_->find("web1", id).value();
    EXPECT_EQ(now["progress"]["percent"], 12);
    EXPECT_EQ(now["messages"], Json::array({"Checking."}));
    go_.signal();
    const Json done = ended("web1", id);
    EXPECT_EQ(done["status"], "succeeded");
    EXPECT_EQ(done["report"]["bytes"], 42);
    EXPECT_EQ(migrations_->find("web2", id).error().code(), Errc::not_found);
    std::vector<Json> events;
    while (auto event = subscription->next().value())
        events.push_back(*event);
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[1]["message"], "Checking.");
    EXPECT_EQ(events[2]["progress"]["percent"], 12);
    EXPECT_EQ(events[3]["status"], "succeeded");
    EXPECT_EQ(events[3]["migration"], id);
}

TEST_F(MigrationsTest, FailuresAreTold) {
    go_.signal();
    const Json bad = ended("bad", start("bad").value()["id"]);
    EXPECT_EQ(bad["status"], "failed");
    EXPECT_EQ(bad["error"], (Json{{"code", "unavailable"}, {"message", "the other host is gone"}}));
    EXPECT_EQ(ended("worse", start("worse").value()["id"])["error"]["code"], "internal");
}

TEST_F(MigrationsTest, OneIsCancelled) {
    const std::string id = start("web1").value()["id"];
    EXPECT_TRUE(migrations_->cancel("web1", id).has_value());
    EXPECT_EQ(ended("web1", id)["status"], "cancelled");
    EXPECT_EQ(migrations_->cancel("web1", id).error().code(), Errc::wrong_state);
    EXPECT_EQ(migrations_->cancel("web1", "none").error().code(), Errc::not_found);
}

TEST_F(MigrationsTest, AfterTheCommitItIsTooLateToCancel) {
    const std::string id = start("committed").value()["id"];
    EXPECT_TRUE(migrations_->cancel("committed", id).has_value());
    go_.signal();
    const Json facts = ended("committed", id);
    EXPECT_EQ(facts["status"], "succeeded");
    EXPECT_EQ(facts["messages"], Json::array({"Checking.", "too late: moved"}));
    EXPECT_EQ(migrations_->cancel("committed", id).error().message(),
              "too late: moved; the migration has ended: it succeeded");
}

TEST_F(MigrationsTest, TheBandwidthOfOneIsChangedWhileItRuns) {
    const std::string id = start("web1").value()["id"];
    EXPECT_EQ(migrations_->limit("web1", id, 5000).value()["status"], "running");
    EXPECT_EQ(limited_.at("web1"), 5000U);
    EXPECT_EQ(migrations_->limit("web1", "none", 1).error().code(), Errc::not_found);
    EXPECT_EQ(migrations_->limit("cold", start("cold").value()["id"], 1).error().code(), Errc::wrong_state);
    go_.signal();
    EXPECT_EQ(ended("web1", id)["status"], "succeeded");
    EXPECT_EQ(migrations_->limit("web1", id, 1).error().code(), Errc::wrong_state);
    EXPECT_EQ(limited_.at("web1"), 5000U);
}

TEST_F(MigrationsTest, TheyAreLimited) {
    ASSERT_TRUE(start("web0").has_value());
    EXPECT_EQ(start("web0").error().code(), Errc::busy);
    for (std::size_t i = 1; i < Migrations::kAtOnce; ++i)
        EXPECT_TRUE(start(fmt::format("web{}", i)).has_value());
    EXPECT_EQ(start("one-more").error().code(), Errc::busy);
}

TEST_F(MigrationsTest, OldOnesAreForgotten) {
    go_.signal();
    std::string first;
    for (std::size_t i = 0; i < Migrations::kRemembered + 10; ++i) {
        const std::string id = start("web1").value()["id"];
        if (first.empty()) first = id;
        EXPECT_EQ(ended("web1", id)["status"], "succeeded");
    }
    EXPECT_LE(migrations_->list("web1").size(), Migrations::kRemembered + 1);
    EXPECT_FALSE(migrations_->find("web1", first).has_value());
}

TEST_F(MigrationsTest, TheEndOfTheServerCancelsThem) {
    ASSERT_TRUE(start("web1").has_value());
    ASSERT_TRUE(start("web2").has_value());
    migrations_.reset();
    EXPECT_EQ(under_way_, 0);
}

}  // namespace
}  // namespace kz::rad
