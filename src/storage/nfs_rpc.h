// RpcConnection: one TCP connection to an ONC RPC program of a storage host, by libnfs. Internal to storage.
//
// Theory of operation
//
// libnfs encodes calls and decodes replies (of at most its own limit, 1 MiB and a little); sockets are ours.
// It is driven by poll(2), and one call is under way at a time. A call that is not answered by its deadline,
// or any fault of the connection, aborts the connection: what was not sent yet is thrown away, and the peer
// gets a reset. libnfs would reconnect and repeat requests by itself; that is off.
//
// Source ports are never reserved ones, although we may have the right to them: QEMU has not, and an export
// that demands them shall fail when the volume is opened, not when the zone boots.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "os/deadline.h"

struct rpc_context;

namespace kz::storage {

// AUTH_SYS: who the server takes us for. No supplementary groups, as QEMU sends none.
struct NfsIdentity {
    uid_t uid = 0;
    gid_t gid = 0;
};

// More than any one answer that we ask for.
inline constexpr std::uint32_t kMaxRpcReply = 640 * 1024;
// Of lists: libnfs decodes each element within the one before it, on the stack.
inline constexpr std::uint32_t kMaxRpcListReply = 128 * 1024;

class RpcConnection {
  public:
    // libnfs's rpc_cb.
    using Callback = void (*)(rpc_context*, int, void*, void*);
    // Queues one call; returns what libnfs's function returned.
    using Start = std::function<int(rpc_context*, Callback, void*)>;
    // Sees libnfs's decoded reply, which is gone afterwards. Empty for a procedure without a result.
    using Take = std::function<void(const void* reply)>;

    // Errors: Errc::unavailable, Errc::timeout.
    static Result<RpcConnection> open(const std::string& host, std::uint16_t port,
                                      const NfsIdentity& identity, Deadline deadline);
    RpcConnection(RpcConnection&&) noexcept;
    RpcConnection& operator=(RpcConnection&&) noexcept;
    ~RpcConnection();

    // Errors: Errc::timeout, Errc::io, Errc::permission when the server does not accept the call,
    // Errc::protocol for an answer of more than `max_reply` bytes, of which nothing is read. After each of
    // them the connection is broken.
    Result<void> call(Deadline deadline, const Start& start, const Take& take,
                      std::uint32_t max_reply = kMaxRpcReply);
    void close();
    bool broken() const { return wire_ == nullptr; }
    // Whether the other end has closed it meanwhile; nothing is lost then, as nothing is under way.
    bool closed_by_peer() const;
    // Of the other end, numeric.
    const std::string& address() const { return address_; }

  private:
    struct Wire;
    RpcConnection(std::unique_ptr<Wire> wire, std::string address);

    std::unique_ptr<Wire> wire_;
    std::string address_;
};

// The TCP port of an RPC program, as the portmapper of the host tells. Errors: Errc::unavailable when there
// is none.
Result<std::uint16_t> find_rpc_port(const std::string& host, std::uint32_t program, std::uint32_t version,
                                    std::string_view what, Deadline deadline);

}  // namespace kz::storage
