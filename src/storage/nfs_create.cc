#include <sys/random.h>

#include "storage/nfs_place.h"
#include "storage/nfs_volume.h"

namespace kz::storage {
namespace {

constexpr std::uint32_t kFileMode = 0600;
constexpr std::uint32_t kFolderMode = 0755;

Result<NfsVerifier> random_verifier() {
    NfsVerifier verifier{};
    if (::getrandom(verifier.data(), verifier.size(), 0) != static_cast<ssize_t>(verifier.size()))
        return fail_errno(errno, "getrandom");
    return verifier;
}

// One file in the making, with what has to be undone should it fail.
class Creation {
  public:
    Creation(NfsPlace place, NfsVerifier verifier) : place_(std::move(place)), verifier_(verifier) {}

    Result<void> make(std::uint64_t bytes);
    // Errors: what is left.
    Result<void> undo(Deadline deadline);

  private:
    enum class File { not_there = 1, maybe, ours };

    Result<NfsHandle> make_folders();
    Result<void> remove_file();

    NfsPlace place_;
    NfsVerifier verifier_;
    File file_ = File::not_there;
    NfsHandle folder_;
    struct Made {
        NfsHandle in;
        std::string name;
    };
    std::vector<Made> folders_;
};

Result<NfsHandle> Creation::make_folders() {
    NfsHandle handle = place_.mount.handle;
    for (const std::string& name : place_.below) {
        Result<NfsObject> next = place_.session.lookup(handle, name);
        if (!next && next.error().code() == Errc::not_found) {
            next = place_.session.make_folder(handle, name, kFolderMode);
            if (next) folders_.push_back({handle, name});
            // Somebody else was faster.
            if (!next && next.error().code() == Errc::already_exists)
                next = place_.session.lookup(handle, name);
        }
        if (!next) return std::unexpected(std::move(next).error().context(name));
        if (next->attributes.type != NfsType::folder) return fail(Errc::not_found, "{}: not a folder", name);
        handle = next->handle;
    }
    return handle;
}

Result<void> Creation::make(std::uint64_t bytes) {
    KZ_TRY(folder_, make_folders());
    Result<NfsObject> made = place_.session.create(folder_, place_.name, verifier_);
    if (!made) {
        // An answer tells that it was not made; of a connection that broke there is none.
        if (made.error().code() != Errc::already_exists && place_.session.broken()) file_ = File::maybe;
        return std::unexpected(std::move(made).error());
    }
    file_ = File::ours;
    KZ_CHECK(place_.session.set_mode(made->handle, kFileMode));
    KZ_CHECK(place_.session.set_size(made->handle, bytes));
    KZ_TRY(const NfsAttributes now, place_.session.attributes(made->handle));
    if (now.type != NfsType::file || now.size != bytes)
        return fail(Errc::io, "the server made it, but of {} instead of {} bytes", now.size, bytes);
    return {};
}

Result<void> Creation::remove_file() {
    if (file_ == File::maybe) {
        // Asking again with the same verifier succeeds for the creator only.
        const Result<NfsObject> mine = place_.session.create(folder_, place_.name, verifier_);
        if (!mine && mine.error().code() == Errc::already_exists) return {};
        if (!mine) return std::unexpected(mine.error());
    }
    return place_.session.remove(folder_, place_.name);
}

Result<void> Creation::undo(Deadline deadline) {
    if (file_ == File::not_there && folders_.empty()) return {};
    if (!place_.session.usable()) KZ_CHECK(place_.reconnect(deadline));
    place_.session.set_deadline(deadline);
    if (file_ != File::not_there) KZ_CHECK(remove_file());
    for (; !folders_.empty(); folders_.pop_back())
        KZ_CHECK(place_.session.remove_folder(folders_.back().in, folders_.back().name));
    return {};
}

Result<void> create_at(const Suri& suri, std::uint64_t bytes, const StorageAccess& access) {
    if (bytes == 0 || bytes > INT64_MAX)
        return fail(Errc::invalid_argument, "a volume cannot have {} bytes", bytes);
    KZ_TRY(const NfsVerifier verifier, random_verifier());
    KZ_TRY(NfsPlace place, NfsPlace::reach(suri, Deadline::after(access.operation_timeout)));
    Creation creation(std::move(place), verifier);
    Result<void> made = creation.make(bytes);
    if (made) return made;
    const Result<void> undone = creation.undo(Deadline::after(access.operation_timeout));
    if (undone) return made;
    return std::unexpected(std::move(made).error().append(
        fmt::format("what was made of it could not be removed: {}", undone.error().message())));
}

}  // namespace

Result<void> create_nfs_file(const Suri& suri, std::uint64_t bytes, const StorageAccess& access) {
    KZ_CHECK_CONTEXT(create_at(suri, bytes, access), suri.render());
    return {};
}

}  // namespace kz::storage
