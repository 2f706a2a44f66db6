// Which bytes a SURI may hold where, and the small transformations on its paths. Internal to storage.
#pragma once

#include <string>
#include <string_view>

namespace kz::storage {

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
constexpr bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool is_alnum(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The original's 0-9a-zA-Z._- and what the names below Linux's /dev/disk and /dev/mapper need besides.
constexpr bool is_device_path_byte(char c) {
    return is_alnum(c) || std::string_view("._-/:+=@,~").contains(c);
}

// In a path of file: or nfs:. Bytes from 0x80 up are parts of UTF-8 letters.
constexpr bool must_be_encoded(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7f || c == '%' || c == '?' || c == '#';
}

// "//a///b" is "/a/b".
std::string squeezed(std::string_view path);
// "/dev//dsk/c0" and "dsk/c0" are "dsk/c0"; "/dev" itself is empty.
std::string device_relative_path(std::string_view path);
std::string percent_encoded(std::string_view path);

}  // namespace kz::storage
