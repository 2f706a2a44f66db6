// Volume: the bytes that a SURI names. For the floors that open, make or end a zone's storage.
//
// Reads and writes go to the medium, past this host's page cache where the file system allows it: another
// host may have written last. Operations on network volumes end within StorageAccess::operation_timeout.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "storage/access.h"
#include "storage/backing.h"
#include "storage/suri.h"

namespace kz::storage {

class Volume {
  public:
    Volume() = default;
    Volume(const Volume&) = delete;
    Volume& operator=(const Volume&) = delete;
    virtual ~Volume() = default;

    virtual const Suri& suri() const = 0;
    // As it was when opened.
    virtual std::uint64_t size_bytes() const = 0;
    // Fills `out`. Any offset and length within the volume; beyond it is Errc::invalid_argument.
    virtual Result<void> read(std::uint64_t offset, MutableBytes out) = 0;
    // Returns when the bytes are on stable storage. offset and size are multiples of kVolumeBlock, within the
    // volume; else Errc::invalid_argument. After an error any part of them may have been written.
    virtual Result<void> write_durable(std::uint64_t offset, ByteView bytes) = 0;
    // As write_durable, but on stable storage only after flush().
    virtual Result<void> write(std::uint64_t offset, ByteView bytes) { return write_durable(offset, bytes); }
    virtual Result<void> flush() { return {}; }
    // How a zone's machine opens the same volume for itself.
    virtual Result<VolumeBacking> backing() = 0;

    // How many bytes compare_and_write() takes at most; 0: this volume cannot do it.
    virtual std::size_t compare_and_write_limit() const { return 0; }
    // As one step on the medium: when the bytes at `offset` are `expected`, they become `replacement` (both
    // of the same size, whole sectors of 512 bytes), durably. False, and nothing is written, when they are
    // others.
    virtual Result<bool> compare_and_write(std::uint64_t offset, ByteView expected, ByteView replacement);
};

inline constexpr std::size_t kVolumeBlock = 4096;

// Errors: Errc::not_found when it does not exist, Errc::permission, Errc::invalid_argument when it is neither
// a regular file (file:) nor a block device (dev:), Errc::unsupported for a type that this build cannot open.
Result<std::unique_ptr<Volume>> open_volume(const Suri& suri, const StorageAccess& access);

// A sparse volume of `bytes` (1 at least); folders on the way are made. Errc::already_exists never touches
// what is there; any other error leaves nothing behind. Devices cannot be created: Errc::unsupported.
Result<void> create_volume(const Suri& suri, std::uint64_t bytes, const StorageAccess& access);
// Errc::not_found when there is none; Errc::unsupported for a device, whose content is not ours to remove.
Result<void> destroy_volume(const Suri& suri, const StorageAccess& access);
Result<bool> volume_exists(const Suri& suri, const StorageAccess& access);

}  // namespace kz::storage
