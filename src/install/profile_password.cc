#include "install/profile_password.h"

#include <crypt.h>
#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/bytes.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxPassword = CRYPT_MAX_PASSPHRASE_SIZE - 1;
constexpr unsigned long kRounds = 100'000;

// crypt_data holds the password and what was made of it.
struct Wipe {
    void operator()(crypt_data* data) const {
        ::explicit_bzero(data, sizeof *data);
        delete data;
    }
};

}  // namespace

Result<std::string> hash_password(const Secret& password) {
    const auto splits = [](Byte byte) { return byte == 0 || byte == '\n' || byte == '\r'; };
    if (password.empty()) return fail(Errc::invalid_argument, "the password is empty");
    if (password.size() > kMaxPassword)
        return fail(Errc::invalid_argument, "a password has at most {} bytes", kMaxPassword);
    if (std::ranges::any_of(password.view(), splits))
        return fail(Errc::invalid_argument, "the password holds the end of a line");
    Secret terminated = Secret::of_size(password.size() + 1);
    std::ranges::copy(password.view(), terminated.mutable_view().begin());
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    if (::crypt_gensalt_rn("$6$", kRounds, nullptr, 0, salt, sizeof salt) == nullptr)
        return fail_errno(errno, "making the salt of a password");
    const std::unique_ptr<crypt_data, Wipe> data(new crypt_data{});
    const char* hash = ::crypt_r(as_text(terminated.view()).data(), salt, data.get());
    if (hash == nullptr || hash[0] != '$') return fail_errno(errno, "hashing a password");
    return std::string(hash);
}

}  // namespace kz::install
