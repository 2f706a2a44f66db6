#include "files.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"

namespace kzagent {

std::string read_text(const std::string& path, std::size_t limit) {
    const kz::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    std::string text(limit, '\0');
    std::size_t size = 0;
    while (fd && size < limit) {
        const ssize_t got = ::read(fd.get(), text.data() + size, limit - size);
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    text.resize(size);
    return text;
}

void write_text(const std::string& path, const std::string& text) {
    const kz::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    // Best effort: where it matters the caller looks whether it is there.
    if (fd) [[maybe_unused]]
        const ssize_t written = ::write(fd.get(), text.data(), text.size());
}

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

std::string first_program(const std::vector<std::string>& candidates) {
    for (const std::string& path : candidates) {
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return {};
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts(1);
    for (const char c : text) {
        if (c == separator)
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

}  // namespace kzagent
