#include "migrate/peer_transport.h"

#include <sys/socket.h>

#include <cerrno>

#include "os/io.h"

namespace kz::migrate {
namespace {

class TlsTransport final : public Transport {
  public:
    explicit TlsTransport(crypto::TlsStream stream) : stream_(std::move(stream)) {}
    Result<std::size_t> read_some(MutableBytes out, Deadline deadline, int cancel_fd) override {
        return stream_.read_some(out, deadline, cancel_fd);
    }
    Result<void> write_all(ByteView bytes, Deadline deadline, int cancel_fd) override {
        return stream_.write_all(bytes, deadline, cancel_fd);
    }
    int fd() const override { return stream_.fd(); }
    void finish(Deadline deadline) override {
        // The connection is given up either way.
        [[maybe_unused]] const Result<void> said = stream_.shutdown(deadline);
    }

  private:
    crypto::TlsStream stream_;
};

class SocketTransport final : public Transport {
  public:
    explicit SocketTransport(UniqueFd socket) : socket_(std::move(socket)) {}
    Result<std::size_t> read_some(MutableBytes out, Deadline deadline, int cancel_fd) override {
        auto got = kz::read_some(socket_.get(), out, deadline, cancel_fd);
        if (!got && got.error().sys_errno() == ECONNRESET)
            return fail(Errc::unavailable, "the other end closed the connection");
        return got;
    }
    Result<void> write_all(ByteView bytes, Deadline deadline, int cancel_fd) override {
        return kz::write_all(socket_.get(), bytes, deadline, cancel_fd);
    }
    int fd() const override { return socket_.get(); }
    void finish(Deadline) override { ::shutdown(socket_.get(), SHUT_WR); }

  private:
    UniqueFd socket_;
};

}  // namespace

std::unique_ptr<Transport> make_transport(crypto::TlsStream stream) {
    return std::make_unique<TlsTransport>(std::move(stream));
}

Result<std::unique_ptr<Transport>> make_transport(UniqueFd socket) {
    KZ_CHECK(set_nonblocking(socket.get(), true));
    return std::make_unique<SocketTransport>(std::move(socket));
}

}  // namespace kz::migrate
