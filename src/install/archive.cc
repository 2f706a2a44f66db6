#include "install/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "install/contained.h"
#include "install/gpt.h"
#include "install/partition_edit.h"
#include "install/temp_folder.h"
#include "install/tools.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::install {
namespace {

constexpr std::size_t kPart = 1024 * 1024;
constexpr std::size_t kHole = 64 * 1024;
constexpr std::uint64_t kSeedBytes = kMebibyte;
// An image with nothing but its own bookkeeping beside the disk's content.
constexpr std::uint64_t kImageOverhead = 64 * kMebibyte;

std::string unpacker_of(ByteView start) {
    struct Packer {
        std::string_view magic;
        const char* program;
    };
    constexpr std::array<Packer, 3> kPackers = {{
        {"\x1f\x8b", "gzip"},
        {std::string_view("\xfd"
                          "7zXZ\0",
                          6),
         "xz"},
        {"\x28\xb5\x2f\xfd", "zstd"},
    }};
    for (const Packer& packer : kPackers) {
        if (as_text(start).starts_with(packer.magic)) return packer.program;
    }
    return {};
}

Result<Bytes> read_start(int fd) {
    Bytes start(kImageHeaderSize);
    std::size_t have = 0;
    while (have < start.size()) {
        const ssize_t got = ::pread(fd, start.data() + have, start.size() - have, static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, "reading the archive");
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    start.resize(have);
    return start;
}

// Copies a stream into a file, with holes where it has zeros.
class SparseWriter {
  public:
    SparseWriter(int target, std::uint64_t limit) : target_(target), limit_(limit) {}

    Result<void> take(ByteView bytes) {
        if (bytes.size() > limit_ - std::min(limit_, at_))
            return fail(Errc::no_space, "the image is larger than the disk, of which the zone sees {} bytes",
                        limit_);
        while (!bytes.empty()) {
            const ByteView part = bytes.first(std::min<std::size_t>(bytes.size(), kHole - at_ % kHole));
            if (std::ranges::any_of(part, [](Byte byte) { return byte != 0; })) KZ_CHECK(write(part));
            at_ += part.size();
            bytes = bytes.subspan(part.size());
        }
        return {};
    }
    // The file gets its size also where it ends with zeros.
    Result<std::uint64_t> finish() {
        if (::ftruncate(target_, static_cast<off_t>(at_)) != 0)
            return fail_errno(errno, "copying the archive");
        return at_;
    }

  private:
    Result<void> write(ByteView part) {
        KZ_CHECK_CONTEXT(write_at(target_, part, at_), "copying the archive");
        return {};
    }
    int target_;
    std::uint64_t limit_;
    std::uint64_t at_ = 0;
};

Result<void> copy_stream(int source, SparseWriter& writer, const Activity& activity) {
    Bytes part(kPart);
    for (;;) {
        KZ_CHECK(activity.check());
        const ssize_t got = ::read(source, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, "reading the archive");
        if (got == 0) return {};
        KZ_CHECK(writer.take(ByteView(part).first(static_cast<std::size_t>(got))));
    }
}

// Standard input of the child is the archive, which it need not be able to open.
Result<void> unpack(const Archive& archive, int source, SparseWriter& writer, const ArchiveRequest& request) {
    KZ_TRY(const std::string program, find_tool(archive.unpacker));
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    const UniqueFd reader(ends[0]);
    UniqueFd writing(ends[1]);
    SpawnOptions spawn;
    spawn.argv = {program, "-q", "-d", "-c"};
    spawn.fds = {{source, 0}, {writing.get(), 1}};
    if (::geteuid() == 0) {
        spawn.uid = request.uid;
        spawn.gid = request.uid;
    }
    spawn.dies_with_parent = true;
    KZ_TRY(Process child, Process::spawn(spawn));
    writing.reset();
    const Result<void> copied = copy_stream(reader.get(), writer, request.activity);
    if (!copied) {
        child.kill_and_wait();
        return copied;
    }
    KZ_TRY(const std::string ended, child.wait(Deadline::never(), request.activity.cancel_fd));
    if (child.exit_status() != 0)
        return fail(Errc::corrupt, "the archive cannot be unpacked: {} {}", archive.unpacker, ended);
    return {};
}

// Our own copy of the image, not packed.
Result<void> fetch_image(const ArchiveRequest& request, const Path& image) {
    KZ_TRY(const UniqueFd source, open_file(request.archive.file, O_RDONLY | O_CLOEXEC));
    KZ_TRY(const UniqueFd target, open_file(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    SparseWriter writer(target.get(), request.usable_bytes + kImageOverhead);
    if (request.archive.unpacker.empty()) {
        KZ_CHECK(copy_stream(source.get(), writer, request.activity));
    } else {
        request.activity.say("Unpacking {}", request.archive.file.string());
        KZ_CHECK(unpack(request.archive, source.get(), writer, request));
    }
    KZ_CHECK(writer.finish());
    return {};
}

Result<void> convert(const ArchiveRequest& request, const Path& folder) {
    KZ_TRY(const std::string qemu_img, find_tool("qemu-img"));
    KZ_TRY(const std::string setpriv, find_tool("setpriv"));
    const std::string id = std::to_string(request.uid);
    if (::chown(folder.c_str(), request.uid, request.uid) != 0 ||
        ::chown((folder / "image").c_str(), request.uid, request.uid) != 0)
        return fail_errno(errno, folder.string());
    // The folder's own path leads through folders that only root may enter: names are relative.
    KZ_TRY(std::vector<std::string> argv, contained({setpriv, "--reuid", id, "--regid", id, "--clear-groups",
                                                     "--no-new-privs", "--bounding-set", "-all", qemu_img,
                                                     "convert", "-f", "qcow2", "-O", "raw", "image", "disk"},
                                                    Network::none));
    KZ_CHECK(request.activity.run(std::move(argv), folder));
    const Path disk = folder / "disk";
    if (::rename(disk.c_str(), (folder / "image").c_str()) != 0) return fail_errno(errno, disk.string());
    return {};
}

Result<std::uint64_t> size_of(int fd) {
    const off_t size = ::lseek(fd, 0, SEEK_END);
    if (size < 0) return fail_errno(errno, "the image");
    return static_cast<std::uint64_t>(size);
}

Result<void> make_raw(const ArchiveRequest& request, const Path& folder) {
    const Path image = folder / "image";
    KZ_CHECK(fetch_image(request, image));
    KZ_TRY(const UniqueFd file, open_file(image, O_RDONLY | O_CLOEXEC));
    KZ_TRY(const Bytes start, read_start(file.get()));
    KZ_TRY(ImageHeader header, probe_image(start));
    if (header.format == ImageFormat::raw) {
        KZ_TRY(header.virtual_size, size_of(file.get()));
    }
    if (header.virtual_size > request.usable_bytes) {
        return fail(Errc::no_space, "the image is a disk of {} bytes; the zone sees {} bytes of its disk",
                    header.virtual_size, request.usable_bytes);
    }
    request.activity.say("Copying the image: {}, {} MiB", header.format == ImageFormat::raw ? "raw" : "qcow2",
                         header.virtual_size / kMebibyte);
    return header.format == ImageFormat::qcow2 ? convert(request, folder) : Result<void>();
}

Result<void> write_seed(int disk, const Partition& place, const Seed& seed) {
    KZ_TRY(const Bytes image, make_seed_image(seed));
    if (image.size() > kSeedBytes) return fail(Errc::no_space, "the seed of cloud-init is too large");
    KZ_CHECK_CONTEXT(write_at(disk, image, place.first * kSectorSize), "writing the disk");
    return {};
}

// The zone would stay with its firmware's complaint.
void tell_of_firmware(const BootWays& ways, bool uefi, const Activity& activity) {
    if (uefi ? ways.uefi : ways.bios) return;
    if (uefi ? ways.bios : ways.uefi)
        activity.say("Note: the image starts by {} only; use zonecfg to set firmware={}",
                     uefi ? "BIOS" : "UEFI", uefi ? "bios" : "uefi");
    else
        activity.say("Note: the image has nothing that {} would start", uefi ? "UEFI" : "a BIOS");
}

}  // namespace

Result<Archive> open_archive(const Path& file) {
    // A pipe without a writer would keep us waiting.
    KZ_TRY(const UniqueFd fd, open_file(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info = {};
    if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, file.string());
    if (!S_ISREG(info.st_mode)) return fail(Errc::invalid_argument, "{} is not a file", file.string());
    KZ_TRY(const Bytes start, read_start(fd.get()));
    Archive archive{std::filesystem::absolute(file), unpacker_of(start)};
    if (archive.unpacker.empty()) KZ_CHECK_CONTEXT(probe_image(start), file.string());
    return archive;
}

Result<void> install_archive(const ArchiveRequest& request) {
    KZ_TRY(const TempFolder work, TempFolder::create(request.work_dir, "install-"));
    KZ_CHECK(make_raw(request, work.path()));
    const Path image = work.path() / "image";
    KZ_TRY(const UniqueFd disk, open_file(image, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (::ftruncate(disk.get(), static_cast<off_t>(request.usable_bytes)) != 0)
        return fail_errno(errno, image.string());
    KZ_CHECK(grow_table(disk.get(), request.usable_bytes));
    KZ_TRY(const BootWays ways, boot_ways(disk.get()));
    tell_of_firmware(ways, request.uefi, request.activity);
    KZ_TRY(const Partition place, append_partition(disk.get(), request.usable_bytes, kSeedBytes, kSeedLabel));
    KZ_CHECK(write_seed(disk.get(), place, request.seed));
    if (::rename(image.c_str(), request.disk.c_str()) != 0) return fail_errno(errno, request.disk.string());
    return {};
}

}  // namespace kz::install
