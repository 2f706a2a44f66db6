// Port: the agent's end of the virtio-serial port, as frames. For kz-agent's own files.
//
// The port does not exist before its driver is loaded, is there for one program at a time, and reports
// POLLHUP for as long as nobody on the host holds the other end.
#pragma once

#include <string>

#include "agent/wire.h"
#include "base/fd.h"

namespace kzagent {

inline constexpr const char* kPortName = "org.kzones.agent.0";

class Port {
  public:
    // A port, or a socket that stands for one.
    explicit Port(kz::UniqueFd fd) : fd_(std::move(fd)) {}
    // "/dev/vport1p1", found by its name in sysfs: there need be no udev. Empty: there is none yet.
    static std::string find();

    int fd() const { return fd_.get(); }
    bool has_output() const { return sent_ < out_.size(); }
    // Whether sessions may add what their programs have written: control frames go in any case.
    bool has_room() const { return out_.size() - sent_ < kRoom; }
    void send(kz::agent::FrameType type, std::uint32_t session, std::uint8_t stream,
              std::string_view payload);
    void send_mark();
    // What nobody will read any more.
    void drop_output();
    // Writes what the port takes. False: the port is gone.
    bool flush();

    enum class Input { none = 1, some, ended, gone };
    // Reads once. ended: nobody is on the host's side now.
    Input read_some(kz::agent::FrameReader& reader);

  private:
    static constexpr std::size_t kRoom = 96 * 1024;
    kz::UniqueFd fd_;
    std::string out_;
    std::size_t sent_ = 0;
};

}  // namespace kzagent
