// Secret: key material that is wiped when it goes out of scope. For every floor.
#pragma once

#include <utility>

#include "base/bytes.h"

namespace kz {

// Move-only bytes, overwritten with zeros on destruction in a way the compiler may not remove.
class Secret {
  public:
    Secret() = default;
    explicit Secret(Bytes bytes) : bytes_(std::move(bytes)) {}
    explicit Secret(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
    static Secret of_size(std::size_t size) { return Secret(Bytes(size)); }
    Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(); }

    Secret clone() const { return Secret(view()); }
    ByteView view() const { return bytes_; }
    MutableBytes mutable_view() { return bytes_; }
    std::size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }

  private:
    void wipe();
    Bytes bytes_;
};

// Compares without telling by its duration where the first difference is. Different sizes are unequal.
bool equal_in_constant_time(ByteView a, ByteView b);

}  // namespace kz
