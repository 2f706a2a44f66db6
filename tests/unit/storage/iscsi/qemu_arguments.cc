// qemu_arguments: the command line of a machine whose one disk is on an iSCSI target, as a JSON array.
//
//   qemu_arguments PORTAL TARGET LUN BYTES QMP-FD [USER PASSWORD-FD]
#include <iostream>

#include "base/json.h"
#include "base/text.h"
#include "qemu/machine.h"

namespace {

kz::Result<std::vector<std::string>> arguments(const std::vector<std::string>& given) {
    using namespace kz;
    qemu::IscsiDisk disk{.portal = given[0],
                         .target = given[1],
                         .lun = static_cast<unsigned>(parse_u64(given[2]).value_or(0)),
                         .initiator_name = "iqn.2026-11.org.kzones:machine",
                         .chap_user = {}};
    if (given.size() == 7) {
        disk.chap_user = given[5];
        disk.chap_password_fd = static_cast<int>(parse_u64(given[6]).value_or(0));
    }
    qemu::MachineSpec spec;
    spec.name = "iscsi";
    spec.uuid = "4f5c2b3a-0d5e-4a8e-9d57-0a1b2c3d4e5f";
    KZ_TRY(spec.cpu_model, qemu::cpu_model_for("generic", "tcg"));
    spec.memory_bytes = 64 << 20;
    qemu::DiskSpec& placed = spec.disks.emplace_back();
    placed.remote = disk;
    placed.guest_bytes = parse_u64(given[3]).value_or(0);
    spec.qmp_fd = static_cast<int>(parse_u64(given[4]).value_or(0));
    KZ_TRY(const qemu::QemuInfo qemu, qemu::probe_qemu());
    return qemu::command_line(spec, qemu);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> given(argv + 1, argv + argc);
    if (given.size() != 5 && given.size() != 7) {
        std::cerr << "usage: qemu_arguments PORTAL TARGET LUN BYTES QMP-FD [USER PASSWORD-FD]\n";
        return 2;
    }
    const auto line = arguments(given);
    if (!line) {
        std::cerr << line.error().message() << "\n";
        return 1;
    }
    std::cout << kz::render_json(kz::Json(*line)) << "\n";
    return 0;
}
