#include "storage/contents.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <exception>

#include "base/fd.h"
#include "os/io.h"
#include "storage/contents_probe.h"
#include "storage/host_data.h"

namespace kz::storage {
namespace {

constexpr std::uint64_t kWindow = 4 * 1024 * 1024;
constexpr std::size_t kReadAtOnce = 1024 * 1024;
constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMaxText = 2048;
constexpr uid_t kNobody = 65534;

struct Sample {
    UniqueFd file;
    bool blank = true;
};

// Only what is not zero takes memory.
Result<void> sample_range(Volume& volume, Sample& sample, std::uint64_t begin, std::uint64_t end) {
    Bytes bytes;
    for (std::uint64_t offset = begin; offset < end; offset += bytes.size()) {
        bytes.assign(std::min<std::uint64_t>(kReadAtOnce, end - offset), 0);
        KZ_CHECK(volume.read(offset, bytes));
        if (std::ranges::all_of(bytes, [](Byte byte) { return byte == 0; })) continue;
        sample.blank = false;
        KZ_CHECK_CONTEXT(write_at(sample.file.get(), bytes, offset), "temporary file");
    }
    return {};
}

Result<Sample> take_sample(Volume& volume) {
    Sample sample;
    sample.file = UniqueFd(::memfd_create("kzones-contents", MFD_CLOEXEC));
    if (!sample.file) return fail_errno(errno, "memfd_create");
    const std::uint64_t size = volume.size_bytes();
    if (::ftruncate(sample.file.get(), static_cast<off_t>(size)) < 0)
        return fail_errno(errno, "temporary file");
    const std::uint64_t head = std::min(kWindow, size);
    KZ_CHECK(sample_range(volume, sample, 0, head));
    KZ_CHECK(sample_range(volume, sample, std::max(head, size - head), size));
    return sample;
}

void give_up_rights() {
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
                             ::setresuid(kNobody, kNobody, kNobody) != 0))
        ::_exit(EXIT_FAILURE);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(EXIT_FAILURE);
    const rlimit cpu{.rlim_cur = kPatience.count(), .rlim_max = kPatience.count()};
    const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_CPU, &cpu);
    ::setrlimit(RLIMIT_CORE, &no_core);
}

[[noreturn]] void examine_apart(int sample, std::uint64_t bytes, int answer) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    give_up_rights();
    int status = EXIT_FAILURE;
    try {
        const std::string text = probe_formats(sample, bytes).substr(0, kMaxText);
        if (write_all(answer, as_bytes(text), Deadline::after(kPatience))) status = EXIT_SUCCESS;
    } catch (const std::exception&) {
        // The status says it.
    }
    ::_exit(status);
}

// The child, killed and reaped at the latest when this ends.
class Child {
  public:
    explicit Child(pid_t pid) : pid_(pid) {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        reap();
    }
    // Waits; whether it ended well.
    bool reap() {
        int status = -1;
        if (pid_ > 0) {
            while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
            }
        }
        pid_ = -1;
        return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    }

  private:
    pid_t pid_;
};

Result<std::string> read_answer(int fd, Deadline deadline) {
    std::string text;
    Bytes part(kMaxText);
    while (text.size() <= kMaxText) {
        KZ_TRY(const std::size_t size, read_some(fd, part, deadline));
        if (size == 0) break;
        text += as_text(ByteView(part).first(size));
    }
    return text.substr(0, kMaxText);
}

Result<std::string> formats_of(const Sample& sample, std::uint64_t bytes) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return fail_errno(errno, "fork");
    if (pid == 0) examine_apart(sample.file.get(), bytes, writing.get());
    Child child(pid);
    writing.reset();
    KZ_TRY_CONTEXT(std::string text, read_answer(reading.get(), Deadline::after(kPatience)),
                   "the disk's contents cannot be examined");
    if (!child.reap())
        return fail(Errc::internal, "the disk's contents cannot be examined: the probe ended with an error");
    return text;
}

// Both fields are unverified, but host_data.cc has checked what JSON they are.
std::string printable_word(std::string text) {
    std::ranges::replace_if(text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
    return text.substr(0, 64);
}

Result<std::string> host_data_of(Volume& volume) {
    if (!guest_bytes(volume.size_bytes())) return std::string();
    KZ_TRY(const HostDataProbe probe, HostDataArea::probe(volume));
    switch (probe.kind) {
        case HostDataProbe::Kind::present:
            return fmt::format("host data of the zone with uuid {}",
                               printable_word(probe.unverified->zone_uuid));
        case HostDataProbe::Kind::damaged:
            return std::string("damaged host data of a zone");
        case HostDataProbe::Kind::newer_version:
            return std::string("host data of a zone, of a later version");
        case HostDataProbe::Kind::blank:
            break;
    }
    return std::string();
}

}  // namespace

Result<std::string> describe_contents(Volume& volume) {
    KZ_TRY(const Sample sample, take_sample(volume));
    if (sample.blank) return std::string();
    KZ_TRY(std::string text, formats_of(sample, volume.size_bytes()));
    KZ_TRY(const std::string host_data, host_data_of(volume));
    if (!text.empty() && !host_data.empty()) text += ", ";
    text += host_data;
    return text.empty() ? "data of no known format" : text;
}

}  // namespace kz::storage
