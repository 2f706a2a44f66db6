#include "install/tree_builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "os/file.h"
#include "os/io.h"

namespace kz::install {

void TreeBuilder::directory(const Path& path, mode_t mode) {
    if (!outcome_) return;
    outcome_ = make_directories(root_ / path, 0755);
    if (outcome_) set_mode(path, mode);
}

void TreeBuilder::owned_directory(const Path& path, mode_t mode, uid_t owner, gid_t group) {
    directory(path, mode);
    set_owner(path, owner, group);
}

void TreeBuilder::file(const Path& path, mode_t mode, std::string_view content) {
    if (outcome_) outcome_ = make_directories((root_ / path).parent_path(), 0755);
    if (!outcome_) return;
    Result<UniqueFd> fd =
        open_file(root_ / path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    outcome_ = fd ? write_all(fd->get(), as_bytes(content), Deadline::never())
                  : Result<void>(std::unexpected(fd.error()));
    if (outcome_) set_mode(path, mode);
}

void TreeBuilder::owned_file(const Path& path, mode_t mode, uid_t owner, gid_t group,
                             std::string_view content) {
    file(path, mode, content);
    set_owner(path, owner, group);
}

void TreeBuilder::copy(const Path& from, const Path& path, mode_t mode) {
    if (outcome_) outcome_ = make_directories((root_ / path).parent_path(), 0755);
    if (!outcome_) return;
    std::error_code error;
    std::filesystem::copy_file(from, root_ / path, std::filesystem::copy_options::overwrite_existing, error);
    if (error) outcome_ = fail_errno(error.value(), from.string());
    if (outcome_) set_mode(path, mode);
}

void TreeBuilder::link(const std::string& target, const Path& path) {
    if (outcome_) outcome_ = make_directories((root_ / path).parent_path(), 0755);
    if (!outcome_) return;
    const Path full = root_ / path;
    if (::unlink(full.c_str()) != 0 && errno != ENOENT) outcome_ = fail_errno(errno, full.string());
    if (outcome_ && ::symlink(target.c_str(), full.c_str()) != 0) outcome_ = fail_errno(errno, full.string());
}

void TreeBuilder::fail_with(Error error) {
    if (outcome_) outcome_ = std::unexpected(std::move(error));
}

void TreeBuilder::set_mode(const Path& path, mode_t mode) {
    const Path full = root_ / path;
    if (::chmod(full.c_str(), mode) != 0) outcome_ = fail_errno(errno, full.string());
}

void TreeBuilder::set_owner(const Path& path, uid_t owner, gid_t group) {
    const Path full = root_ / path;
    if (outcome_ && ::chown(full.c_str(), owner, group) != 0) outcome_ = fail_errno(errno, full.string());
}

}  // namespace kz::install
