#include "migrate/peer_ssh.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "os/file.h"
#include "os/io.h"
#include "os/process.h"
#include "os/socket.h"

namespace kz::migrate {
namespace {

using std::chrono::milliseconds;

// From the end of the stream to the end of ssh: the program at the other side undoes what it began.
constexpr milliseconds kOwnEnd{2000};
constexpr milliseconds kTerminated{2000};
constexpr std::size_t kMaxPrinted = 8 * 1024;
constexpr std::string_view kFolderPrefix = "ssh-";

// The last that a program prints on its stderr, read while it runs, so that it never waits for us.
class Printed {
  public:
    Printed(UniqueFd pipe, EventFd stop, EventFd done)
        : pipe_(std::move(pipe)), stop_(std::move(stop)), done_(std::move(done)) {
        reader_ = std::jthread([this] { read(); });
    }
    ~Printed() {
        stop_.signal();
        reader_.join();
    }
    Printed(const Printed&) = delete;
    Printed& operator=(const Printed&) = delete;

    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    // Until the pipe has ended; a program that was started by ssh may hold it longer than ssh lives.
    void wait(Deadline deadline) const {
        [[maybe_unused]] const auto ended = wait_readable(done_.fd(), deadline);
    }

  private:
    void read() {
        std::array<Byte, 4096> chunk;
        while (true) {
            const auto got = read_some(pipe_.get(), chunk, Deadline::never(), stop_.fd());
            if (!got || *got == 0) break;
            const std::lock_guard lock(mutex_);
            text_ += as_text(ByteView(chunk).first(*got));
            if (text_.size() > kMaxPrinted) text_.erase(0, text_.size() - kMaxPrinted);
        }
        done_.signal();
    }

    UniqueFd pipe_;
    EventFd stop_;
    EventFd done_;
    mutable std::mutex mutex_;
    std::string text_;
    std::jthread reader_;
};

bool is_gone(std::string_view pid_text) {
    const auto pid = parse_u64(pid_text);
    return pid && (static_cast<pid_t>(*pid) == ::getpid() ||
                   (::kill(static_cast<pid_t>(*pid), 0) < 0 && errno == ESRCH));
}

// What commands left behind that were killed.
void remove_old_folders(const Path& parent) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(kFolderPrefix) && is_gone(std::string_view(name).substr(kFolderPrefix.size())))
            std::filesystem::remove_all(entry.path(), ignored);
    }
}

// The folder of the tunnel's socket, removed with the object.
class TunnelFolder {
  public:
    static Result<TunnelFolder> create(const HostPaths& paths) {
        KZ_CHECK(make_directories(paths.run_dir(), 0755));
        remove_old_folders(paths.run_dir());
        Path path = paths.run_dir() / fmt::format("{}{}", kFolderPrefix, ::getpid());
        if (::mkdir(path.c_str(), 0700) < 0) return fail_errno(errno, path.string());
        return TunnelFolder(std::move(path));
    }
    TunnelFolder(TunnelFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TunnelFolder& operator=(TunnelFolder&&) = delete;
    ~TunnelFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    const Path& path() const { return path_; }

  private:
    explicit TunnelFolder(Path path) : path_(std::move(path)) {}
    Path path_;
};

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};
Result<Pipe> make_pipe() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

}  // namespace

struct SshLink::Impl {
    Impl(const PeerAddress& the_address, std::optional<TunnelFolder> the_folder, UniqueFd the_stream,
         Process the_process, UniqueFd printed_pipe, EventFd stop, EventFd done)
        : address(the_address),
          folder(std::move(the_folder)),
          stream(std::move(the_stream)),
          process(std::move(the_process)),
          printed(std::move(printed_pipe), std::move(stop), std::move(done)) {}
    ~Impl() {
        stream.reset();
        if (process.wait(Deadline::after(kOwnEnd))) return;
        [[maybe_unused]] const auto told = process.signal(SIGTERM);
        if (!process.wait(Deadline::after(kTerminated))) process.kill_and_wait();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    PeerAddress address;
    std::optional<TunnelFolder> folder;
    UniqueFd stream;
    Process process;
    Printed printed;
};

SshLink::SshLink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SshLink::SshLink(SshLink&&) noexcept = default;
SshLink& SshLink::operator=(SshLink&&) noexcept = default;
SshLink::~SshLink() = default;

Result<SshLink> SshLink::start(const PeerAddress& address, const HostPaths& paths,
                               const SshOptions& options) {
    KZ_TRY(auto streams, unix_socket_pair());
    KZ_TRY(Pipe errors, make_pipe());
    KZ_TRY(EventFd stop, EventFd::create());
    KZ_TRY(EventFd done, EventFd::create());
    SpawnOptions spawn;
    spawn.argv = ssh_command(address, options);
    spawn.fds = {{streams.second.get(), 0}, {streams.second.get(), 1}, {errors.write.get(), 2}};
    spawn.new_session = true;
    spawn.dies_with_parent = true;
    std::optional<TunnelFolder> folder;
    if (options.tunnel) {
        KZ_TRY(TunnelFolder made, TunnelFolder::create(paths));
        spawn.working_directory = made.path();
        folder.emplace(std::move(made));
    }
    auto process = Process::spawn(spawn);
    if (!process && process.error().code() == Errc::not_found)
        return fail(Errc::not_found, "{}; ssh:// needs the package openssh-client",
                    process.error().message());
    if (!process) return std::unexpected(std::move(process).error());
    return SshLink(std::make_unique<Impl>(address, std::move(folder), std::move(streams.first),
                                          *std::move(process), std::move(errors.read), std::move(stop),
                                          std::move(done)));
}

Result<Peer> SshLink::peer() const {
    UniqueFd copy(::fcntl(impl_->stream.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail_errno(errno, "the stream of ssh");
    return Peer::on_stream(impl_->address, std::move(copy));
}

UniqueFd SshLink::take_stream() {
    return std::move(impl_->stream);
}

Path SshLink::memory_socket() const {
    return impl_->folder ? impl_->folder->path() / kTunnelSocket : Path();
}

std::optional<Error> SshLink::failure(milliseconds patience) {
    const Deadline deadline = Deadline::after(patience);
    if (!impl_->process.wait(deadline)) return std::nullopt;
    const int status = impl_->process.exit_status().value_or(0);
    if (status == 0) return std::nullopt;
    impl_->printed.wait(deadline);
    return ssh_error(impl_->address, status, impl_->printed.text());
}

}  // namespace kz::migrate
