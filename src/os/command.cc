// run_command and its kin: a child whose output is collected.
#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cerrno>

#include "base/text.h"
#include "os/io.h"
#include "os/process.h"

namespace kz {
namespace {

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

Result<Pipe> make_pipe() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Feeds standard input and drains both outputs until the child has closed them.
class Collector {
  public:
    Collector(const CommandOptions& options, UniqueFd input, UniqueFd output, UniqueFd error)
        : options_(options),
          input_(std::move(input)),
          streams_{Stream{std::move(output), {}}, Stream{std::move(error), {}}} {}

    Result<void> run() {
        KZ_CHECK(set_nonblocking(input_.get(), true));
        while (streams_[0].fd || streams_[1].fd)
            KZ_CHECK(step());
        return {};
    }
    std::string take(std::size_t stream) { return std::move(streams_[stream].text); }

  private:
    struct Stream {
        UniqueFd fd;
        std::string text;
    };

    Result<void> step() {
        if (input_ && fed_ == options_.standard_input.size()) input_.reset();
        std::array<pollfd, 4> polled{pollfd{streams_[0].fd.get(), POLLIN, 0},
                                     pollfd{streams_[1].fd.get(), POLLIN, 0},
                                     pollfd{input_.get(), POLLOUT, 0}, pollfd{options_.cancel_fd, POLLIN, 0}};
        const int ready = ::poll(polled.data(), polled.size(), options_.deadline.poll_timeout());
        if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
        if (ready == 0 && options_.deadline.passed()) return fail(Errc::timeout, "timed out");
        if (ready > 0 && polled[3].revents != 0) return fail(Errc::cancelled, "cancelled");
        if (ready > 0 && polled[2].revents != 0) feed();
        for (std::size_t i = 0; ready > 0 && i < streams_.size(); ++i) {
            if (polled[i].revents != 0) KZ_CHECK(drain(streams_[i]));
        }
        return {};
    }

    void feed() {
        const ssize_t written =
            write_without_signal(input_.get(), as_bytes(options_.standard_input).subspan(fed_));
        if (written > 0) fed_ += static_cast<std::size_t>(written);
        if (written < 0 && errno != EAGAIN && errno != EINTR) input_.reset();
    }

    Result<void> drain(Stream& stream) {
        std::array<char, 16384> chunk;
        const ssize_t got = ::read(stream.fd.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) return {};
        if (got < 0) return fail_errno(errno, "read");
        if (got == 0) stream.fd.reset();
        if (stream.text.size() + static_cast<std::size_t>(got) > options_.output_cap) {
            return fail(Errc::invalid_argument, "more than {} bytes of output", options_.output_cap);
        }
        stream.text.append(chunk.data(), static_cast<std::size_t>(got));
        return {};
    }

    const CommandOptions& options_;
    UniqueFd input_;
    std::size_t fed_ = 0;
    std::array<Stream, 2> streams_;
};

std::string last_lines(std::string_view text, std::size_t count) {
    std::vector<std::string> lines = split(trim(text), '\n');
    if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
    return join(lines, "; ");
}

}  // namespace

Result<CommandOutput> run_command(std::vector<std::string> argv, const CommandOptions& options) {
    KZ_TRY(Pipe input, make_pipe());
    KZ_TRY(Pipe output, make_pipe());
    KZ_TRY(Pipe error, make_pipe());
    const std::string name = argv.empty() ? "" : argv.front();
    SpawnOptions spawn;
    spawn.working_directory = options.working_directory;
    spawn.argv = std::move(argv);
    spawn.environment = options.environment;
    spawn.fds = {{input.read_end.get(), 0}, {output.write_end.get(), 1}, {error.write_end.get(), 2}};
    KZ_TRY(Process child, Process::spawn(spawn));
    input.read_end.reset();
    output.write_end.reset();
    error.write_end.reset();
    Collector collector(options, std::move(input.write_end), std::move(output.read_end),
                        std::move(error.read_end));
    const Result<void> collected = collector.run();
    const Result<std::string> ended =
        collected ? child.wait(options.deadline, options.cancel_fd) : Result<std::string>("");
    if (!collected || !ended) {
        child.kill_and_wait();
        return std::unexpected(Error(!collected ? collected.error() : ended.error()).context(name));
    }
    return CommandOutput{child.exit_status().value_or(0), collector.take(0), collector.take(1)};
}

Result<std::string> run_checked(std::vector<std::string> argv, const CommandOptions& options) {
    const std::string command = join(argv, " ");
    KZ_TRY(CommandOutput output, run_command(std::move(argv), options));
    if (output.status != 0) {
        return fail(Errc::io, "'{}' failed with exit code {}: {}", command, output.status,
                    last_lines(output.standard_error, 5));
    }
    return std::move(output.standard_output);
}

}  // namespace kz
