#include "qemu/firmware.h"

#include "os/file.h"

namespace kz::qemu {
namespace {

constexpr const char* kVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd";
constexpr const char* kCode = "/usr/share/OVMF/OVMF_CODE_4M.fd";
// QEMU's conditions for an image that is put below 4 GiB.
constexpr std::uint64_t kUnit = 64 << 10;
constexpr std::uint64_t kMost = 8 << 20;

Result<std::uint64_t> size_of(const Path& file) {
    std::error_code error;
    const std::uint64_t bytes = std::filesystem::file_size(file, error);
    if (error) return fail(Errc::not_found, "{} is missing; install the package ovmf", file.string());
    return bytes;
}

}  // namespace

Result<UefiFirmware> find_uefi_firmware() {
    UefiFirmware firmware{kVariables, kCode};
    KZ_TRY(const std::uint64_t variables, size_of(firmware.variables));
    KZ_TRY(const std::uint64_t code, size_of(firmware.code));
    firmware.bytes = variables + code;
    if (code == 0 || firmware.bytes % kUnit != 0 || firmware.bytes > kMost)
        return fail(Errc::unsupported, "{} and its variables have {} bytes, which is no size of a firmware",
                    kCode, firmware.bytes);
    return firmware;
}

Result<Bytes> read_firmware(const UefiFirmware& firmware) {
    Bytes image;
    for (const Path& part : {firmware.variables, firmware.code}) {
        KZ_TRY(const std::string content, read_file(part, kMost));
        image.insert(image.end(), content.begin(), content.end());
    }
    if (image.size() != firmware.bytes)
        return fail(Errc::unsupported, "{} has changed just now", firmware.code.string());
    return image;
}

Result<std::optional<UefiFirmware>> firmware_of(bool uefi, std::uint64_t firmware_bytes) {
    if (!uefi && firmware_bytes == 0) return std::nullopt;
    if (!uefi)
        return fail(Errc::unsupported, "the machine was started with UEFI, the zone is configured with BIOS");
    KZ_TRY(const UefiFirmware firmware, find_uefi_firmware());
    if (firmware_bytes == 0)
        return fail(Errc::unsupported, "the machine was started with BIOS, the zone is configured with UEFI");
    if (firmware.bytes != firmware_bytes)
        return fail(Errc::unsupported,
                    "the machine was started with UEFI firmware of {} bytes; {} and its variables have {}",
                    firmware_bytes, firmware.code.string(), firmware.bytes);
    return firmware;
}

}  // namespace kz::qemu
