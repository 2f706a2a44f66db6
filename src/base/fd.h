// UniqueFd: owns one file descriptor. For every floor.
#pragma once

#include <unistd.h>

#include <utility>

namespace kz {

// Move-only. There is no conversion to int on purpose: an owner that decays silently gets stored twice.
class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    // The descriptor, still owned by this object; -1 when empty.
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    // Gives ownership to the caller.
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
    }

  private:
    int fd_ = -1;
};

}  // namespace kz
