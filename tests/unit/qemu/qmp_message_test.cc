#include "qemu/qmp_message.h"

#include <gmock/gmock.h>

namespace kz::qemu {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> lines_of(LineBuffer& buffer) {
    std::vector<std::string> lines;
    while (auto line = buffer.next_line())
        lines.push_back(*line);
    return lines;
}

TEST(LineBuffer, JoinsPartsAndDropsLineEnds) {
    LineBuffer buffer;
    ASSERT_TRUE(buffer.append(as_bytes("{\"a\"")));
    EXPECT_EQ(buffer.next_line(), std::nullopt);
    ASSERT_TRUE(buffer.append(as_bytes(":1}\r\n\r\n{}\n[")));
    EXPECT_THAT(lines_of(buffer), testing::ElementsAre("{\"a\":1}", "{}"));
    ASSERT_TRUE(buffer.append(as_bytes("]\n")));
    EXPECT_THAT(lines_of(buffer), testing::ElementsAre("[]"));
}

TEST(LineBuffer, ByteByByte) {
    LineBuffer buffer;
    std::vector<std::string> lines;
    for (const char c : std::string("one\r\ntwo\nthree")) {
        ASSERT_TRUE(buffer.append(as_bytes({&c, 1})));
        while (auto line = buffer.next_line())
            lines.push_back(*line);
    }
    EXPECT_THAT(lines, testing::ElementsAre("one", "two"));
}

TEST(LineBuffer, CapsTheUnfinishedLineOnly) {
    LineBuffer buffer;
    ASSERT_TRUE(buffer.append(as_bytes("12345678\n12345678\n"), 8));
    EXPECT_EQ(lines_of(buffer).size(), 2U);
    ASSERT_TRUE(buffer.append(as_bytes("12345678"), 8));
    const auto beyond = buffer.append(as_bytes("9"), 8);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code(), Errc::protocol);
}

TEST(QmpMessage, Greeting) {
    const auto message = parse_qmp_message(
        R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "x"}, "capabilities": []}})");
    ASSERT_TRUE(message);
    EXPECT_EQ(std::get<QmpGreeting>(*message).version["micro"], 22);
    EXPECT_FALSE(std::get<QmpGreeting>(*message).out_of_band);
    const auto able =
        parse_qmp_message(R"({"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}})");
    ASSERT_TRUE(able);
    EXPECT_TRUE(std::get<QmpGreeting>(*able).out_of_band);
}

TEST(QmpMessage, ReplyAndFailure) {
    const auto reply = parse_qmp_message(R"({"return": {"running": true}, "id": 3})");
    ASSERT_TRUE(reply);
    EXPECT_EQ(std::get<QmpReply>(*reply).id, 3U);
    EXPECT_EQ(std::get<json>(std::get<QmpReply>(*reply).outcome), json({{"running", true}}));
    const auto failure =
        parse_qmp_message(R"({"id": 4, "error": {"class": "GenericError", "desc": "no such disk"}})");
    ASSERT_TRUE(failure);
    EXPECT_EQ(std::get<QmpFailure>(std::get<QmpReply>(*failure).outcome).description, "no such disk");
}

TEST(QmpMessage, Event) {
    const auto message = parse_qmp_message(
        R"({"timestamp": {"seconds": 1795315770, "microseconds": 143803}, "event": "SHUTDOWN", "data": {"guest": false}})");
    ASSERT_TRUE(message);
    const auto& event = std::get<QmpEvent>(*message);
    EXPECT_EQ(event.name, "SHUTDOWN");
    EXPECT_EQ(event.data, json({{"guest", false}}));
    EXPECT_EQ(event.timestamp_micros, 1795315770143803);
    const auto bare =
        parse_qmp_message(R"({"event": "STOP", "timestamp": {"seconds": -1, "microseconds": -1}})");
    ASSERT_TRUE(bare);
    EXPECT_EQ(std::get<QmpEvent>(*bare).data, json::object());
    EXPECT_EQ(std::get<QmpEvent>(*bare).timestamp_micros, 0);
}

TEST(QmpMessage, GarbageIsAnErrorThatQuotesIt) {
    const std::string deep(65, '[');
    for (const std::string& line : std::vector<std::string>{
             "hello", "{", "[]", "{}", "3", R"({"return": {}})", R"({"return": {}, "id": "x"})",
             R"({"return": {}, "id": -1})", R"({"id": 1})", R"({"id": 1, "error": 7})", R"({"event": 7})",
             R"({"event": "X", "data": []})", R"({"QMP": []})", R"({"QMP": {"version": {}}})", "\x01\xff",
             R"({"id": 1, "return": )" + deep + std::string(65, ']') + "}"}) {
        const auto message = parse_qmp_message(line);
        ASSERT_FALSE(message) << line;
        EXPECT_EQ(message.error().code(), Errc::protocol);
        EXPECT_THAT(message.error().message(), HasSubstr("what is not QMP"));
    }
    EXPECT_THAT(parse_qmp_message("he\x01llo").error().message(), HasSubstr("he?llo"));
}

TEST(QmpMessage, BracketsInTextAreNoDepth) {
    const std::string text(1000, '[');
    const auto message = parse_qmp_message(R"({"id": 1, "return": "\")" + text + "\"}");
    ASSERT_TRUE(message);
    EXPECT_EQ(std::get<json>(std::get<QmpReply>(*message).outcome), json("\"" + text));
}

TEST(QmpCommand, Render) {
    EXPECT_EQ(*render_qmp_command("cont", json::object(), 5), "{\"execute\":\"cont\",\"id\":5}\n");
    EXPECT_EQ(*render_qmp_command("migrate", {{"uri", "unix:/a\nb"}}, 6),
              "{\"arguments\":{\"uri\":\"unix:/a\\nb\"},\"execute\":\"migrate\",\"id\":6}\n");
    EXPECT_EQ(render_qmp_command("x", json::array({1}), 7).error().code(), Errc::invalid_argument);
    EXPECT_EQ(render_qmp_command("x", {{"a", "\xff"}}, 7).error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::qemu
