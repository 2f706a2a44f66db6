// Arbitrary bytes as what a guest's agent sends, and as what an agent is sent: nothing is held that was not
// paid for by credit, and what is read is written to the same bytes.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "agent/messages.h"
#include "agent/wire.h"
#include "monitor/agent_sessions.h"

using namespace kz;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

template <typename T>
void check(const std::optional<T>& message, std::optional<T> (*decode)(std::string_view)) {
    if (message) require(decode(agent::encode(*message)) == message);
}

void decode_all(std::string_view payload) {
    check(agent::decode_hello(payload), agent::decode_hello);
    check(agent::decode_welcome(payload), agent::decode_welcome);
    check(agent::decode_open(payload), agent::decode_open);
    check(agent::decode_exited(payload), agent::decode_exited);
    check(agent::decode_call(payload), agent::decode_call);
    check(agent::decode_answer(payload), agent::decode_answer);
    check(agent::decode_notice(payload), agent::decode_notice);
    check(agent::decode_window_size(payload), agent::decode_window_size);
}

void read_frames(std::string_view bytes, bool aligned) {
    agent::FrameReader reader(aligned);
    agent::Frame frame;
    reader.feed(bytes);
    for (auto event = reader.next(frame); event != agent::FrameReader::Event::none;
         event = reader.next(frame)) {
        if (event != agent::FrameReader::Event::frame) continue;
        require(frame.payload.size() <= agent::kMaxPayload && frame.stream < agent::kStreams);
        decode_all(frame.payload);
    }
}

void feed_monitor(std::string_view bytes) {
    monitor::AgentSessions sessions;
    sessions.begin(0x4b4b4b4b4b4b4b4b, std::nullopt);
    std::string welcome;
    agent::append_mark(welcome);
    agent::append_frame(welcome, agent::FrameType::welcome, 0, 0,
                        agent::encode(agent::Welcome{1, 0x4b4b4b4b4b4b4b4b, "fuzz"}));
    require(sessions.feed(welcome).connected);
    const std::uint32_t number = sessions.open({});
    sessions.feed(bytes);
    const auto* session = sessions.find(number);
    require(session != nullptr &&
            session->to_client.size() <= monitor::AgentSessions::kMaxHeld + agent::kMaxFrame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    decode_all(bytes);
    read_frames(bytes, false);
    read_frames(bytes, true);
    feed_monitor(bytes);
    // As frames with the right checksums: type, stream, length, payload.
    std::string framed;
    for (std::size_t at = 0; at + 3 <= size;) {
        const std::size_t length = std::min<std::size_t>(data[at + 2], size - at - 3);
        agent::append_frame(framed, static_cast<agent::FrameType>(1 + data[at] % agent::kLastFrameType), 1,
                            static_cast<std::uint8_t>(data[at + 1] % agent::kStreams),
                            bytes.substr(at + 3, length));
        at += 3 + length;
    }
    read_frames(framed, true);
    feed_monitor(framed);
    return 0;
}
