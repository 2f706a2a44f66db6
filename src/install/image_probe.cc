// Theory of operation: qcow2 as QEMU's docs/interop/qcow2.txt gives it, big-endian: 0 "QFI\xfb"  4 version  8
// offset and 16 length of the backing file's name  24 virtual size  32 encryption  72 (version 3)
// incompatible features: bit 0 dirty, 1 corrupt, 2 external data file, 3 compression type, 4 extended L2
// entries.
#include <array>
#include <string_view>

#include "install/archive.h"
#include "install/gpt.h"

namespace kz::install {
namespace {

struct Magic {
    std::size_t offset;
    std::string_view bytes;
    std::string_view name;
};

constexpr std::array<Magic, 9> kRefused = {{
    {0, "KDMV", "VMDK"},
    {0, "COWD", "VMDK"},
    {0, "# Disk DescriptorFile", "VMDK"},
    {0, "vhdxfile", "VHDX"},
    {0, "conectix", "VHD"},
    {0, "QED", "QED"},
    {0x40, "\x7f\x10\xda\xbe", "VDI"},
    {0x8001, "CD001", "ISO 9660"},
    {257, "ustar", "tar"},
}};

bool has(ByteView start, std::size_t offset, std::string_view bytes) {
    return start.size() >= offset + bytes.size() && as_text(start.subspan(offset, bytes.size())) == bytes;
}

template <typename T>
T load_big(ByteView start, std::size_t offset) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<T>(value << 8 | start[offset + i]);
    return value;
}

std::string backing_name(ByteView start) {
    const auto offset = load_big<std::uint64_t>(start, 8);
    const auto size = load_big<std::uint32_t>(start, 16);
    if (size > 1023 || offset > start.size() || size > start.size() - offset) return {};
    std::string name(as_text(start.subspan(static_cast<std::size_t>(offset), size)));
    for (char& c : name)
        c = c >= ' ' && c < 0x7f ? c : '?';
    return name;
}

Result<ImageHeader> probe_qcow2(ByteView start) {
    if (start.size() < 104) return fail(Errc::corrupt, "the image is too short");
    const auto version = load_big<std::uint32_t>(start, 4);
    if (version != 2 && version != 3)
        return fail(Errc::unsupported, "qcow2 of version {} is not taken", version);
    if (load_big<std::uint64_t>(start, 8) != 0)
        return fail(Errc::unsupported, "the image has a backing file ('{}'), which is not taken",
                    backing_name(start));
    if (load_big<std::uint32_t>(start, 32) != 0) return fail(Errc::unsupported, "the image is encrypted");
    const std::uint64_t features = version == 3 ? load_big<std::uint64_t>(start, 72) : 0;
    if ((features & 4) != 0)
        return fail(Errc::unsupported, "the image has an external data file, which is not taken");
    if ((features & 2) != 0) return fail(Errc::corrupt, "the image is marked corrupt");
    if ((features & ~std::uint64_t{0x1f}) != 0)
        return fail(Errc::unsupported, "the image has features that are not known here");
    const auto size = load_big<std::uint64_t>(start, 24);
    if (size == 0 || size > (std::uint64_t{1} << 60)) return fail(Errc::corrupt, "the image has no size");
    return ImageHeader{ImageFormat::qcow2, size};
}

}  // namespace

Result<ImageHeader> probe_image(ByteView start) {
    if (has(start, 0, "QFI\xfb")) return probe_qcow2(start);
    for (const Magic& magic : kRefused) {
        if (has(start, magic.offset, magic.bytes))
            return fail(Errc::unsupported,
                        "archives of the format {} are not taken; convert it to qcow2 or raw", magic.name);
    }
    if (start.size() < kSectorSize || start[510] != 0x55 || start[511] != 0xaa)
        return fail(Errc::unsupported,
                    "the archive has no known format: it is no qcow2, and no disk with a partition "
                    "table");
    return ImageHeader{ImageFormat::raw, 0};
}

}  // namespace kz::install
