#include "crypto/socket_bio.h"

#include <sys/socket.h>

#include <cerrno>

namespace kz::crypto {
namespace {

using BioMethodPtr = std::unique_ptr<BIO_METHOD, OpensslDelete<&BIO_meth_free>>;

int fd_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

bool should_retry() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

int write_bytes(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t sent = ::send(fd_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (sent < 0 && should_retry()) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

int read_bytes(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t got = ::recv(fd_of(bio), data, static_cast<std::size_t>(size), 0);
    if (got < 0 && should_retry()) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(got);
}

long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

Result<BioMethodPtr> make_method() {
    BioMethodPtr method(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "kzones socket"));
    if (method == nullptr || BIO_meth_set_write(method.get(), write_bytes) != 1 ||
        BIO_meth_set_read(method.get(), read_bytes) != 1 || BIO_meth_set_ctrl(method.get(), control) != 1)
        return openssl_failure("TLS socket");
    return method;
}

}  // namespace

Result<BioPtr> make_socket_bio(int fd) {
    // Constant after its creation; OpenSSL keeps a pointer to it in each BIO, so it lives as long as the
    // program.
    static const Result<BioMethodPtr> kMethod = make_method();
    if (!kMethod) return std::unexpected(kMethod.error());
    BioPtr bio(BIO_new(kMethod->get()));
    if (bio == nullptr) return openssl_failure("TLS socket");
    BIO_set_data(bio.get(), reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
    BIO_set_init(bio.get(), 1);
    return bio;
}

}  // namespace kz::crypto
