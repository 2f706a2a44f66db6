#include "monitor/agent_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kz::monitor {
namespace {

using agent::append_frame;
using agent::Frame;
using agent::FrameReader;
using agent::FrameType;

constexpr std::uint64_t kNonce = 0x0102030405060708;

std::vector<Frame> frames_of(const std::string& bytes, bool aligned = true) {
    FrameReader reader(aligned);
    reader.feed(bytes);
    std::vector<Frame> frames;
    Frame frame;
    while (reader.next(frame) == FrameReader::Event::frame)
        frames.push_back(frame);
    return frames;
}

std::string welcome(std::uint64_t nonce) {
    std::string bytes;
    agent::append_mark(bytes);
    append_frame(bytes, FrameType::welcome, 0, 0, agent::encode(agent::Welcome{1, nonce, "test"}));
    return bytes;
}

// A connection with one session.
struct Connected : testing::Test {
    void SetUp() override {
        sessions.begin(kNonce, std::nullopt);
        ASSERT_TRUE(sessions.feed(welcome(kNonce)).connected);
        sessions.to_port().clear();
        number = sessions.open({agent::OpenKind::command, "root", "", {}, "cat"});
        sessions.to_port().clear();
    }
    AgentSessions::Happened from_guest(FrameType type, std::uint8_t stream, std::string_view payload) {
        std::string bytes;
        append_frame(bytes, type, number, stream, payload);
        return sessions.feed(bytes);
    }
    bool from_client(FrameType type, std::uint8_t stream, std::string payload) {
        return sessions.take_from_client(number, Frame{type, stream, 0, std::move(payload)});
    }
    std::vector<Frame> to_client() { return frames_of(sessions.find(number)->to_client); }

    AgentSessions sessions;
    std::uint32_t number = 0;
};

TEST(AgentSessions, OnlyAWelcomeWithTheNonceCounts) {
    AgentSessions sessions;
    sessions.begin(kNonce, 42);
    const std::vector<Frame> said = frames_of(sessions.to_port(), /*aligned=*/false);
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(agent::decode_hello(said[0].payload), (agent::Hello{1, kNonce, true, 42}));
    EXPECT_FALSE(sessions.feed(welcome(kNonce + 1)).connected);
    EXPECT_FALSE(sessions.connected());
    // What was left of an earlier connection is passed over.
    EXPECT_TRUE(sessions.feed("rubbish" + welcome(kNonce)).connected);
    EXPECT_EQ(sessions.agent(), "test");
}

TEST(AgentSessions, AnAgentThatHasStartedWantsAHello) {
    AgentSessions sessions;
    sessions.begin(kNonce, std::nullopt);
    std::string bytes;
    agent::append_mark(bytes);
    append_frame(bytes, FrameType::announce, 0, 0, {});
    EXPECT_TRUE(sessions.feed(bytes).wants_hello);
}

TEST_F(Connected, DataIsMaskedOnItsWayIn) {
    EXPECT_TRUE(from_client(FrameType::data, 0, "hello"));
    const std::vector<Frame> said = frames_of(sessions.to_port());
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(said[0].session, number);
    std::string payload = said[0].payload;
    EXPECT_NE(payload, "hello");
    agent::mask(payload, kNonce);
    EXPECT_EQ(payload, "hello");
}

TEST_F(Connected, WhatComesOutGoesToItsClient) {
    from_guest(FrameType::opened, 0, agent::encode_text(""));
    from_guest(FrameType::data, 1, "out");
    from_guest(FrameType::data, 2, "err");
    from_guest(FrameType::exited, 0, agent::encode(agent::Exited{false, 3}));
    const std::vector<Frame> told = to_client();
    ASSERT_EQ(told.size(), 4U);
    EXPECT_EQ(told[1], (Frame{FrameType::data, 1, 0, "out"}));
    EXPECT_EQ(told[2], (Frame{FrameType::data, 2, 0, "err"}));
    EXPECT_TRUE(sessions.find(number)->over);
}

TEST_F(Connected, GuestThatSendsMoreThanItsCreditIsCutOff) {
    const std::string chunk(agent::kMaxPayload, 'x');
    for (std::size_t sent = 0; sent < agent::kWindow; sent += chunk.size())
        EXPECT_FALSE(from_guest(FrameType::data, 1, chunk).wants_hello);
    EXPECT_TRUE(from_client(FrameType::credit, 1, agent::encode_number(5)));
    EXPECT_FALSE(from_guest(FrameType::data, 1, "12345").wants_hello);
    EXPECT_TRUE(from_guest(FrameType::data, 1, "x").wants_hello);
    EXPECT_FALSE(sessions.connected());
    EXPECT_EQ(to_client().back().type, FrameType::failed);
}

TEST_F(Connected, ClientThatSendsMoreThanItsCreditIsCutOffAlone) {
    const std::string chunk(agent::kMaxPayload, 'x');
    for (std::size_t sent = 0; sent < agent::kWindow; sent += chunk.size())
        EXPECT_TRUE(from_client(FrameType::data, 0, chunk));
    EXPECT_FALSE(from_client(FrameType::data, 0, "x"));
    EXPECT_TRUE(sessions.connected());
}

TEST_F(Connected, NothingFollowsTheEndOfInput) {
    EXPECT_TRUE(from_client(FrameType::end, 0, ""));
    EXPECT_FALSE(from_client(FrameType::data, 0, "x"));
}

TEST_F(Connected, GuestCannotFillTheMonitorWithSmallFrames) {
    AgentSessions::Happened happened;
    for (int i = 0; i < 200'000 && !happened.wants_hello; ++i)
        happened = from_guest(FrameType::credit, 0, agent::encode_number(1));
    EXPECT_TRUE(happened.wants_hello);
    EXPECT_LE(sessions.find(number)->to_client.size(), AgentSessions::kMaxHeld + agent::kMaxFrame);
}

TEST_F(Connected, FramesOfTheWrongSideAreABreach) {
    for (const FrameType type : {FrameType::open, FrameType::close, FrameType::call, FrameType::resize,
                                 FrameType::signal, FrameType::hello}) {
        SetUp();
        EXPECT_TRUE(from_guest(type, 0, "").wants_hello) << static_cast<int>(type);
    }
    SetUp();
    for (const FrameType type : {FrameType::open, FrameType::exited, FrameType::notice, FrameType::welcome})
        EXPECT_FALSE(from_client(type, 0, "")) << static_cast<int>(type);
    EXPECT_FALSE(from_client(FrameType::data, 1, "x"));
    EXPECT_FALSE(from_client(FrameType::credit, 0, agent::encode_number(1)));
    EXPECT_FALSE(from_client(FrameType::credit, 1, agent::encode_number(UINT32_MAX)));
}

TEST_F(Connected, SessionsThatWereNeverOpenedAreABreachAndOldOnesAreNot) {
    sessions.close(number);
    EXPECT_EQ(frames_of(sessions.to_port()).back().type, FrameType::close);
    EXPECT_FALSE(from_guest(FrameType::data, 1, "late").wants_hello);
    ++number;
    EXPECT_TRUE(from_guest(FrameType::data, 1, "x").wants_hello);
}

TEST_F(Connected, AnswersAndNoticesAreHandedOn) {
    std::string bytes;
    append_frame(bytes, FrameType::answer, 9, 0, agent::encode(agent::Answer{0, 5, ""}));
    append_frame(bytes, FrameType::notice, 0, 0,
                 agent::encode(agent::Notice{true, {{"eth0", "192.0.2.1/24"}}}));
    const AgentSessions::Happened happened = sessions.feed(bytes);
    ASSERT_EQ(happened.answers.size(), 1U);
    EXPECT_EQ(happened.answers[0].first, 9U);
    EXPECT_EQ(happened.answers[0].second.value, 5U);
    ASSERT_TRUE(happened.notice);
    EXPECT_TRUE(happened.notice->usable);
}

TEST_F(Connected, TheEndOfTheConnectionIsToldWithItsReason) {
    sessions.end("the zone has moved to node2");
    const std::vector<Frame> told = to_client();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(agent::decode_text(told[0].payload), "the zone has moved to node2");
    EXPECT_TRUE(sessions.find(number)->over);
    EXPECT_FALSE(sessions.connected());
}

}  // namespace
}  // namespace kz::monitor
