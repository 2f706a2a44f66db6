// docs/openapi.yaml and the server say the same.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "administration_fixture.h"
#include "json_schema.h"

namespace kz::rad {
namespace {

using testing::IsEmpty;

TEST(Schema, FindsWhatDoesNotFit) {
    const Json schema = {{"type", "object"},
                         {"required", {"a"}},
                         {"additionalProperties", false},
                         {"properties",
                          {{"a", {{"type", "integer"}, {"minimum", 1}, {"maximum", 3}}},
                           {"b", {{"type", "array"}, {"items", {{"type", "string"}, {"enum", {"x"}}}}}},
                           {"c", {{"type", {"string", "null"}}, {"maxLength", 2}}}}}};
    const auto faults = [&](const Json& value) { return schema_faults({}, schema, value).size(); };
    EXPECT_EQ(faults({{"a", 1}, {"b", {"x"}}, {"c", nullptr}}), 0U);
    for (const Json& wrong :
         {Json::array(), Json::object(), Json{{"a", 0}}, Json{{"a", 4}}, Json{{"a", "1"}},
          Json{{"a", 1}, {"d", 1}}, Json{{"a", 1}, {"b", {"y"}}}, Json{{"a", 1}, {"c", "xyz"}}})
        EXPECT_EQ(faults(wrong), 1U) << wrong;
    EXPECT_EQ(schema_faults({}, {{"oneOf", Json::array()}}, 1).size(), 1U);
}

class OpenApi : public AdministrationTest {
  protected:
    static constexpr std::string_view kBase = "/api/1";

    const Json& operation(const std::string& method, const std::string& pattern) const {
        static const Json kNone;
        const Json& paths = document_["paths"];
        const std::string path = pattern.substr(kBase.size());
        std::string key = method;
        std::ranges::transform(key, key.begin(), [](unsigned char c) { return std::tolower(c); });
        return paths.contains(path) && paths[path].contains(key) ? paths[path][key] : kNone;
    }
    // Asks, and holds the answer against what is documented for its status.
    Answer ask(HttpClient& client, const std::string& method, const std::string& pattern,
               const std::string& target, const Json& body = {}) const {
        const Answer answer = client.ask(method, std::string(kBase) + target, body);
        const Json& responses = operation(method, std::string(kBase) + pattern)["responses"];
        const std::string status = std::to_string(answer.status);
        EXPECT_TRUE(answer.status >= 300 || responses.contains(status))
            << method << " " << target << " " << status;
        const Json& response =
            resolve(document_, responses.contains(status) ? responses[status] : responses["default"]);
        if (!response.contains("content")) {
            EXPECT_TRUE(answer.body.is_null()) << method << " " << target;
            return answer;
        }
        EXPECT_THAT(schema_faults(document_, response["content"]["application/json"]["schema"], answer.body),
                    IsEmpty())
            << method << " " << target << " " << status << " " << answer.body;
        return answer;
    }
    Json document_ = load_yaml(KZ_OPENAPI);
};

TEST_F(OpenApi, EveryRouteIsDescribedWithItsRole) {
    std::set<std::string> routes;
    for (const Router::Route& route : administration_->router().routes()) {
        const std::string name = route.method + " " + route.pattern;
        routes.insert(name);
        const Json& described = operation(route.method, route.pattern);
        ASSERT_TRUE(described.is_object()) << name << " is not in docs/openapi.yaml";
        EXPECT_EQ(described["x-kzones-role"], need_name(route.access.need)) << name;
        EXPECT_EQ(described.value("x-kzones-auths", ""), route.access.delegated) << name;
        EXPECT_TRUE(described["responses"].contains("default")) << name;
        EXPECT_EQ(described["responses"]
                      .value("200", Json::object())
                      .value("content", Json::object())
                      .contains("text/event-stream"),
                  static_cast<bool>(route.streamer))
            << name;
    }
    for (const auto& [path, item] : document_["paths"].items())
        for (const auto& [method, unused] : item.items()) {
            if (method == "parameters") continue;
            std::string name = method;
            std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
            name += " " + std::string(kBase) + path;
            EXPECT_TRUE(routes.contains(name)) << name << " is in docs/openapi.yaml only";
        }
}

TEST_F(OpenApi, EveryParameterOfAPathIsDescribed) {
    for (const auto& [path, item] : document_["paths"].items()) {
        std::set<std::string> described;
        for (const Json& parameter : item.value("parameters", Json::array()))
            described.insert(resolve(document_, parameter)["name"].get<std::string>());
        std::set<std::string> present;
        for (const std::string& segment : split(path, '/'))
            if (segment.starts_with('{')) present.insert(segment.substr(1, segment.size() - 2));
        EXPECT_EQ(described, present) << path;
    }
}

TEST_F(OpenApi, OperationsHaveNamesOfTheirOwn) {
    std::set<std::string> names;
    for (const auto& [path, item] : document_["paths"].items())
        for (const auto& [method, described] : item.items())
            if (method != "parameters") {
                EXPECT_TRUE(names.insert(described["operationId"].get<std::string>()).second) << path;
                EXPECT_FALSE(described["summary"].get<std::string>().empty()) << path;
            }
}

// A field that is described is taken, one that is not is refused: what is wrong then is only its value.
TEST_F(OpenApi, FieldsOfABodyAreThoseDescribed) {
    auto client = root();
    const Json& body = operation(
        "POST", "/api/1/zones/{zone}/migrations")["requestBody"]["content"]["application/json"]["schema"];
    const auto refusal = [&](const std::string& field) {
        return client.ask("POST", "/api/1/zones/web1/migrations", {{field, Json::array()}}).text();
    };
    for (const auto& [field, unused] : body["properties"].items())
        EXPECT_EQ(refusal(field).find("is not known here"), std::string::npos) << field;
    EXPECT_NE(refusal("nonsense").find("is not known here"), std::string::npos);
    const Json& action = document_["components"]["schemas"]["Action"]["properties"];
    for (const Json& name : action["action"]["enum"]) {
        const Answer answer = client.ask("POST", "/api/1/zones/nozone/state", {{"action", name}});
        EXPECT_EQ(answer.status, 404U) << name << answer.text();
    }
}

TEST_F(OpenApi, AnswersAreAsDescribed) {
    put_state("web2", zone::State::unavailable);
    auto client = root();
    ask(client, "GET", "/host", "/host");
    EXPECT_EQ(ask(client, "GET", "/zones", "/zones").body["zones"].size(), 2U);
    ask(client, "GET", "/zones/{zone}", "/zones/web1");
    EXPECT_EQ(ask(client, "GET", "/zones/{zone}", "/zones/none").status, 404U);
    ask(client, "GET", "/migration-ciphers", "/migration-ciphers");
    const std::string configuration = "/zones/{zone}/configuration";
    ask(client, "GET", configuration, "/zones/web1/configuration");
    ask(client, "PUT", configuration, "/zones/web3/configuration",
        {{"text", "create -b\nset brand=linux-kz\n"}});
    EXPECT_EQ(ask(client, "PUT", configuration, "/zones/web3/configuration", {{"text", 1}}).status, 400U);
    EXPECT_EQ(ask(client, "DELETE", configuration, "/zones/web3/configuration").status, 204U);
    EXPECT_EQ(ask(client, "POST", "/zones/{zone}/state", "/zones/web1/state", {{"action", "boot"}}).status,
              409U);
    const std::string all = "/zones/{zone}/migrations";
    const Answer started =
        ask(client, "POST", all, "/zones/web1/migrations", {{"destination", "127.0.0.1:1"}});
    const std::string id = started.body["id"];
    ask(client, "GET", all + "/{id}", "/zones/web1/migrations/" + id);
    ask(client, "DELETE", all + "/{id}", "/zones/web1/migrations/" + id);
    ask(client, "GET", all, "/zones/web1/migrations");
    EXPECT_EQ(
        ask(client, "POST", "/zones/{zone}/incoming", "/zones/web1/incoming", Json::object()).status >= 400,
        true);
    EXPECT_EQ(ask(client, "DELETE", "/zones/{zone}/incoming", "/zones/web1/incoming").status, 409U);
}

TEST_F(OpenApi, LoginsAndRefusalsAreAsDescribed) {
    auto client = stranger();
    EXPECT_EQ(ask(client, "GET", "/host", "/host").status, 403U);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(ask(client, "POST", "/login", "/login", {{"user", "nobody"}, {"password", "x"}}).status,
                  401U);
    auto again = stranger();  // that connection has been refused often enough
    EXPECT_EQ(ask(again, "POST", "/login", "/login", {{"user", "bin"}, {"password", "x"}}).status, 429U);
    auto other = HttpClient::over_tls(port_, nullptr, "127.0.0.77");
    EXPECT_EQ(ask(other, "POST", "/login", "/login", {{"user", "bin"}, {"password", "x"}}).body["role"],
              "operator");
}

TEST_F(OpenApi, EventsAreAsDescribed) {
    auto subscription = administration_->events().subscribe().value();
    put_state("web1", zone::State::installed);
    auto client = root();
    client.ask("POST", "/api/1/zones/web1/migrations", {{"destination", "127.0.0.1:1"}});
    add_zone("web9");
    client.ask("DELETE", "/api/1/zones/web9/configuration");
    // The last two may have been noticed as one, which is nothing.
    std::set<std::string> seen;
    const Deadline limit = soon();
    while (!(seen.contains("zone") && seen.contains("migration")) && !limit.passed()) {
        if (!wait_readable(subscription->fd(), limit)) break;
        while (const auto event = subscription->next().value()) {
            seen.insert(event->at("type").get<std::string>());
            EXPECT_THAT(schema_faults(document_, document_["components"]["schemas"]["Event"], *event),
                        IsEmpty())
                << *event;
        }
    }
    EXPECT_TRUE(seen.contains("zone"));
    EXPECT_TRUE(seen.contains("migration"));
}

}  // namespace
}  // namespace kz::rad
