// Every route: who may ask it, and what it answers.
#include <map>
#include <set>

#include "administration_fixture.h"

namespace kz::rad {
namespace {

using RoutesTest = AdministrationTest;

// Of each route: who gets past the door, as letters: s(tranger), d(elegate), v(iewer), m(igrate), o(perator),
// f(ull). A new route has to be added here, with thought.
const std::map<std::string, std::string> kWho{
    {"POST /api/1/login", "sdvmof"},
    {"GET /api/1/host", "dvmof"},
    {"GET /api/1/zones", "dvmof"},
    {"GET /api/1/zones/{zone}", "vmof"},
    {"GET /api/1/zones/{zone}/configuration", "vmof"},
    {"PUT /api/1/zones/{zone}/configuration", "f"},
    {"DELETE /api/1/zones/{zone}/configuration", "f"},
    {"POST /api/1/zones/{zone}/state", "of"},
    {"POST /api/1/zones/{zone}/migrations", "of"},
    {"GET /api/1/zones/{zone}/migrations", "vmof"},
    {"GET /api/1/zones/{zone}/migrations/{id}", "vmof"},
    {"PATCH /api/1/zones/{zone}/migrations/{id}", "of"},
    {"DELETE /api/1/zones/{zone}/migrations/{id}", "of"},
    {"GET /api/1/events", "dvmof"},
    {"GET /api/1/migration-ciphers", "dvmof"},
    {"POST /api/1/zones/{zone}/incoming", "mf"},
    {"POST /api/1/zones/{zone}/incoming/link", "mf"},
    {"POST /api/1/zones/{zone}/incoming/configure", "mf"},
    {"POST /api/1/zones/{zone}/incoming/attach", "mf"},
    {"POST /api/1/zones/{zone}/incoming/boot", "mf"},
    {"POST /api/1/zones/{zone}/incoming/loaded", "mf"},
    {"POST /api/1/zones/{zone}/incoming/resume", "mf"},
    {"POST /api/1/zones/{zone}/incoming/adopt", "mf"},
    {"POST /api/1/zones/{zone}/incoming/start", "mf"},
    {"DELETE /api/1/zones/{zone}/incoming", "mf"},
};

std::string with_parameters(std::string pattern) {
    for (const auto& [name, value] : {std::pair("{zone}", "nozone"), std::pair("{id}", "noid")})
        if (const auto at = pattern.find(name); at != std::string::npos)
            pattern.replace(at, std::string_view(name).size(), value);
    return pattern;
}

TEST_F(RoutesTest, EachIsForTheRolesThatItNames) {
    std::set<std::string> seen;
    std::map<char, HttpClient> clients;
    clients.emplace('d', delegate());
    clients.emplace('v', viewer());
    clients.emplace('m', migrate_only());
    clients.emplace('o', operate());
    clients.emplace('f', root());
    for (const Router::Route& route : administration_->router().routes()) {
        const std::string name = route.method + " " + route.pattern;
        seen.insert(name);
        ASSERT_TRUE(kWho.contains(name)) << name;
        // A stream or a further login would change what the connection is.
        if (route.streamer || route.access.need == Need::anyone) continue;
        const std::string target = with_parameters(route.pattern);
        EXPECT_EQ(stranger().ask(route.method, target, {}).status, 403U) << name;
        for (auto& [letter, client] : clients) {
            const unsigned status = client.ask(route.method, target, {}).status;
            const bool past = status != 403 && status != 0;
            EXPECT_EQ(past, kWho.at(name).find(letter) != std::string::npos)
                << name << " " << letter << " " << status;
        }
    }
    EXPECT_EQ(seen.size(), kWho.size());
}

TEST_F(RoutesTest, AZoneThatIsDelegatedIsForItsAdministrator) {
    auto games = delegate();
    const Answer zones = games.ask("GET", "/api/1/zones");
    ASSERT_EQ(zones.body["zones"].size(), 1U);
    EXPECT_EQ(zones.body["zones"][0]["name"], "web1");
    EXPECT_EQ(games.ask("GET", "/api/1/zones/web1").status, 200U);
    EXPECT_EQ(games.ask("GET", "/api/1/zones/web2").status, 403U);
    EXPECT_EQ(games.ask("GET", "/api/1/zones/web1/configuration").status, 200U);
    EXPECT_EQ(games.ask("GET", "/api/1/zones/web1/configuration?secrets=true").status, 403U);
    // manage: the state, but neither configuration nor moves.
    EXPECT_EQ(games.ask("POST", "/api/1/zones/web1/state", {{"action", "boot"}}).status, 409U);
    EXPECT_EQ(games.ask("POST", "/api/1/zones/web2/state", {{"action", "boot"}}).status, 403U);
    EXPECT_EQ(games.ask("PUT", "/api/1/zones/web1/configuration", {{"text", "create -b"}}).status, 403U);
    EXPECT_EQ(games.ask("POST", "/api/1/zones/web1/migrations", {{"destination", "node2"}}).status, 403U);
}

TEST_F(RoutesTest, TheAuthsOfADelegateAreKeptApart) {
    auto man = user("man");  // of web2: config,migrate.cold
    EXPECT_EQ(man.ask("POST", "/api/1/zones/web2/state", {{"action", "boot"}}).status, 403U);
    EXPECT_EQ(man.ask("POST", "/api/1/zones/web2/migrations", {{"destination", "node2"}}).status, 403U);
    const Json cold{{"destination", "127.0.0.1:1"}, {"type", "cold"}};
    EXPECT_EQ(man.ask("POST", "/api/1/zones/web2/migrations", cold).status, 200U);
    const std::string text = man.ask("GET", "/api/1/zones/web2/configuration").body["text"];
    const Answer changed =
        man.ask("PUT", "/api/1/zones/web2/configuration", {{"text", text + "set bootargs=quiet\n"}});
    EXPECT_EQ(changed.status, 200U) << changed.text();
    const Answer grab = man.ask("PUT", "/api/1/zones/web2/configuration",
                                {{"text", text + "add admin\nset user=games\nset auths=manage\nend\n"}});
    EXPECT_EQ(grab.status, 403U);
    EXPECT_NE(grab.text().find("who administers"), std::string::npos);
}

TEST_F(RoutesTest, ConfigurationsAreImportedReplacedAndDeleted) {
    auto client = root();
    const std::string target = "/api/1/zones/web3/configuration";
    EXPECT_EQ(client.ask("GET", target).status, 404U);
    const Json body{{"text", "create -b\nset brand=linux-kz\nset bootargs=quiet\n"}};
    const Answer created = client.ask("PUT", target, body);
    EXPECT_EQ(created.body, (Json{{"zone", "web3"}, {"created", true}})) << created.text();
    EXPECT_NE(client.ask("GET", target).body["text"].get<std::string>().find("set bootargs=quiet"),
              std::string::npos);
    EXPECT_EQ(client.ask("PUT", target, {{"text", "create -b\nset bootargs=verbose\n"}}).status, 200U);
    EXPECT_EQ(client.ask("PUT", target, {{"text", "set nonsense=1\n"}}).status, 400U);
    EXPECT_EQ(client.ask("PUT", target, {{"txt", "create -b\n"}}).status, 400U);
    EXPECT_EQ(client.ask("PUT", "/api/1/zones/global/configuration", body).status, 400U);
    EXPECT_EQ(client.ask("PUT", "/api/1/zones/..%2fetc/configuration", body).status, 400U);
    EXPECT_EQ(client.ask("DELETE", target).status, 204U);
    EXPECT_EQ(client.ask("DELETE", target).status, 404U);
}

TEST_F(RoutesTest, TheKeyIsShownToRootAlone) {
    const auto registry = store::Registry::open(paths_).value();
    ASSERT_TRUE(registry.put_keysource("web1", Secret(Bytes(16, 0xab))).has_value());
    const std::string hex = "abababababababababababababababab";
    const std::string target = "/api/1/zones/web1/configuration";
    EXPECT_EQ(root().ask("GET", target).body["text"].get<std::string>().find(hex), std::string::npos);
    EXPECT_NE(root().ask("GET", target + "?secrets=true").body["text"].get<std::string>().find(hex),
              std::string::npos);
    EXPECT_EQ(operate().ask("GET", target + "?secrets=true").status, 403U);
}

TEST_F(RoutesTest, AZoneWithDisksKeepsItsConfiguration) {
    put_state("web1", zone::State::installed);
    const std::string target = "/api/1/zones/web1/configuration";
    EXPECT_EQ(root().ask("PUT", target, {{"text", "create -b\n"}}).status, 409U);
    EXPECT_EQ(root().ask("DELETE", target).status, 409U);
    EXPECT_EQ(root().ask("GET", "/api/1/zones/web1").body["state"], "installed");
}

TEST_F(RoutesTest, ActionsAreCheckedBeforeTheyAreDone) {
    auto client = operate();
    const std::string target = "/api/1/zones/web1/state";
    for (const Json& wrong :
         {Json(), Json::object(), Json{{"action", "explode"}}, Json{{"action", 1}},
          Json{{"action", "boot"}, {"discard_imgae", true}},
          Json{{"action", "halt"}, {"discard_image", true}},
          Json{{"action", "boot"}, {"discard_image", "yes"}}, Json{{"action", "shutdown"}, {"patience", 1e9}},
          Json{{"action", "shutdown"}, {"patience", -1}}})
        EXPECT_EQ(client.ask("POST", target, wrong).status, 400U) << wrong;
    // A zone that is configured cannot do any of these.
    for (const std::string_view action :
         {"boot", "ready", "halt", "shutdown", "reboot", "suspend", "detach"}) {
        const Answer answer = client.ask("POST", target, {{"action", action}});
        EXPECT_EQ(answer.status, 409U) << action << " " << answer.text();
        EXPECT_EQ(client.ask("POST", "/api/1/zones/nozone/state", {{"action", action}}).status, 404U)
            << action;
    }
    const std::vector<Json> lines = read_audit(paths_);
    const auto halted = std::ranges::find_if(lines, [](const Json& line) {
        return line.value("action", "") == "halt" && line["zone"] == "web1" &&
               line["outcome"] == "wrong_state";
    });
    ASSERT_NE(halted, lines.end());
    EXPECT_EQ((*halted)["who"], "bin");
    EXPECT_EQ((*halted)["role"], "operator");
}

TEST_F(RoutesTest, AMoveIsStartedWatchedAndListed) {
    auto client = operate();
    const std::string target = "/api/1/zones/web1/migrations";
    EXPECT_EQ(client.ask("POST", target, {{"type", "cold"}}).status, 400U);
    EXPECT_EQ(client.ask("POST", target, {{"destination", "n"}, {"type", "hot"}}).status, 400U);
    EXPECT_EQ(client.ask("POST", target, {{"destination", "n"}, {"connections", 1000}}).status, 400U);
    EXPECT_EQ(client.ask("POST", target, {{"destination", "n"}, {"on_deadline", "explode"}}).status, 400U);
    EXPECT_EQ(client.ask("POST", target, {{"destination", "n"}, {"host_fingerprint", "SHA256:x"}}).status,
              403U);
    EXPECT_EQ(client.ask("POST", target, {{"destination", "n"}, {"accept_new_host_key", true}}).status, 403U);
    const Answer started = client.ask("POST", target, {{"destination", "127.0.0.1:1"}});
    ASSERT_EQ(started.status, 200U) << started.text();
    const std::string one = target + "/" + started.body["id"].get<std::string>();
    // Nothing listens there, and the zone is not installed: it fails soon.
    const Deadline limit = soon();
    Json now = client.ask("GET", one).body;
    while (now["status"] == "running" && !limit.passed())
        now = client.ask("GET", one).body;
    EXPECT_EQ(now["status"], "failed");
    EXPECT_EQ(now["by"], "bin");
    EXPECT_FALSE(now["error"]["message"].get<std::string>().empty());
    EXPECT_EQ(client.ask("GET", target).body["migrations"].size(), 1U);
    EXPECT_EQ(client.ask("GET", target).body["journal"], Json::array());
    EXPECT_EQ(client.ask("DELETE", one).status, 409U);
    EXPECT_EQ(client.ask("PATCH", one, {{"bandwidth", 1000}}).status, 409U);
    EXPECT_EQ(client.ask("PATCH", one, Json::object()).status, 400U);
    EXPECT_EQ(client.ask("PATCH", one, {{"bandwidth", -1}}).status, 400U);
    EXPECT_EQ(client.ask("PATCH", target + "/none", {{"bandwidth", 1000}}).status, 404U);
    EXPECT_EQ(client.ask("DELETE", target + "/none").status, 404U);
    EXPECT_EQ(
        client.ask("GET", "/api/1/zones/web2/migrations/" + started.body["id"].get<std::string>()).status,
        404U);
}

}  // namespace
}  // namespace kz::rad
