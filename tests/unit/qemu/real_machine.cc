#include "real_machine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "fake_qemu.h"
#include "os/io.h"
#include "qemu/accel.h"

namespace kz::qemu {
namespace {

// Real mode, loaded by the firmware at 0x7c00.
constexpr std::array<Byte, 43> kEchoGuest{
    0xfa,              // 00        cli
    0xba, 0xfd, 0x03,  // 01 again: mov dx, 0x3fd   the line status of COM1
    0xec,              // 04 poll:  in al, dx
    0xa8, 0x01,        // 05        test al, 1      a byte is there
    0x74, 0xfb,        // 07        jz poll
    0xba, 0xf8, 0x03,  // 09        mov dx, 0x3f8
    0xec,              // 0c        in al, dx
    0x3c, 'p',         // 0d        cmp al, 'p'
    0x74, 0x09,        // 0f        je off
    0x3c, 'r',         // 11        cmp al, 'r'
    0x74, 0x0e,        // 13        je reset
    0xfe, 0xc0,        // 15        inc al
    0xee,              // 17        out dx, al
    0xeb, 0xe7,        // 18        jmp again
    0xba, 0x04, 0x06,  // 1a off:   mov dx, 0x604   PM1a control of ACPI
    0xb8, 0x00, 0x20,  // 1d        mov ax, 0x2000  sleep, type S5
    0xef,              // 20        out dx, ax
    0xeb, 0xde,        // 21        jmp again
    0xba, 0xf9, 0x0c,  // 23 reset: mov dx, 0xcf9   reset control of ICH9
    0xb0, 0x06,        // 26        mov al, 6
    0xee,              // 28        out dx, al
    0xeb, 0xd6,        // 29        jmp again
};
constexpr char kCall = 0x10;
constexpr char kAnswer = 0x11;

std::string disk_image() {
    std::string image(kDiskBytes, '\0');
    std::copy(kEchoGuest.begin(), kEchoGuest.end(), image.begin());
    image[510] = 0x55;
    image[511] = static_cast<char>(0xaa);
    return image;
}

UniqueFd must_open(const Path& path, int flags) {
    auto fd = open_file(path, flags, 0600);
    EXPECT_TRUE(fd) << fd.error().message();
    return fd ? std::move(*fd) : UniqueFd();
}

}  // namespace

Workshop::Workshop() {
    std::string name = testing::TempDir() + "kz-qemu-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    ::chmod(folder_.c_str(), 0755);
    std::filesystem::create_directory(folder_ / "sockets");
    if (::geteuid() == 0) {
        EXPECT_EQ(::chown((folder_ / "sockets").c_str(), kQemuUser, kQemuUser), 0);
    }
    EXPECT_TRUE(write_file_atomic(disk(), disk_image(), 0600));
    auto info = probe_qemu();
    EXPECT_TRUE(info) << info.error().message();
    qemu_ = *std::move(info);
}

std::string Workshop::migration_uri(std::string_view name) const {
    return "unix:" + (folder_ / "sockets" / name).string();
}

RealMachine::RealMachine(const Workshop& workshop, std::string name, Options options)
    : base_(workshop.file(name)) {
    spawn(workshop, options);
    attach_again();
}

void RealMachine::spawn(const Workshop& workshop, const Options& options) {
    log_ = must_open(base_.string() + ".log", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC);
    // Ours are closed at the end of this block: QEMU alone holds its disk's lock then, and its sockets end
    // with it.
    const UniqueFd qmp = *unix_listen(socket("qmp"), 0600);
    const UniqueFd console = *unix_listen(socket("console"), 0600);
    const UniqueFd serial = *unix_listen(socket("serial"), 0600);
    const UniqueFd disk = must_open(workshop.disk(), O_RDWR | O_CLOEXEC);
    SpawnOptions child;
    child.argv = arguments(workshop, options);
    child.fds = {{qmp.get(), 10}, {console.get(), 11}, {serial.get(), 12}, {disk.get(), 20}, {log_.get(), 2}};
    if (::geteuid() == 0) child.uid = kQemuUser;
    if (options.accel == "kvm") {
        const AccelFacts facts = gather_accel_facts(kQemuUser, kQemuUser, {});
        // A device that only root may open: then the acceleration is what is tested, not the user.
        if (!facts.user_may_open) child.uid.reset();
        if (facts.group) child.groups = {*facts.group};
    }
    auto process = Process::spawn(child);
    EXPECT_TRUE(process) << process.error().message();
    process_.emplace(*std::move(process));
}

RealMachine::~RealMachine() {
    qmp_.reset();
    if (process_) process_->kill_and_wait();
}

std::vector<std::string> RealMachine::arguments(const Workshop& workshop, const Options& options) {
    MachineSpec spec;
    spec.name = "test,zone";
    spec.uuid = "6a7c1b0e-8f3d-4f6e-9a51-0d2f1c3b4a59";
    spec.accel = options.accel;
    spec.cpu_model = *cpu_model_for(options.accel == "kvm" ? "host" : "", options.accel);
    spec.memory_bytes = 32 << 20;
    spec.qmp_fd = 10;
    spec.console_fd = 11;
    spec.serial_fd = 12;
    spec.incoming = options.incoming;
    spec.disks = {{.index = 0, .fd = 20, .guest_bytes = kGuestBytes, .boot_index = 0, .serial = "kz0"}};
    spec.nics = {{.index = 0, .mac = "02:08:20:00:00:01", .mtu = {}}};
    const auto argv = command_line(spec, workshop.qemu());
    EXPECT_TRUE(argv) << argv.error().message();
    return argv.value_or(std::vector<std::string>());
}

Path RealMachine::socket(std::string_view what) const {
    return fmt::format("{}.{}", base_.string(), what);
}

Result<UniqueFd> RealMachine::connect(std::string_view what) const {
    return unix_connect(socket(what), soon());
}

Result<std::unique_ptr<Qmp>> RealMachine::attach(Deadline deadline) {
    KZ_TRY(UniqueFd fd, connect("qmp"));
    return Qmp::attach(std::move(fd), deadline);
}

void RealMachine::attach_again() {
    auto qmp = attach(soon());
    ASSERT_TRUE(qmp) << qmp.error().message() << "\n" << errors();
    qmp_ = *std::move(qmp);
}

std::string RealMachine::run_state() {
    const auto answer = qmp().execute("query-status");
    EXPECT_TRUE(answer) << answer.error().message() << "\n" << errors();
    return answer ? answer->value("status", "") : "";
}

std::string RealMachine::errors() const {
    return read_file(base_.string() + ".log", 1 << 20).value_or("");
}

void RealMachine::tell_guest(char letter) {
    ASSERT_TRUE(guest_answers());
    ASSERT_TRUE(write_all(serial_.get(), as_bytes({&letter, 1}), soon()));
}

bool RealMachine::guest_answers() {
    if (!serial_) {
        auto fd = connect("serial");
        if (!fd) return false;
        serial_ = *std::move(fd);
    }
    const Deadline deadline = soon();
    while (!deadline.passed()) {
        // The firmware swallows what comes before the guest has started.
        if (!write_all(serial_.get(), as_bytes({&kCall, 1}), deadline)) return false;
        std::array<Byte, 512> buffer;
        const auto got = read_some(serial_.get(), buffer, Deadline::after(std::chrono::milliseconds(200)));
        if (!got && got.error().code() == Errc::timeout) continue;
        if (!got || *got == 0) return false;
        if (as_text(ByteView(buffer).first(*got)).find(kAnswer) != std::string_view::npos) return true;
    }
    return false;
}

}  // namespace kz::qemu
