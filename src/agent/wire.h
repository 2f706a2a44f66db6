// Frames between a zone's monitor and kz-agent, the helper inside the guest. For src/monitor, src/cli (zlogin
// talks the same frames to the monitor) and guest/agent. Pure, and of the standard library alone: it is
// linked into a static program.
//
// Theory of operation. The two talk over a virtio-serial port, which is a stream of bytes that outlives both
// of them: the guest's end is persistent over suspend, resume and live migration, and either side may find in
// it the middle of what somebody else had begun. So a connection begins with a *mark*: a run of 0xff longer
// than any frame, which fills up whatever frame the other side was waiting for (whose checksum is then wrong)
// and shows where the next one begins. A reader that has found a wrong frame, or a mark, has lost the
// connection and believes nothing until a mark has passed.
//
//   monitor -> agent   mark, hello {version, nonce, clock}   ends all sessions that there were
//   agent -> monitor   mark, welcome {version, nonce}        with that nonce only the connection is up
//   agent -> monitor   mark, announce                        the agent has just started: hello, please
//
// Then, multiplexed by the frame's session number:
// - Sessions. open -> opened or failed; data, end and credit per stream (0 what goes in, 1 and 2 what comes
// out; a
//   terminal has no 2); resize, signal; exited when all that came out was sent, or failed; close from the
//   monitor. Each stream begins with a credit of kWindow bytes; its reader gives more as it has passed data
//   on. So a session that nobody reads stalls itself alone. More than the credit is a breach of the protocol
//   and ends the connection. An end that comes back on stream 0 says that nobody reads it any more.
// - Calls. call {operation, argument} -> answer, by a number of the caller's.
// - notice: whether the guest is usable, and its addresses; after welcome and whenever they change.
//
// The payload of data to the agent is masked with the connection's nonce (mask()): an agent that has just
// started may find the rest of an old connection before the mark, and what passed through a session then,
// which may be anybody's file, must not be able to look like a mark and a hello. (To the monitor, only a
// welcome with its nonce counts.)
//
// What is not known by type, stream or size is a breach too. Versions: the monitor speaks the lower of the
// two.
//
// Frame, little-endian:
//    0  2  magic "Kz"
//    2  1  type, FrameType
//    3  1  stream, 0 to 2; 0 where it has no meaning
//    4  4  session, or number of a call; 0 where it has no meaning
//    8  4  length of the payload, at most kMaxPayload
//   12  4  CRC-32C of bytes 0 to 11 and the payload
//   16     payload (agent/messages.h)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kz::agent {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kMaxPayload = 16 * 1024;
inline constexpr std::size_t kMaxFrame = kHeaderSize + kMaxPayload;
inline constexpr std::size_t kMarkSize = kMaxFrame + 32;
inline constexpr std::uint32_t kWindow = 512 * 1024;
inline constexpr std::size_t kMaxSessions = 64;
inline constexpr unsigned kStreams = 3;

enum class FrameType : std::uint8_t {
    hello = 1,
    welcome,
    announce,
    open,
    opened,
    failed,
    data,
    end,
    credit,
    resize,
    signal,
    exited,
    close,
    call,
    answer,
    notice,
};
inline constexpr std::uint8_t kLastFrameType = 16;

struct Frame {
    FrameType type = FrameType::close;
    std::uint8_t stream = 0;
    std::uint32_t session = 0;
    std::string payload{};
    bool operator==(const Frame&) const = default;
};

// Appends the frame; its payload must not be longer than kMaxPayload.
void append_frame(std::string& out, FrameType type, std::uint32_t session, std::uint8_t stream,
                  std::string_view payload);
void append_mark(std::string& out);
// Masks and unmasks the payload of data.
void mask(std::string& payload, std::uint64_t nonce);

// Takes a stream apart. Holds at most one frame and what it was last fed.
class FrameReader {
  public:
    enum class Event { none = 1, frame, lost };

    // `aligned`: the stream is a fresh one and begins with a frame, so that no mark is waited for.
    explicit FrameReader(bool aligned = false) : aligned_(aligned) {}
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    // The next thing in what was fed. lost: a wrong frame or a mark; frames follow again after a mark.
    Event next(Frame& frame);

  private:
    Event lose();
    bool find_mark();
    std::string buffer_;
    std::size_t run_ = 0;  // 0xff so far, while it waits for a mark
    bool aligned_;
};

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

}  // namespace kz::agent
