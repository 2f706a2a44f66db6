// TreeBuilder: a folder that becomes (a part of) a zone's root file system. For the installers.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "os/paths.h"

namespace kz::install {

// The first error stops the rest: every step is a no-op after it. Paths are relative to the tree, which must
// hold no links but those made here: none is looked through.
class TreeBuilder {
  public:
    explicit TreeBuilder(Path root) : root_(std::move(root)) {}

    void directory(const Path& path, mode_t mode);
    void owned_directory(const Path& path, mode_t mode, uid_t owner, gid_t group);
    void file(const Path& path, mode_t mode, std::string_view content);
    void owned_file(const Path& path, mode_t mode, uid_t owner, gid_t group, std::string_view content);
    void copy(const Path& from, const Path& path, mode_t mode);
    // Replaces what is there.
    void link(const std::string& target, const Path& path);
    void fail_with(Error error);
    Result<void> outcome() && { return std::move(outcome_); }

  private:
    void set_mode(const Path& path, mode_t mode);
    void set_owner(const Path& path, uid_t owner, gid_t group);

    Path root_;
    Result<void> outcome_;
};

}  // namespace kz::install
