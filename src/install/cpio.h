// CpioWriter: an initial file system for a Linux kernel, in memory. For the installers.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "base/bytes.h"

namespace kz::install {

// Entries are written in the order in which they are added; a folder must come before what is in it. Paths
// are relative, without a leading slash. Everything belongs to root and carries time 0, so equal input gives
// equal bytes.
class CpioWriter {
  public:
    void add_directory(std::string_view path, mode_t permissions);
    void add_file(std::string_view path, mode_t permissions, ByteView content);
    void add_symlink(std::string_view path, std::string_view target);
    // Ends the archive and gives it away.
    Bytes finish() &&;

  private:
    void add_entry(std::string_view path, mode_t mode, ByteView content);
    void pad();

    Bytes bytes_;
    std::uint32_t next_inode_ = 1;
};

}  // namespace kz::install
