#include "qemu/firmware.h"

#include <array>

namespace kz::qemu {
namespace {

constexpr std::array<std::string_view, 2> kUefiFiles{"/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd"};
// QEMU's conditions for a file that is put below 4 GiB.
constexpr std::uint64_t kUnit = 64 << 10;
constexpr std::uint64_t kMost = 8 << 20;

}  // namespace

Result<Firmware> find_uefi_firmware() {
    for (const std::string_view each : kUefiFiles) {
        std::error_code error;
        const std::uint64_t bytes = std::filesystem::file_size(each, error);
        if (error) continue;
        if (bytes == 0 || bytes % kUnit != 0 || bytes > kMost)
            return fail(Errc::unsupported, "{} has {} bytes, which is no size of a firmware", each, bytes);
        return Firmware{each, bytes};
    }
    return fail(Errc::not_found, "{} is missing; install the package ovmf", kUefiFiles.front());
}

Result<Path> firmware_of(bool uefi, std::uint64_t firmware_bytes) {
    if (!uefi && firmware_bytes == 0) return Path();
    if (!uefi)
        return fail(Errc::unsupported, "the machine was started with UEFI, the zone is configured with BIOS");
    KZ_TRY(Firmware firmware, find_uefi_firmware());
    if (firmware_bytes == 0)
        return fail(Errc::unsupported, "the machine was started with BIOS, the zone is configured with UEFI");
    if (firmware.bytes != firmware_bytes)
        return fail(Errc::unsupported, "the machine was started with UEFI firmware of {} bytes; {} has {}",
                    firmware_bytes, firmware.file.string(), firmware.bytes);
    return std::move(firmware.file);
}

}  // namespace kz::qemu
