// CPU models as this host's QEMU has them under one accelerator: what each lacks here, and what the fullest
// one has. For the checks before a zone moves.
//
// A zone's cpu-arch names a model of QEMU (cpu_model_for()). QEMU runs a model also where the host lacks some
// of its features: they are left out with a warning, and a guest that is moved there finds them gone under
// its feet. So what counts is the difference: the features that the machine has at the source and would not
// have at the destination. That holds for KVM, where the processor decides, and for TCG, where QEMU's version
// does.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/deadline.h"
#include "qemu/probe.h"
#include "qemu/qmp.h"

namespace kz::qemu {

// Lists are sorted and without repetition.
struct CpuModels {
    // Of each model that cpu-arch can stand for and QEMU knows: the features that it would not have here.
    std::map<std::string, std::vector<std::string>, std::less<>> lacking;
    // All features of the fullest model: "host" under KVM, "max" under TCG.
    std::vector<std::string> fullest;
};

// Of a QEMU that runs under `accel`, with or without a machine.
Result<CpuModels> ask_cpu_models(Qmp& qmp, std::string_view accel,
                                 Deadline deadline = Deadline::after(Qmp::kCommandTimeout));
// Starts a QEMU for it.
Result<CpuModels> probe_cpu_models(const Path& binary, std::string_view accel,
                                   Deadline deadline = Deadline::after(std::chrono::seconds(20)));

// Whether the model has no list of its own, but is whatever the host has: "host" and "max".
bool is_host_model(std::string_view model);

// What is in `had` and not in `has`; both sorted.
std::vector<std::string> features_lost(const std::vector<std::string>& had,
                                       const std::vector<std::string>& has);

// The highest cpu-arch of migration-class1 to 3, else generic, of which nothing is lacking in either; nothing
// when there is none.
std::optional<std::string> common_cpu_class(const CpuModels& here, const CpuModels& there,
                                            std::string_view accel);

// "x86-64-v3": the level of processors that a class is; other names as they are.
std::string_view cpu_class_level(std::string_view cpu_arch);

}  // namespace kz::qemu
