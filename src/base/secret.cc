#include "base/secret.h"

#include <string.h>

namespace kz {

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe();
        bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
}

void Secret::wipe() {
    if (!bytes_.empty()) explicit_bzero(bytes_.data(), bytes_.size());
    bytes_.clear();
}

bool equal_in_constant_time(ByteView a, ByteView b) {
    if (a.size() != b.size()) return false;
    volatile Byte difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference = static_cast<Byte>(difference | (a[i] ^ b[i]));
    return difference == 0;
}

}  // namespace kz
