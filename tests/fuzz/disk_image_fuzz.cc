// Arbitrary bytes as the start of an archive, as the folder of a seed that lies on a disk, and as a disk
// whose partition table is to be grown and to take the seed. What is accepted stays readable, with the same
// partitions and the new one.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "base/fd.h"
#include "install/archive.h"
#include "install/iso9660.h"
#include "install/partition_edit.h"

using namespace kz;

namespace {

void look_into_seed(ByteView folder) {
    constexpr std::size_t kSector = 2048;
    constexpr std::size_t kFolder = 20 * kSector;
    Bytes image(kFolder + kSector);
    std::ranges::copy(folder.first(std::min(folder.size(), kSector)), image.begin() + kFolder);
    install::iso9660_has(image, "user-data");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const Byte* data, std::size_t size) {
    constexpr std::uint64_t kDisk = 8 * 1024 * 1024;
    constexpr std::uint64_t kSeed = 1024 * 1024;
    if (size > kDisk) return 0;
    const auto header = install::probe_image({data, size});
    if (header && header->format == install::ImageFormat::qcow2 && header->virtual_size == 0) std::abort();
    look_into_seed({data, size});
    const UniqueFd disk(::memfd_create("disk", MFD_CLOEXEC));
    if (::pwrite(disk.get(), data, size, 0) != static_cast<ssize_t>(size)) return 0;
    if (::ftruncate(disk.get(), static_cast<off_t>(kDisk)) != 0) return 0;
    const auto before = install::read_partitions(disk.get());
    if (!install::grow_table(disk.get(), kDisk)) return 0;
    const auto added = install::append_partition(disk.get(), kDisk, kSeed, "cidata");
    const auto after = install::read_partitions(disk.get());
    if (!before || !after || !install::boot_ways(disk.get())) std::abort();
    if (after->size() != before->size() + (added ? 1 : 0)) std::abort();
    for (const install::Partition& partition : *before) {
        if (added && partition.last >= added->first) std::abort();
    }
    return 0;
}
