// The wire of QMP: cutting the stream into lines and lines into messages. For qmp_connection, and for the
// fuzzer.
//
// Theory of operation. Both directions carry JSON objects, one per line, ended by "\r\n" (we also take "\n"):
//   QEMU, once:   {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, ...}, "capabilities":
//   [...]}} client:       {"execute": "cont", "arguments": {...}, "id": 5} QEMU:         {"return": {...},
//   "id": 5}   or   {"error": {"class": "GenericError", "desc": "..."}, "id": 5} QEMU, ever:   {"event":
//   "STOP", "data": {...}, "timestamp": {"seconds": 1, "microseconds": 2}}
// The client's first command is qmp_capabilities, with {"enable": ["oob"]} where QEMU offers that; before it
// QEMU sends no events. QEMU answers an object that
// it cannot read with an error that has no id; as we send none such, that ends the connection like any
// garbage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "qemu/qmp.h"

namespace kz::qemu {

// The reply with the whole schema, the largest there is, has 0.2 MiB.
inline constexpr std::size_t kMaxQmpLine = 16 * 1024 * 1024;

class LineBuffer {
  public:
    // Errc::protocol when the unfinished line exceeds `cap`.
    Result<void> append(ByteView bytes, std::size_t cap = kMaxQmpLine);
    // The next whole line without its end, blank lines left out; nothing when there is none yet.
    std::optional<std::string> next_line();

  private:
    std::string bytes_;
    std::size_t begin_ = 0;       // of the first line not handed out
    std::size_t unfinished_ = 0;  // bytes after the last line end
    std::size_t scanned_ = 0;     // no line end before this
};

struct QmpGreeting {
    nlohmann::json version;    // of QEMU: major, minor, micro
    bool out_of_band = false;  // it offers the capability "oob"
};
struct QmpFailure {
    std::string error_class;
    std::string description;
};
struct QmpReply {
    std::uint64_t id = 0;
    std::variant<nlohmann::json, QmpFailure> outcome;
};
using QmpMessage = std::variant<QmpGreeting, QmpReply, QmpEvent>;

// Errc::protocol for everything that is none of them.
Result<QmpMessage> parse_qmp_message(std::string_view line);

// queued: QEMU's main loop carries commands out one after the other. out_of_band: at once, whatever the main
// loop is doing; few commands may be sent so ("exec-oob" instead of "execute").
enum class QmpOrder { queued = 1, out_of_band };

// A command, with its line end. Errc::invalid_argument when the arguments are not an object or hold text that
// is not UTF-8.
Result<std::string> render_qmp_command(std::string_view command, const nlohmann::json& arguments,
                                       std::uint64_t id, QmpOrder order = QmpOrder::queued);

}  // namespace kz::qemu
