#include "rad/pam_check.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "base/text.h"
#include "os/io.h"
#include "os/process.h"

namespace kz::rad {
namespace {

constexpr std::size_t kMaxAnswer = 1024;
constexpr int kRefused = 1;

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};
Result<Pipe> make_pipe() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<Secret> encode(std::string_view user, std::string_view address, const Secret& password) {
    constexpr std::size_t kMaxField = 4096;
    const std::array<ByteView, 3> fields{as_bytes(user), as_bytes(address), password.view()};
    std::size_t size = 0;
    for (const ByteView field : fields) {
        if (field.size() > kMaxField)
            return fail(Errc::permission, "a name or password of {} bytes", field.size());
        size += 2 + field.size();
    }
    Secret message = Secret::of_size(size);
    Byte* out = message.mutable_view().data();
    for (const ByteView field : fields) {
        store_le(out, static_cast<std::uint16_t>(field.size()));
        out = std::ranges::copy(field, out + 2).out;
    }
    return message;
}

Result<std::string> read_answer(int fd, Deadline deadline) {
    std::string answer;
    std::array<Byte, 256> chunk;
    while (answer.size() < kMaxAnswer) {
        KZ_TRY(const std::size_t got, read_some(fd, chunk, deadline));
        if (got == 0) break;
        answer += as_text(ByteView(chunk).first(got));
    }
    return std::string(trim(answer));
}

Result<std::string> ask(Process& child, Pipe& question, Pipe& answer, const Secret& message,
                        Deadline deadline) {
    question.read_end.reset();
    answer.write_end.reset();
    KZ_CHECK(write_all(question.write_end.get(), message.view(), deadline));
    question.write_end.reset();
    KZ_TRY(std::string text, read_answer(answer.read_end.get(), deadline));
    KZ_TRY(const std::string end, child.wait(deadline));
    if (child.exit_status() == 0 && !text.empty()) return text;
    if (child.exit_status() == kRefused) return fail(Errc::permission, "{}", text);
    return fail(Errc::internal, "the password check {}{}{}", end, text.empty() ? "" : ": ", text);
}

}  // namespace

PamOptions pam_options(const HostPaths& paths) {
    const Path folder = paths.root() / "etc/pam.d";
    std::error_code ignored;
    const bool own = paths.root() != "/" && std::filesystem::exists(folder / "kzones", ignored);
    return {.program = HostPaths::program("kz-radd"),
            .service_folder = own ? std::optional(folder) : std::nullopt};
}

PasswordCheck check_by_pam(PamOptions options) {
    return [options = std::move(options)](const std::string& user, const Secret& password,
                                          const std::string& address) -> Result<std::string> {
        const Deadline deadline = Deadline::after(options.patience);
        KZ_TRY(const Secret message, encode(user, address, password));
        KZ_TRY(Pipe question, make_pipe());
        KZ_TRY(Pipe answer, make_pipe());
        SpawnOptions spawn;
        spawn.argv = {options.program.string(), "--check-password"};
        if (options.service_folder) spawn.argv.push_back(options.service_folder->string());
        spawn.fds = {{question.read_end.get(), STDIN_FILENO}, {answer.write_end.get(), STDOUT_FILENO}};
        spawn.new_session = true;
        KZ_TRY(Process child, Process::spawn(spawn));
        Result<std::string> said = ask(child, question, answer, message, deadline);
        child.kill_and_wait();
        return said;
    };
}

}  // namespace kz::rad
