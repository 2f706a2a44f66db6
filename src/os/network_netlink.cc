#include "os/network_netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include "base/fd.h"
#include "os/io.h"

namespace kz {
namespace {

constexpr std::chrono::seconds kAnswerTime{10};
constexpr std::uint32_t kSequence = 1;  // each request has a socket of its own

void append(Bytes& out, const void* data, std::size_t size) {
    const auto* first = static_cast<const Byte*>(data);
    out.insert(out.end(), first, first + size);
}

}  // namespace

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags, ByteView fixed) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header.nlmsg_seq = kSequence;
    append(message_, &header, sizeof header);
    append(message_, fixed.data(), fixed.size());
    pad();
}

void NetlinkRequest::pad() {
    message_.resize(NLMSG_ALIGN(message_.size()));
}

void NetlinkRequest::add(std::uint16_t attribute, ByteView value) {
    const std::size_t begun = begin(attribute);
    append(message_, value.data(), value.size());
    end(begun);
}

void NetlinkRequest::add_text(std::uint16_t attribute, std::string_view value) {
    const std::string terminated(value);
    add(attribute, {reinterpret_cast<const Byte*>(terminated.c_str()), terminated.size() + 1});
}

std::size_t NetlinkRequest::begin(std::uint16_t attribute) {
    const std::size_t begun = message_.size();
    const rtattr header{0, attribute};
    append(message_, &header, sizeof header);
    return begun;
}

void NetlinkRequest::end(std::size_t begun) {
    const auto length = static_cast<unsigned short>(message_.size() - begun);
    std::memcpy(message_.data() + begun + offsetof(rtattr, rta_len), &length, sizeof length);
    pad();
}

Bytes NetlinkRequest::bytes() const {
    Bytes complete = message_;
    const auto length = static_cast<std::uint32_t>(complete.size());
    std::memcpy(complete.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
    return complete;
}

Result<void> netlink_call(const NetlinkRequest& request, std::string_view what) {
    const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket) return fail_errno(errno, "netlink socket");
    const Bytes message = request.bytes();
    if (::send(socket.get(), message.data(), message.size(), 0) < 0)
        return fail_errno(errno, std::string(what));
    std::array<Byte, 8192> answer{};
    KZ_TRY(const std::size_t size, read_some(socket.get(), answer, Deadline::after(kAnswerTime)));
    nlmsghdr header{};
    nlmsgerr error{};
    if (size < sizeof header + sizeof error) return fail(Errc::protocol, "{}: netlink: short answer", what);
    std::memcpy(&header, answer.data(), sizeof header);
    std::memcpy(&error, answer.data() + sizeof header, sizeof error);
    if (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_seq != kSequence)
        return fail(Errc::protocol, "{}: netlink: unexpected answer", what);
    if (error.error != 0) return fail_errno(-error.error, std::string(what));
    return {};
}

}  // namespace kz
