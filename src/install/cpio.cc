// Theory of operation: the "newc" format of cpio, as the kernel's Documentation/driver-api/early-userspace/
// buffer-format.rst gives it. An entry is "070701", then 13 fields of 8 hexadecimal digits: inode, mode, uid,
// gid, link count, modification time, size, device major and minor, device-node major and minor, size of the
// name with its NUL, checksum (0); then the name with its NUL and the content, each filled up with NULs to a
// multiple of 4 from the archive's start. The entry "TRAILER!!!" ends the archive.
#include "install/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <iterator>

namespace kz::install {

void CpioWriter::add_directory(std::string_view path, mode_t permissions) {
    add_entry(path, S_IFDIR | permissions, {});
}

void CpioWriter::add_file(std::string_view path, mode_t permissions, ByteView content) {
    add_entry(path, S_IFREG | permissions, content);
}

void CpioWriter::add_symlink(std::string_view path, std::string_view target) {
    add_entry(path, S_IFLNK | 0777, as_bytes(target));
}

Bytes CpioWriter::finish() && {
    next_inode_ = 0;
    add_entry("TRAILER!!!", 0, {});
    return std::move(bytes_);
}

void CpioWriter::add_entry(std::string_view path, mode_t mode, ByteView content) {
    constexpr int kFieldsAfterMode = 11;
    const std::uint32_t fields[kFieldsAfterMode] = {0,
                                                    0,
                                                    S_ISDIR(mode) ? 2U : 1U,
                                                    0,
                                                    static_cast<std::uint32_t>(content.size()),
                                                    0,
                                                    0,
                                                    0,
                                                    0,
                                                    static_cast<std::uint32_t>(path.size() + 1),
                                                    0};
    std::string header = fmt::format("070701{:08X}{:08X}", next_inode_++, mode);
    for (const std::uint32_t field : fields)
        fmt::format_to(std::back_inserter(header), "{:08X}", field);
    const ByteView head = as_bytes(header);
    const ByteView name = as_bytes(path);
    bytes_.insert(bytes_.end(), head.begin(), head.end());
    bytes_.insert(bytes_.end(), name.begin(), name.end());
    bytes_.push_back(0);
    pad();
    bytes_.insert(bytes_.end(), content.begin(), content.end());
    pad();
}

void CpioWriter::pad() {
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
}

}  // namespace kz::install
