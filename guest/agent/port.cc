#include "port.h"

#include <dirent.h>
#include <fcntl.h>

#include <array>
#include <cerrno>

#include "files.h"

namespace kzagent {

std::string Port::find() {
    static constexpr const char* kClass = "/sys/class/virtio-ports";
    std::string found;
    DIR* folder = ::opendir(kClass);
    if (folder == nullptr) return found;
    while (const dirent* entry = ::readdir(folder)) {
        const std::string name = entry->d_name;
        if (read_text(std::string(kClass) + "/" + name + "/name", 128) == std::string(kPortName) + "\n")
            found = "/dev/" + name;
    }
    ::closedir(folder);
    return found;
}

void Port::send(kz::agent::FrameType type, std::uint32_t session, std::uint8_t stream,
                std::string_view payload) {
    kz::agent::append_frame(out_, type, session, stream, payload);
}

void Port::send_mark() {
    kz::agent::append_mark(out_);
}

void Port::drop_output() {
    out_.clear();
    sent_ = 0;
}

bool Port::flush() {
    while (has_output()) {
        const ssize_t written = ::write(fd_.get(), out_.data() + sent_, out_.size() - sent_);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) break;
        if (written <= 0) return false;
        sent_ += static_cast<std::size_t>(written);
    }
    if (!has_output()) {
        drop_output();
    } else if (sent_ > kRoom) {
        out_.erase(0, sent_);
        sent_ = 0;
    }
    return true;
}

Port::Input Port::read_some(kz::agent::FrameReader& reader) {
    std::array<char, 32 * 1024> chunk;
    const ssize_t got = ::read(fd_.get(), chunk.data(), chunk.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Input::none;
    if (got < 0) return Input::gone;
    if (got == 0) return Input::ended;
    reader.feed({chunk.data(), static_cast<std::size_t>(got)});
    return Input::some;
}

}  // namespace kzagent
