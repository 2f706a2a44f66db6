#include "qemu/qmp_message.h"

#include <algorithm>

namespace kz::qemu {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 64;
// A part of a line that is not understood, for the message.
constexpr std::size_t kExcerpt = 80;

// Bounds what the parser may be made to allocate by a line of brackets.
bool too_deep(std::string_view line) {
    std::size_t depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted) {
            if (c == '\\') ++i;
            if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > kMaxDepth) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return false;
}

std::string excerpt(std::string_view line) {
    std::string text(line.substr(0, kExcerpt));
    std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return text;
}

const json* member(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
}

std::string text_member(const json& object, const char* name) {
    const json* value = member(object, name);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::int64_t timestamp_of(const json& message) {
    const json* stamp = member(message, "timestamp");
    if (stamp == nullptr || !stamp->is_object()) return 0;
    const json* seconds = member(*stamp, "seconds");
    const json* micros = member(*stamp, "microseconds");
    constexpr std::int64_t kLatest = 1LL << 40;
    if (seconds == nullptr || micros == nullptr || !seconds->is_number_unsigned() ||
        !micros->is_number_unsigned() || seconds->get<std::uint64_t>() > kLatest ||
        micros->get<std::uint64_t>() > kLatest) {
        return 0;
    }
    return seconds->get<std::int64_t>() * 1'000'000 + micros->get<std::int64_t>();
}

std::optional<QmpMessage> as_greeting(const json& message) {
    const json* greeting = member(message, "QMP");
    if (greeting == nullptr || !greeting->is_object()) return std::nullopt;
    const json* version = member(*greeting, "version");
    if (version == nullptr || !version->is_object()) return std::nullopt;
    const json* qemu = member(*version, "qemu");
    if (qemu == nullptr || !qemu->is_object()) return std::nullopt;
    const json* offered = member(*greeting, "capabilities");
    const bool out_of_band = offered != nullptr && offered->is_array() &&
                             std::ranges::find(*offered, json("oob")) != offered->end();
    return QmpGreeting{*qemu, out_of_band};
}

std::optional<QmpMessage> as_event(json& message) {
    QmpEvent event;
    event.name = text_member(message, "event");
    if (event.name.empty()) return std::nullopt;
    if (const auto data = message.find("data"); data != message.end()) {
        if (!data->is_object()) return std::nullopt;
        event.data = std::move(*data);
    }
    event.timestamp_micros = timestamp_of(message);
    return event;
}

std::optional<QmpMessage> as_reply(json& message) {
    const json* id = member(message, "id");
    if (id == nullptr || !id->is_number_unsigned()) return std::nullopt;
    QmpReply reply{id->get<std::uint64_t>(), {}};
    if (const auto value = message.find("return"); value != message.end()) {
        reply.outcome = std::move(*value);
        return reply;
    }
    const json* error = member(message, "error");
    if (error == nullptr || !error->is_object()) return std::nullopt;
    reply.outcome = QmpFailure{text_member(*error, "class"), text_member(*error, "desc")};
    return reply;
}

}  // namespace

Result<void> LineBuffer::append(ByteView bytes, std::size_t cap) {
    if (begin_ > 0) {
        bytes_.erase(0, begin_);
        scanned_ -= begin_;
        begin_ = 0;
    }
    const std::string_view text = as_text(bytes);
    bytes_.append(text);
    const std::size_t end = text.rfind('\n');
    unfinished_ = end == text.npos ? unfinished_ + text.size() : text.size() - end - 1;
    if (unfinished_ > cap) return fail(Errc::protocol, "QEMU sent a line of more than {} bytes", cap);
    return {};
}

std::optional<std::string> LineBuffer::next_line() {
    while (true) {
        const std::size_t end = bytes_.find('\n', scanned_);
        if (end == std::string::npos) {
            scanned_ = bytes_.size();
            return std::nullopt;
        }
        std::string line = bytes_.substr(begin_, end - begin_);
        begin_ = scanned_ = end + 1;
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) return line;
    }
}

Result<QmpMessage> parse_qmp_message(std::string_view line) {
    json message = too_deep(line) ? json(json::value_t::discarded)
                                  : json::parse(line, nullptr, /*allow_exceptions=*/false);
    std::optional<QmpMessage> result;
    if (message.is_object()) {
        if (message.contains("QMP")) {
            result = as_greeting(message);
        } else if (message.contains("event")) {
            result = as_event(message);
        } else {
            result = as_reply(message);
        }
    }
    if (!result) return fail(Errc::protocol, "QEMU sent what is not QMP: {}", excerpt(line));
    return *std::move(result);
}

Result<std::string> render_qmp_command(std::string_view command, const json& arguments, std::uint64_t id,
                                       QmpOrder order) {
    if (!arguments.is_object() && !arguments.is_null())
        return fail(Errc::invalid_argument, "{}: arguments must be an object", command);
    try {
        json message = {{order == QmpOrder::queued ? "execute" : "exec-oob", command}, {"id", id}};
        if (!arguments.empty()) message["arguments"] = arguments;
        return message.dump() + "\n";
    } catch (const json::exception& e) {
        return fail(Errc::invalid_argument, "{}: {}", command, e.what());
    }
}

}  // namespace kz::qemu
