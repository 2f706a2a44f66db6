#include "install/esp.h"

#include <fcntl.h>

#include <algorithm>

#include "install/gpt.h"
#include "install/tools.h"
#include "os/file.h"

namespace kz::install {
namespace {

Result<void> run_tool(std::string_view name, std::vector<std::string> arguments, const Activity& activity) {
    KZ_TRY(std::string tool, find_tool(name));
    arguments.insert(arguments.begin(), std::move(tool));
    // Nobody's settings, and one time for all that is in it.
    CommandOptions options;
    options.environment = {{"MTOOLSRC", "/dev/null"}, {"SOURCE_DATE_EPOCH", "1000000000"}};
    KZ_CHECK(activity.run(std::move(arguments), std::move(options)));
    return {};
}

}  // namespace

Result<Bytes> make_esp(const Path& program, const Path& work_dir, const Activity& activity) {
    constexpr unsigned kHeads = 64;
    constexpr unsigned kTrackSectors = 32;
    constexpr std::uint64_t kCylinders = kEspBytes / (kSectorSize * kHeads * kTrackSectors);
    const Path image = work_dir / "esp.img";
    KZ_CHECK(open_file(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    std::error_code error;
    std::filesystem::resize_file(image, kEspBytes, error);
    if (error) return fail_errno(error.value(), image.string());
    // Clusters of four sectors: as many of them as make it FAT16, which all firmware reads.
    KZ_CHECK(run_tool(
        "mformat",
        {"-i", image, "-t", std::to_string(kCylinders), "-h", std::to_string(kHeads), "-s",
         std::to_string(kTrackSectors), "-c", "4", "-m", "0xf8", "-N", "4b5a4f4e", "-v", "ESP", "::"},
        activity));
    KZ_CHECK(run_tool("mmd", {"-i", image, "::/EFI", "::/EFI/BOOT"}, activity));
    KZ_CHECK(run_tool("mcopy", {"-i", image, program, "::/EFI/BOOT/BOOTX64.EFI"}, activity));
    KZ_TRY(const std::string content, read_file(image, kEspBytes));
    const std::size_t used = content.find_last_not_of('\0') + 1;
    return Bytes(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(used));
}

}  // namespace kz::install
