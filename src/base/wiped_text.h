// WipedText: a string in which a secret may be, for parsers that want one. For every floor; where bytes will
// do, there is Secret (base/secret.h).
#pragma once

#include <string.h>

#include <memory>
#include <string>

namespace kz {

// Overwrites whatever it gives back, also what a container outgrows.
template <typename T>
struct WipingAllocator {
    using value_type = T;
    WipingAllocator() = default;
    template <typename Other>
    explicit(false) WipingAllocator(const WipingAllocator<Other>&) {}
    T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
    void deallocate(T* place, std::size_t count) {
        ::explicit_bzero(place, count * sizeof(T));
        std::allocator<T>().deallocate(place, count);
    }
    bool operator==(const WipingAllocator&) const = default;
};

// What fits into the object itself (15 bytes) is not wiped.
using WipedText = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;

}  // namespace kz
