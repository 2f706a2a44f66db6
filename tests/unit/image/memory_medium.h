// An image in memory, for tests and fuzzing.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>

#include "image/medium.h"

namespace kz::image {

// The bytes outlive the medium, so that a test can look at them and change them.
struct MemoryBytes {
    std::mutex mutex;
    Bytes bytes;
    bool published = false;
};

class MemoryMedium final : public Medium {
  public:
    explicit MemoryMedium(std::shared_ptr<MemoryBytes> memory,
                          std::optional<std::uint64_t> fixed = std::nullopt)
        : memory_(std::move(memory)), fixed_(fixed) {
        if (fixed_) memory_->bytes.resize(*fixed_);
    }

    Result<void> read_at(std::uint64_t offset, MutableBytes out) override {
        const std::lock_guard lock(memory_->mutex);
        if (offset > memory_->bytes.size() || out.size() > memory_->bytes.size() - offset)
            return fail(Errc::corrupt, "ends too early");
        std::ranges::copy(ByteView(memory_->bytes).subspan(offset, out.size()), out.begin());
        return {};
    }
    Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
        const std::lock_guard lock(memory_->mutex);
        if (memory_->bytes.size() < offset + bytes.size()) memory_->bytes.resize(offset + bytes.size());
        std::ranges::copy(bytes, memory_->bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Result<std::uint64_t> size() override { return memory_->bytes.size(); }
    std::optional<std::uint64_t> fixed_size() const override { return fixed_; }
    Result<void> sync() override { return {}; }
    Result<void> publish() override {
        memory_->published = true;
        return {};
    }

  private:
    std::shared_ptr<MemoryBytes> memory_;
    std::optional<std::uint64_t> fixed_;
};

inline std::unique_ptr<Medium> medium_of(Bytes bytes) {
    auto memory = std::make_shared<MemoryBytes>();
    memory->bytes = std::move(bytes);
    return std::make_unique<MemoryMedium>(std::move(memory));
}

}  // namespace kz::image
