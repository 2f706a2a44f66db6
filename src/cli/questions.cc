#include "cli/questions.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <array>

#include "base/text.h"
#include "migrate/peer_login.h"
#include "os/file.h"
#include "os/io.h"

namespace kz::cli {
namespace {

constexpr std::size_t kLongestAnswer = 256;
constexpr std::chrono::seconds kWriteTime{10};

// What is typed is not shown while it lives.
class Silence {
  public:
    explicit Silence(int terminal) : terminal_(terminal) {
        termios settings{};
        if (::tcgetattr(terminal, &settings) < 0) return;
        saved_ = settings;
        settings.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
        silent_ = ::tcsetattr(terminal, TCSAFLUSH, &settings) == 0;
    }
    ~Silence() {
        if (silent_) ::tcsetattr(terminal_, TCSAFLUSH, &saved_);
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    bool silent() const { return silent_; }

  private:
    int terminal_;
    termios saved_{};
    bool silent_ = false;
};

Result<void> show(int terminal, std::string_view text) {
    return write_all(terminal, as_bytes(text), Deadline::after(kWriteTime));
}

}  // namespace

Result<QuestionTerminal> QuestionTerminal::open() {
    if (::isatty(STDIN_FILENO) == 0) return fail(Errc::unavailable, "there is no terminal to ask");
    auto terminal = open_file("/dev/tty", O_RDWR | O_NOCTTY);
    // A terminal that is not the controlling one, as in a container.
    if (!terminal) terminal = UniqueFd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    return QuestionTerminal(*std::move(terminal));
}

Result<Secret> QuestionTerminal::read_line(std::string_view prompt, std::size_t longest,
                                           int cancel_fd) const {
    KZ_CHECK(show(terminal_.get(), prompt));
    Secret line = Secret::of_size(longest);
    std::size_t size = 0;
    while (true) {
        Secret byte = Secret::of_size(1);
        KZ_TRY(const std::size_t got,
               read_some(terminal_.get(), byte.mutable_view(), Deadline::never(), cancel_fd));
        if (got == 0) return fail(Errc::cancelled, "no answer was given");
        if (byte.view().front() == '\n') return Secret(line.view().first(size));
        if (size == longest) return fail(Errc::invalid_argument, "the answer is too long");
        line.mutable_view()[size++] = byte.view().front();
    }
}

Result<std::string> QuestionTerminal::ask(std::string_view prompt, int cancel_fd) const {
    KZ_TRY(const Secret line, read_line(prompt, kLongestAnswer, cancel_fd));
    return std::string(trim(as_text(line.view())));
}

Result<Secret> QuestionTerminal::ask_password(std::string_view prompt, int cancel_fd) const {
    const Silence silence(terminal_.get());
    if (!silence.silent())
        return fail(Errc::unavailable, "the terminal would show the password that is typed");
    Result<Secret> line = read_line(prompt, migrate::kMaxPassword, cancel_fd);
    KZ_CHECK(show(terminal_.get(), "\n"));
    return line;
}

}  // namespace kz::cli
