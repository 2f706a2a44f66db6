// What the frames of agent/wire.h carry. For the same users; pure.
//
// Byte layout, little-endian; `text` is a 16-bit length and so many bytes:
//   hello     u32 version, u64 nonce, u8 flags (1: set the clock), u64 clock (nanoseconds since 1970)
//   welcome   u32 version, u64 nonce, text agent ("kz-agent 0.1.0")
//   open      u8 kind, text user, text term, u16 rows, u16 columns, text command (not empty: run by the
//   shell) opened    text terminal ("pts/0"; empty without one) failed    text why credit    u32 bytes, at
//   least 1 resize    u16 rows, u16 columns signal    u8 number exited    u8 how (1: status, 2: signal), u8
//   value call      u8 operation, u64 argument answer    u32 errno (0: done), u64 value, text explanation
//   notice    u8 flags (1: usable), u16 count, then of each: text interface, text address ("192.0.2.1/24")
//   data      what is carried; announce, end, close: nothing
//
// A decoder gives nothing where the payload is too short or too long, a value is not in its range, or a text
// longer than its limit. Texts that are for people hold printable ASCII only; others are replaced by '?'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kz::agent {

inline constexpr std::size_t kMaxName = 64;     // user, terminal, interface, address
inline constexpr std::size_t kMaxReason = 400;  // why something failed
inline constexpr std::size_t kMaxCommand = 12 * 1024;
inline constexpr std::size_t kMaxAddresses = 64;

struct Hello {
    std::uint32_t version = 0;
    std::uint64_t nonce = 0;
    bool set_clock = false;
    std::uint64_t clock_ns = 0;
    bool operator==(const Hello&) const = default;
};

struct Welcome {
    std::uint32_t version = 0;
    std::uint64_t nonce = 0;
    std::string agent{};
    bool operator==(const Welcome&) const = default;
};

// How a session is opened: a login by the guest's own `login`, a shell's command without a terminal, or
// root's /bin/sh with as little of the guest as possible, with a terminal where there is no command.
enum class OpenKind : std::uint8_t { login = 1, command, failsafe };

struct WindowSize {
    std::uint16_t rows = 24;
    std::uint16_t columns = 80;
    bool operator==(const WindowSize&) const = default;
};

struct Open {
    OpenKind kind = OpenKind::login;
    std::string user{};
    std::string term{};
    WindowSize size{};
    std::string command{};
    bool operator==(const Open&) const = default;
};

struct Exited {
    bool by_signal = false;
    std::uint8_t value = 0;
    bool operator==(const Exited&) const = default;
};

enum class Operation : std::uint8_t {
    ping = 1,
    set_clock,  // argument: nanoseconds since 1970; value: the guest's clock after that
    freeze,  // argument: seconds after which the guest thaws by itself, 1 to 600; value: file systems frozen
    thaw,    // value: file systems thawed
    power_off,
};

struct Call {
    Operation operation = Operation::ping;
    std::uint64_t argument = 0;
    bool operator==(const Call&) const = default;
};

struct Answer {
    std::uint32_t error = 0;  // errno
    std::uint64_t value = 0;
    std::string text{};
    bool operator==(const Answer&) const = default;
};

struct Address {
    std::string interface{};
    std::string address{};
    bool operator==(const Address&) const = default;
};

struct Notice {
    bool usable = false;
    std::vector<Address> addresses{};
    bool operator==(const Notice&) const = default;
};

std::string encode(const Hello& message);
std::string encode(const Welcome& message);
std::string encode(const Open& message);
std::string encode(const Exited& message);
std::string encode(const Call& message);
std::string encode(const Answer& message);
std::string encode(const Notice& message);
std::string encode(const WindowSize& message);
// opened, failed
std::string encode_text(std::string_view text);
// credit
std::string encode_number(std::uint32_t number);

std::optional<Hello> decode_hello(std::string_view payload);
std::optional<Welcome> decode_welcome(std::string_view payload);
std::optional<Open> decode_open(std::string_view payload);
std::optional<Exited> decode_exited(std::string_view payload);
std::optional<Call> decode_call(std::string_view payload);
std::optional<Answer> decode_answer(std::string_view payload);
std::optional<Notice> decode_notice(std::string_view payload);
std::optional<WindowSize> decode_window_size(std::string_view payload);
std::optional<std::string> decode_text(std::string_view payload);
std::optional<std::uint32_t> decode_number(std::string_view payload);
std::optional<std::uint8_t> decode_signal(std::string_view payload);

// Printable ASCII, at most `limit` bytes of it; all else becomes '?'.
std::string printable(std::string_view text, std::size_t limit);

}  // namespace kz::agent
