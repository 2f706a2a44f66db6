#include "qemu/machine.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "os/file.h"

namespace kz::qemu {
namespace {

using testing::HasSubstr;

QemuInfo debian_12() {
    QemuInfo info;
    info.binary = "/usr/bin/qemu-system-x86_64";
    info.version = {7, 2, 22};
    info.q35_machines = {"pc-q35-7.2", "pc-q35-7.1"};
    info.cpu_models = {"qemu64", "Nehalem", "host", "max"};
    return info;
}

MachineSpec small() {
    MachineSpec spec;
    spec.name = "zone1";
    spec.uuid = "6a7c1b0e-8f3d-4f6e-9a51-0d2f1c3b4a59";
    spec.cpu_model = "Nehalem";
    spec.memory_bytes = 256ULL << 20;
    spec.qmp_fd = 10;
    return spec;
}

MachineSpec large() {
    MachineSpec spec = small();
    spec.name = "a,b";
    spec.machine = "pc-q35-7.1";
    spec.accel = "kvm";
    spec.cpu_model = "host";
    spec.cpus = 4;
    spec.memory_bytes = 4ULL << 30;
    spec.disks = {{.index = 0, .fd = 20, .guest_bytes = 1ULL << 30, .boot_index = 0, .serial = "zone1-0"},
                  {.index = 9,
                   .fd = 21,
                   .block_device = true,
                   .guest_bytes = 512,
                   .boot_index = {},
                   .serial = {},
                   .direct_io = true,
                   .discard = false,
                   .read_only = true}};
    spec.nics = {{.index = 0, .mac = "02:08:20:aa:bb:cc", .tap_fd = 30, .mtu = 1400},
                 {.index = 1, .mac = "02:08:20:aa:bb:cd", .mtu = {}}};
    spec.nic_ports = 1;
    spec.kernel = inherited_path(40);
    spec.initrd = "/boot/initrd.img";
    spec.firmware = inherited_path(41);
    spec.append = "console=hvc0 a,b \"c d\"";
    spec.incoming = true;
    spec.console_fd = 11;
    spec.serial_fd = 12;
    return spec;
}

MachineSpec layout_1() {
    MachineSpec spec = small();
    spec.layout = 1;
    return spec;
}

// One option per line, as an administrator would read it.
std::string listing(const std::vector<std::string>& argv) {
    std::string text;
    for (std::size_t i = 0; i < argv.size(); ++i) {
        const bool value = i > 0 && !argv[i].starts_with('-');
        text += (i == 0 ? "" : value ? " " : "\n") + argv[i];
    }
    return text + "\n";
}

class Golden : public testing::TestWithParam<std::pair<std::string, MachineSpec>> {};

TEST_P(Golden, CommandLine) {
    const auto& [name, spec] = GetParam();
    const auto argv = command_line(spec, debian_12());
    ASSERT_TRUE(argv) << argv.error().message();
    const Path file = Path(KZ_TEST_DATA) / (name + ".txt");
    if (std::getenv("KZ_UPDATE_GOLDEN") != nullptr) {
        ASSERT_TRUE(write_file_atomic(file, listing(*argv), 0644));
    }
    EXPECT_EQ(listing(*argv), read_file(file, 65536).value_or("no golden file"));
}

INSTANTIATE_TEST_SUITE_P(Machines, Golden,
                         testing::Values(std::pair("machine_small", small()),
                                         std::pair("machine_layout_1", layout_1()),
                                         std::pair("machine_large", large())),
                         [](const auto& each) { return each.param.first; });

TEST(Machine, DevicesStayWhereTheyAreWhenOthersGo) {
    MachineSpec both = large();
    MachineSpec one = both;
    one.disks.erase(one.disks.begin());
    one.nics.erase(one.nics.begin());
    const auto with = command_line(both, debian_12());
    const auto without = command_line(one, debian_12());
    ASSERT_TRUE(with && without);
    EXPECT_LT(without->size(), with->size());
    for (const std::string& argument : *without)
        EXPECT_THAT(*with, testing::Contains(argument));
}

struct Wrong {
    std::string name;
    std::function<void(MachineSpec&)> damage;
    std::string message;
};

class Refused : public testing::TestWithParam<Wrong> {};

TEST_P(Refused, WithAReason) {
    MachineSpec spec = large();
    GetParam().damage(spec);
    const auto argv = command_line(spec, debian_12());
    ASSERT_FALSE(argv);
    EXPECT_THAT(argv.error().message(), HasSubstr(GetParam().message));
}

std::vector<Wrong> wrongs() {
    return {
        {"name", [](auto& s) { s.name = "a\nb"; }, "without a name"},
        {"uuid", [](auto& s) { s.uuid.back() = 'g'; }, "is not a UUID"},
        {"no_cpus", [](auto& s) { s.cpus = 0; }, "0 CPUs"},
        {"many_cpus", [](auto& s) { s.cpus = 256; }, "256 CPUs"},
        {"no_memory", [](auto& s) { s.memory_bytes = 0; }, "memory must be"},
        {"odd_memory", [](auto& s) { s.memory_bytes += 4096; }, "memory must be"},
        {"accel", [](auto& s) { s.accel = "auto"; }, "accel 'auto'"},
        {"machine", [](auto& s) { s.machine = "pc-q35-10.0"; }, "has no machine type pc-q35-10.0"},
        {"cpu", [](auto& s) { s.cpu_model = "Z80"; }, "has no CPU model 'Z80'"},
        {"qmp", [](auto& s) { s.qmp_fd = -1; }, "without a QMP socket"},
        {"initrd_alone", [](auto& s) { s.kernel.clear(); }, "need a kernel"},
        {"disk_index", [](auto& s) { s.disks[0].index = kMaxDisks; }, "disk 32"},
        {"disk_closed", [](auto& s) { s.disks[0].fd = -1; }, "not open"},
        {"disk_size", [](auto& s) { s.disks[0].guest_bytes = 513; }, "513 bytes"},
        {"disk_serial", [](auto& s) { s.disks[0].serial = std::string(21, 'x'); }, "serial"},
        {"disk_twice", [](auto& s) { s.disks[1].index = 0; }, "disk 0: twice"},
        {"boot_twice", [](auto& s) { s.disks[1].boot_index = 0; }, "disk 9: twice"},
        {"disk_ports", [](auto& s) { s.disk_ports = kMaxDisks + 1; }, "more ports"},
        {"nic_index", [](auto& s) { s.nics[0].index = kMaxNics; }, "net 16"},
        {"nic_twice", [](auto& s) { s.nics[1].index = 0; }, "net 0: twice"},
        {"mac", [](auto& s) { s.nics[0].mac = "auto"; }, "'auto' is no address"},
        {"mtu", [](auto& s) { s.nics[0].mtu = 67; }, "MTU 67"},
    };
}

INSTANTIATE_TEST_SUITE_P(Specs, Refused, testing::ValuesIn(wrongs()),
                         [](const auto& each) { return each.param.name; });

TEST(CpuModel, OfEachArch) {
    EXPECT_EQ(*cpu_model_for("", "tcg"), "Nehalem");
    EXPECT_EQ(*cpu_model_for("generic", "kvm"), "qemu64");
    EXPECT_EQ(*cpu_model_for("migration-class1", "tcg"), "Nehalem");
    EXPECT_EQ(*cpu_model_for("migration-class2", "tcg"), "Haswell-noTSX");
    EXPECT_EQ(*cpu_model_for("migration-class3", "kvm"), "Skylake-Server-noTSX-IBRS");
    EXPECT_EQ(*cpu_model_for("host", "kvm"), "host");
    EXPECT_EQ(*cpu_model_for("host", "tcg"), "max");
    EXPECT_EQ(cpu_model_for("sparc64-class1", "tcg").error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace kz::qemu
