// AlignedBuffer: memory that O_DIRECT accepts. Internal to storage.
#pragma once

#include <memory>
#include <new>

#include "storage/volume.h"

namespace kz::storage {

// Zeroed, at a multiple of kVolumeBlock and of at least `size` bytes, rounded up to whole blocks.
class AlignedBuffer {
  public:
    explicit AlignedBuffer(std::size_t size)
        : size_((size + kVolumeBlock - 1) / kVolumeBlock * kVolumeBlock),
          data_(new(kAlignment) Byte[size_]()) {}

    MutableBytes bytes() { return {data_.get(), size_}; }

  private:
    static constexpr std::align_val_t kAlignment{kVolumeBlock};
    struct Free {
        void operator()(Byte* data) const { ::operator delete[](data, kAlignment); }
    };
    std::size_t size_;
    std::unique_ptr<Byte[], Free> data_;
};

}  // namespace kz::storage
