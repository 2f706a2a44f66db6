// TempFolder: a folder that is gone, with all in it, when its owner is. For the installers.
#pragma once

#include <string_view>
#include <utility>

#include "base/result.h"
#include "os/paths.h"

namespace kz::install {

class TempFolder {
  public:
    // PARENT/PREFIXxxxxxx, mode 0700; makes PARENT when it is missing.
    static Result<TempFolder> create(const Path& parent, std::string_view prefix);
    TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TempFolder& operator=(TempFolder&&) = delete;
    ~TempFolder();

    const Path& path() const { return path_; }

  private:
    explicit TempFolder(Path path) : path_(std::move(path)) {}
    Path path_;
};

}  // namespace kz::install
