#include "install/base_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/json.h"
#include "crypto/hash.h"
#include "install/temp_folder.h"
#include "install/tools.h"

namespace kz::install {
namespace {

constexpr std::size_t kMaxRecord = 64 * 1024;
constexpr std::string_view kArchive = ".tar.zst";
constexpr std::string_view kRecord = ".json";
constexpr std::string_view kNew = ".new-";
// More saves little of the disk and costs much of the time.
constexpr const char* kCompressor = "zstd -q -1 -T0";

Result<std::string> digest_of(const Path& file) {
    KZ_TRY(const UniqueFd fd, open_file(file, O_RDONLY | O_CLOEXEC));
    crypto::Sha256 digest;
    Bytes part(1024 * 1024);
    for (;;) {
        const ssize_t got = ::read(fd.get(), part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, file.string());
        if (got == 0) return to_hex(digest.finish());
        digest.update(ByteView(part).first(static_cast<std::size_t>(got)));
    }
}

Result<void> sync_file(const Path& file) {
    KZ_TRY(const UniqueFd fd, open_file(file, O_RDONLY | O_CLOEXEC));
    if (::fsync(fd.get()) != 0) return fail_errno(errno, file.string());
    return {};
}

struct BaseRecord {
    std::string name;
    std::string sha256;
};

Result<BaseRecord> read_record(const Path& file) {
    KZ_TRY(const std::string text, read_file(file, kMaxRecord));
    KZ_TRY(const Json json, parse_json(text));
    if (!json.is_object() || !json.contains("name") || !json["name"].is_string() ||
        !json.contains("sha256") || !json["sha256"].is_string())
        return fail(Errc::corrupt, "{} is no record of a base", file.string());
    return BaseRecord{json["name"].get<std::string>(), json["sha256"].get<std::string>()};
}

}  // namespace

Result<BaseCache> BaseCache::open(const Path& folder, const Activity& activity) {
    const Path bases = folder / "bases";
    KZ_CHECK(make_directories(bases, 0700));
    for (bool told = false;; told = true) {
        KZ_CHECK(activity.check());
        Result<FileLock> lock =
            FileLock::acquire(bases / "lock", Deadline::after(std::chrono::milliseconds(200)));
        if (lock) {
            BaseCache cache(bases, activity, *std::move(lock));
            cache.remove_remains();
            return cache;
        }
        if (lock.error().code() != Errc::busy) return std::unexpected(lock.error());
        if (!told) activity.say("Waiting for another installation that makes or unpacks a base system");
    }
}

Result<void> BaseCache::unpack(const BaseRequest& request, const Path& tree) {
    std::string key = request.key;
    Result<Path> archive = whole(key);
    if (archive) {
        activity_.say("Using the cached base system {}", key.substr(0, 12));
    } else {
        if (archive.error().code() == Errc::corrupt)
            activity_.say("The cached base system is damaged ({}); it is made anew",
                          archive.error().message());
        const Result<void> made = make(request);
        if (!made) {
            if (made.error().code() == Errc::cancelled) return made;
            const Result<std::string> earlier = older(request);
            if (!earlier) return made;
            activity_.say(
                "A new base system cannot be made now ({}); using the one of an earlier installation",
                made.error().message());
            key = *earlier;
        }
        archive = whole(key);
        if (!archive) return std::unexpected(archive.error());
    }
    activity_.say("Unpacking the base system");
    KZ_TRY(const std::string tar, find_tool("tar"));
    KZ_CHECK(activity_.run({tar, "--extract", "--preserve-permissions", "--numeric-owner", "--xattrs",
                            "--xattrs-include=*", "--use-compress-program", kCompressor, "--file", *archive,
                            "--directory", tree}));
    return {};
}

Result<void> BaseCache::make(const BaseRequest& request) {
    KZ_TRY(const TempFolder work, TempFolder::create(folder_, kNew));
    const Path tree = work.path() / "root";
    KZ_CHECK(request.make(tree, work.path()));
    activity_.say("Packing the base system");
    const Path packed = work.path() / "base";
    KZ_CHECK(pack(request, tree, packed));
    KZ_TRY(const std::string digest, digest_of(packed));
    KZ_CHECK(sync_file(packed));
    const Path archive = folder_ / (request.key + std::string(kArchive));
    if (::rename(packed.c_str(), archive.c_str()) != 0) return fail_errno(errno, archive.string());
    const Json record = {{"name", request.name}, {"sha256", digest}};
    KZ_CHECK(write_file_atomic(folder_ / (request.key + std::string(kRecord)), record.dump() + "\n", 0600));
    remove_others(request);
    return {};
}

Result<void> BaseCache::pack(const BaseRequest& request, const Path& tree, const Path& archive) const {
    KZ_TRY(const std::string tar, find_tool("tar"));
    KZ_CHECK(find_tool("zstd"));
    std::vector<std::string> command = {
        tar, "--create", "--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*",
        // Nothing of when it was packed: a base that is made again is the same.
        "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", "--use-compress-program",
        kCompressor, "--file", archive, "--directory", tree};
    if (request.newest_time > 0)
        command.insert(command.end(), {"--clamp-mtime", fmt::format("--mtime=@{}", request.newest_time)});
    command.emplace_back(".");
    KZ_CHECK(activity_.run(std::move(command)));
    return {};
}

Result<Path> BaseCache::whole(const std::string& key) const {
    const Path archive = folder_ / (key + std::string(kArchive));
    KZ_TRY(const BaseRecord record, read_record(folder_ / (key + std::string(kRecord))));
    KZ_TRY(const std::string digest, digest_of(archive));
    if (digest != record.sha256) return fail(Errc::corrupt, "its SHA-256 is not the recorded one");
    return archive;
}

Result<std::string> BaseCache::older(const BaseRequest& request) const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
        if (entry.path().extension() != kRecord) continue;
        const Result<BaseRecord> record = read_record(entry.path());
        const std::string key = entry.path().stem();
        if (record && record->name == request.name && whole(key)) return key;
    }
    return fail(Errc::not_found, "there is no earlier base system");
}

// A cache that cannot be tidied up is no reason to fail.
void BaseCache::remove_others(const BaseRequest& request) const {
    std::vector<std::string> others;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
        if (entry.path().extension() != kRecord || entry.path().stem() == request.key) continue;
        const Result<BaseRecord> record = read_record(entry.path());
        if (!record || record->name == request.name) others.push_back(entry.path().stem());
    }
    for (const std::string& key : others) {
        std::filesystem::remove(folder_ / (key + std::string(kRecord)), ignored);
        std::filesystem::remove(folder_ / (key + std::string(kArchive)), ignored);
    }
}

void BaseCache::remove_remains() const {
    std::vector<Path> remains;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
        const std::string name = entry.path().filename();
        const bool archive = name.ends_with(kArchive);
        const std::string key = name.substr(0, name.size() - (archive ? kArchive.size() : 0));
        const bool unrecorded = archive && !std::filesystem::exists(folder_ / (key + std::string(kRecord)));
        if (name.starts_with(kNew) || unrecorded) remains.push_back(entry.path());
    }
    for (const Path& path : remains)
        std::filesystem::remove_all(path, ignored);
}

}  // namespace kz::install
