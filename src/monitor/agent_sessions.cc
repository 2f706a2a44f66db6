#include "monitor/agent_sessions.h"

namespace kz::monitor {

using kz::agent::append_frame;
using kz::agent::Frame;
using kz::agent::FrameReader;
using kz::agent::FrameType;

namespace {

constexpr std::uint32_t kMostCredit = 64 * 1024 * 1024;

bool add_credit(std::uint32_t& credit, const std::optional<std::uint32_t>& more) {
    if (!more || *more > kMostCredit || credit > kMostCredit - *more) return false;
    credit += *more;
    return true;
}

bool take_credit(std::uint32_t& credit, std::size_t bytes) {
    if (bytes > credit) return false;
    credit -= static_cast<std::uint32_t>(bytes);
    return true;
}

}  // namespace

void AgentSessions::begin(std::uint64_t nonce, std::optional<std::uint64_t> clock_ns) {
    end("the agent in the zone was started again");
    nonce_ = nonce;
    reader_ = FrameReader();
    kz::agent::append_mark(to_port_);
    append_frame(to_port_, FrameType::hello, 0, 0,
                 kz::agent::encode(kz::agent::Hello{kz::agent::kProtocolVersion, nonce, clock_ns.has_value(),
                                                    clock_ns.value_or(0)}));
}

void AgentSessions::end(const std::string& why) {
    connected_ = false;
    agent_.clear();
    to_port_.clear();
    for (auto& [number, session] : sessions_) {
        if (session.over) continue;
        append_frame(session.to_client, FrameType::failed, 0, 0, kz::agent::encode_text(why));
        session.over = true;
    }
}

AgentSessions::Happened AgentSessions::feed(std::string_view from_port) {
    Happened happened;
    reader_.feed(from_port);
    Frame frame;
    while (true) {
        const FrameReader::Event event = reader_.next(frame);
        if (event == FrameReader::Event::none) return happened;
        const bool good = event == FrameReader::Event::frame && take(frame, happened);
        if (good || (event == FrameReader::Event::lost && !connected_)) continue;
        end("the agent in the zone has ended");
        happened.wants_hello = true;
    }
}

bool AgentSessions::take(const Frame& frame, Happened& happened) {
    if (frame.type == FrameType::announce) {
        happened.wants_hello = true;
        return true;
    }
    if (frame.type == FrameType::welcome) {
        const auto welcome = kz::agent::decode_welcome(frame.payload);
        // One for somebody before us is none.
        if (!welcome || welcome->nonce != nonce_ || connected_) return !connected_;
        if (welcome->version > kz::agent::kProtocolVersion) return false;
        connected_ = true;
        happened.connected = true;
        happened.wants_hello = false;
        agent_ = welcome->agent;
        return true;
    }
    if (!connected_) return true;
    if (frame.type == FrameType::notice) {
        happened.notice = kz::agent::decode_notice(frame.payload);
        return happened.notice.has_value();
    }
    if (frame.type == FrameType::answer) {
        auto answer = kz::agent::decode_answer(frame.payload);
        if (answer) happened.answers.emplace_back(frame.session, std::move(*answer));
        return answer.has_value();
    }
    return take_for_session(frame);
}

bool AgentSessions::take_for_session(const Frame& frame) {
    // One whose client has gone.
    const auto found = sessions_.find(frame.session);
    if (found == sessions_.end()) return frame.session != 0 && frame.session <= last_number_;
    if (found->second.over) return true;
    return pass_to_client(found->second, frame);
}

bool AgentSessions::pass_to_client(Session& session, const Frame& frame) {
    switch (frame.type) {
        case FrameType::opened:
        case FrameType::failed:
            if (!kz::agent::decode_text(frame.payload)) return false;
            break;
        case FrameType::data:
            if (frame.stream == 0 || !take_credit(session.output_credit[frame.stream], frame.payload.size()))
                return false;
            break;
        case FrameType::end:
            break;
        case FrameType::credit:
            if (frame.stream != 0 ||
                !add_credit(session.input_credit, kz::agent::decode_number(frame.payload)))
                return false;
            break;
        case FrameType::exited:
            if (!kz::agent::decode_exited(frame.payload)) return false;
            break;
        default:
            return false;
    }
    if (session.to_client.size() > kMaxHeld) return false;
    append_frame(session.to_client, frame.type, 0, frame.stream, frame.payload);
    session.over = frame.type == FrameType::failed || frame.type == FrameType::exited;
    return true;
}

void AgentSessions::call(std::uint32_t number, const kz::agent::Call& call) {
    append_frame(to_port_, FrameType::call, number, 0, kz::agent::encode(call));
}

std::uint32_t AgentSessions::open(const kz::agent::Open& request) {
    const std::uint32_t number = ++last_number_;
    sessions_.emplace(number, Session());
    append_frame(to_port_, FrameType::open, number, 0, kz::agent::encode(request));
    return number;
}

AgentSessions::Session* AgentSessions::find(std::uint32_t number) {
    const auto found = sessions_.find(number);
    return found == sessions_.end() ? nullptr : &found->second;
}

bool AgentSessions::take_from_client(std::uint32_t number, Frame frame) {
    Session* session = find(number);
    if (session == nullptr) return false;
    if (session->over) return true;
    return pass_to_port(number, *session, frame);
}

bool AgentSessions::pass_to_port(std::uint32_t number, Session& session, Frame& frame) {
    switch (frame.type) {
        case FrameType::data:
            if (frame.stream != 0 || session.input_ended ||
                !take_credit(session.input_credit, frame.payload.size()))
                return false;
            kz::agent::mask(frame.payload, nonce_);
            break;
        case FrameType::end:
            if (frame.stream != 0) return false;
            session.input_ended = true;
            break;
        case FrameType::credit:
            if (frame.stream == 0 ||
                !add_credit(session.output_credit[frame.stream], kz::agent::decode_number(frame.payload)))
                return false;
            break;
        case FrameType::resize:
            if (!kz::agent::decode_window_size(frame.payload)) return false;
            break;
        case FrameType::signal:
            if (!kz::agent::decode_signal(frame.payload)) return false;
            break;
        default:
            return false;
    }
    append_frame(to_port_, frame.type, number, frame.stream, frame.payload);
    return true;
}

void AgentSessions::close(std::uint32_t number) {
    const auto found = sessions_.find(number);
    if (found == sessions_.end()) return;
    if (!found->second.over && connected_) append_frame(to_port_, FrameType::close, number, 0, {});
    sessions_.erase(found);
}

}  // namespace kz::monitor
