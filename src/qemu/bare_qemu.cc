#include "qemu/bare_qemu.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "base/text.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::qemu {

Result<BareQemu> BareQemu::start(const Path& binary, std::string_view accel) {
    KZ_TRY(auto sockets, unix_socket_pair());
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0) return fail_errno(errno, "pipe");
    UniqueFd errors(ends[0]);
    const UniqueFd errors_of_child(ends[1]);
    SpawnOptions options;
    options.argv = {binary.string(),
                    "-machine",
                    "none",
                    "-nodefaults",
                    "-no-user-config",
                    "-display",
                    "none",
                    "-chardev",
                    "socket,id=qmp,fd=3",
                    "-mon",
                    "chardev=qmp,mode=control"};
    if (!accel.empty()) options.argv.insert(options.argv.end(), {"-accel", std::string(accel)});
    options.fds = {{sockets.second.get(), 3}, {errors_of_child.get(), 2}};
    KZ_TRY(Process process, Process::spawn(options));
    return BareQemu(std::move(process), std::move(sockets.first), std::move(errors));
}

BareQemu::~BareQemu() {
    if (process_.pidfd() >= 0) process_.kill_and_wait();
}

std::string BareQemu::last_words() {
    std::array<Byte, 1024> buffer;
    const auto got = read_some(errors_.get(), buffer, Deadline::after(std::chrono::milliseconds(0)));
    if (!got || *got == 0) return {};
    const std::string text(trim(as_text(ByteView(buffer).first(*got))));
    return text.empty() ? text : " (" + text + ")";
}

Result<std::unique_ptr<Qmp>> BareQemu::attach(Deadline deadline) {
    auto qmp = Qmp::attach(std::move(socket_), deadline);
    if (qmp) return qmp;
    process_.kill_and_wait();
    return fail(qmp.error().code(), "{}{}", qmp.error().message(), last_words());
}

}  // namespace kz::qemu
