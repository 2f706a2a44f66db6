#include "agent/messages.h"

#include <algorithm>
#include <concepts>

namespace kz::agent {
namespace {

template <std::unsigned_integral T>
void put(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

void put_text(std::string& out, std::string_view text) {
    put(out, static_cast<std::uint16_t>(text.size()));
    out.append(text);
}

// Takes a payload apart; what cannot be had leaves it bad for good.
class Fields {
  public:
    explicit Fields(std::string_view rest) : rest_(rest) {}

    template <std::unsigned_integral T>
    T number() {
        if (rest_.size() < sizeof(T)) {
            bad();
            return 0;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i)
            value |= std::uint64_t{static_cast<std::uint8_t>(rest_[i])} << (8 * i);
        rest_.remove_prefix(sizeof(T));
        return static_cast<T>(value);
    }
    std::string text(std::size_t limit) {
        const std::size_t length = number<std::uint16_t>();
        if (length > limit || length > rest_.size()) {
            bad();
            return {};
        }
        std::string value(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return value;
    }
    std::string plain_text(std::size_t limit) { return printable(text(limit), limit); }
    void require(bool condition) {
        if (!condition) bad();
    }
    // The message, when all of it was there and nothing else.
    template <typename T>
    std::optional<T> finish(T message) const {
        if (!good_ || !rest_.empty()) return std::nullopt;
        return message;
    }

  private:
    void bad() {
        good_ = false;
        rest_ = {};
    }
    std::string_view rest_;
    bool good_ = true;
};

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
    std::string out(text.substr(0, limit));
    std::ranges::replace_if(out, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return out;
}

std::string encode(const Hello& message) {
    std::string out;
    put(out, message.version);
    put(out, message.nonce);
    put(out, std::uint8_t{message.set_clock});
    put(out, message.clock_ns);
    return out;
}

std::string encode(const Welcome& message) {
    std::string out;
    put(out, message.version);
    put(out, message.nonce);
    put_text(out, message.agent);
    return out;
}

std::string encode(const Open& message) {
    std::string out;
    put(out, static_cast<std::uint8_t>(message.kind));
    put_text(out, message.user);
    put_text(out, message.term);
    put(out, message.size.rows);
    put(out, message.size.columns);
    put_text(out, message.command);
    return out;
}

std::string encode(const Exited& message) {
    std::string out;
    put(out, static_cast<std::uint8_t>(message.by_signal ? 2 : 1));
    put(out, message.value);
    return out;
}

std::string encode(const Call& message) {
    std::string out;
    put(out, static_cast<std::uint8_t>(message.operation));
    put(out, message.argument);
    return out;
}

std::string encode(const Answer& message) {
    std::string out;
    put(out, message.error);
    put(out, message.value);
    put_text(out, message.text);
    return out;
}

std::string encode(const Notice& message) {
    std::string out;
    put(out, std::uint8_t{message.usable});
    put(out, static_cast<std::uint16_t>(message.addresses.size()));
    for (const Address& address : message.addresses) {
        put_text(out, address.interface);
        put_text(out, address.address);
    }
    return out;
}

std::string encode(const WindowSize& message) {
    std::string out;
    put(out, message.rows);
    put(out, message.columns);
    return out;
}

std::string encode_text(std::string_view text) {
    std::string out;
    put_text(out, text.substr(0, kMaxReason));
    return out;
}

std::string encode_number(std::uint32_t number) {
    std::string out;
    put(out, number);
    return out;
}

std::optional<Hello> decode_hello(std::string_view payload) {
    Fields fields(payload);
    Hello message;
    message.version = fields.number<std::uint32_t>();
    message.nonce = fields.number<std::uint64_t>();
    const auto flags = fields.number<std::uint8_t>();
    message.set_clock = flags == 1;
    message.clock_ns = fields.number<std::uint64_t>();
    fields.require(message.version >= 1 && flags <= 1);
    return fields.finish(message);
}

std::optional<Welcome> decode_welcome(std::string_view payload) {
    Fields fields(payload);
    Welcome message;
    message.version = fields.number<std::uint32_t>();
    message.nonce = fields.number<std::uint64_t>();
    message.agent = fields.plain_text(kMaxName);
    fields.require(message.version >= 1);
    return fields.finish(std::move(message));
}

std::optional<Open> decode_open(std::string_view payload) {
    Fields fields(payload);
    Open message;
    const auto kind = fields.number<std::uint8_t>();
    message.user = fields.text(kMaxName);
    message.term = fields.text(kMaxName);
    message.size.rows = fields.number<std::uint16_t>();
    message.size.columns = fields.number<std::uint16_t>();
    message.command = fields.text(kMaxCommand);
    fields.require(kind >= 1 && kind <= 3);
    message.kind = static_cast<OpenKind>(kind);
    fields.require(message.kind != OpenKind::command || !message.command.empty());
    fields.require(message.kind != OpenKind::login || message.command.empty());
    // They become arguments of programs.
    for (const std::string* text : {&message.user, &message.term, &message.command})
        fields.require(text->find('\0') == std::string::npos);
    return fields.finish(std::move(message));
}

std::optional<Exited> decode_exited(std::string_view payload) {
    Fields fields(payload);
    const auto how = fields.number<std::uint8_t>();
    const auto value = fields.number<std::uint8_t>();
    fields.require(how == 1 || how == 2);
    return fields.finish(Exited{how == 2, value});
}

std::optional<Call> decode_call(std::string_view payload) {
    Fields fields(payload);
    const auto operation = fields.number<std::uint8_t>();
    const auto argument = fields.number<std::uint64_t>();
    fields.require(operation >= 1 && operation <= static_cast<std::uint8_t>(Operation::power_off));
    return fields.finish(Call{static_cast<Operation>(operation), argument});
}

std::optional<Answer> decode_answer(std::string_view payload) {
    Fields fields(payload);
    Answer message;
    message.error = fields.number<std::uint32_t>();
    message.value = fields.number<std::uint64_t>();
    message.text = fields.plain_text(kMaxReason);
    return fields.finish(std::move(message));
}

std::optional<Notice> decode_notice(std::string_view payload) {
    Fields fields(payload);
    const auto flags = fields.number<std::uint8_t>();
    const std::size_t count = fields.number<std::uint16_t>();
    fields.require(flags <= 1 && count <= kMaxAddresses);
    Notice message{.usable = flags == 1};
    for (std::size_t i = 0; i < std::min(count, kMaxAddresses); ++i) {
        Address& address = message.addresses.emplace_back();
        address.interface = fields.plain_text(kMaxName);
        address.address = fields.plain_text(kMaxName);
    }
    return fields.finish(std::move(message));
}

std::optional<WindowSize> decode_window_size(std::string_view payload) {
    Fields fields(payload);
    const auto rows = fields.number<std::uint16_t>();
    const auto columns = fields.number<std::uint16_t>();
    return fields.finish(WindowSize{rows, columns});
}

std::optional<std::string> decode_text(std::string_view payload) {
    Fields fields(payload);
    std::string text = fields.plain_text(kMaxReason);
    return fields.finish(std::move(text));
}

std::optional<std::uint32_t> decode_number(std::string_view payload) {
    Fields fields(payload);
    const auto number = fields.number<std::uint32_t>();
    fields.require(number >= 1);
    return fields.finish(number);
}

std::optional<std::uint8_t> decode_signal(std::string_view payload) {
    Fields fields(payload);
    const auto number = fields.number<std::uint8_t>();
    fields.require(number >= 1 && number <= 64);
    return fields.finish(number);
}

}  // namespace kz::agent
