// Requests to the kernel's rtnetlink, one at a time. For the parts of os that set up networks.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace kz {

// A message under construction: header, the family's fixed part, attributes. Numbers are in the host's order,
// as rtnetlink has them.
class NetlinkRequest {
  public:
    // `type`: RTM_...; `flags` beside NLM_F_REQUEST and NLM_F_ACK.
    template <typename Fixed>
    NetlinkRequest(std::uint16_t type, std::uint16_t flags, const Fixed& fixed)
        : NetlinkRequest(type, flags, {reinterpret_cast<const Byte*>(&fixed), sizeof fixed}) {}

    void add(std::uint16_t attribute, ByteView value);
    void add_text(std::uint16_t attribute, std::string_view value);  // with its terminating zero
    template <typename T>
    void add_value(std::uint16_t attribute, const T& value) {
        add(attribute, {reinterpret_cast<const Byte*>(&value), sizeof value});
    }
    // What is added between begin and end lies inside `attribute`.
    std::size_t begin(std::uint16_t attribute);
    void end(std::size_t begun);

    // The message, complete.
    Bytes bytes() const;

  private:
    NetlinkRequest(std::uint16_t type, std::uint16_t flags, ByteView fixed);
    void pad();

    Bytes message_;
};

// Sends it and waits for the kernel's answer. Errors: the kernel's errno with `what`.
Result<void> netlink_call(const NetlinkRequest& request, std::string_view what);

}  // namespace kz
