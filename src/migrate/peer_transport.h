// Transport: an ordered byte stream with deadlines, TLS or a plain socket, below HTTP. For migrate/peer_http
// and src/rad.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/fd.h"
#include "crypto/tls.h"
#include "os/deadline.h"

namespace kz::migrate {

// Errors as in crypto/tls.h. One thread at a time.
class Transport {
  public:
    virtual ~Transport() = default;
    // 0 is the orderly end.
    virtual Result<std::size_t> read_some(MutableBytes out, Deadline deadline, int cancel_fd) = 0;
    virtual Result<void> write_all(ByteView bytes, Deadline deadline, int cancel_fd) = 0;
    virtual int fd() const = 0;
    // Says that nothing more will be sent.
    virtual void finish(Deadline deadline) = 0;
};

std::unique_ptr<Transport> make_transport(crypto::TlsStream stream);
// A connected stream socket, which is made non-blocking.
Result<std::unique_ptr<Transport>> make_transport(UniqueFd socket);

}  // namespace kz::migrate
