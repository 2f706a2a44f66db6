// RealMachine: a QEMU of our own command line, for tests. Its guest is a boot sector that answers each byte
// on the serial port with the next one (0x10 with 0x11), so that a test can see it live on.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"
#include "qemu/machine.h"
#include "qemu/probe.h"
#include "qemu/qmp.h"

namespace kz::qemu {

// QEMU runs as this user when the test runs as root.
inline constexpr uid_t kQemuUser = 1879100001;
inline constexpr std::uint64_t kDiskBytes = 4 * 1024 * 1024;
inline constexpr std::uint64_t kGuestBytes = 3 * 1024 * 1024;

// A folder that goes with its disks and sockets; "sockets" in it belongs to QEMU's user.
class Workshop {
  public:
    Workshop();
    ~Workshop() { std::filesystem::remove_all(folder_); }
    Workshop(const Workshop&) = delete;
    Workshop& operator=(const Workshop&) = delete;

    const QemuInfo& qemu() const { return *qemu_; }
    Path file(std::string_view name) const { return folder_ / name; }
    Path disk() const { return file("disk.img"); }
    std::string migration_uri(std::string_view name) const;

  private:
    Path folder_;
    std::optional<QemuInfo> qemu_;
};

class RealMachine {
  public:
    struct Options {
        bool incoming = false;
        std::string accel = "tcg";
    };
    RealMachine(const Workshop& workshop, std::string name, Options options);
    RealMachine(const Workshop& workshop, std::string name)
        : RealMachine(workshop, std::move(name), Options()) {}
    ~RealMachine();

    Process& process() { return *process_; }
    const Process& process() const { return *process_; }
    Qmp& qmp() { return *qmp_; }
    // As a monitor that was started again would.
    Result<std::unique_ptr<Qmp>> attach(Deadline deadline);
    void detach() { qmp_.reset(); }
    void attach_again();
    // what: "qmp", "console" or "serial".
    Result<UniqueFd> connect(std::string_view what) const;
    std::string run_state();
    // What QEMU has printed.
    std::string errors() const;
    // Whether the guest answers within a few seconds.
    bool guest_answers();
    // 'p': power off, 'r': reset.
    void tell_guest(char letter);
    void hang_up_serial() { serial_.reset(); }

  private:
    Path socket(std::string_view what) const;
    void spawn(const Workshop& workshop, const Options& options);
    static std::vector<std::string> arguments(const Workshop& workshop, const Options& options);

    Path base_;
    UniqueFd log_;
    std::optional<Process> process_;
    std::unique_ptr<Qmp> qmp_;
    UniqueFd serial_;
};

}  // namespace kz::qemu
