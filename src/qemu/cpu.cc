#include "qemu/cpu.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "qemu/bare_qemu.h"
#include "qemu/machine.h"

namespace kz::qemu {
namespace {

using nlohmann::json;

// The highest first.
constexpr std::array<std::string_view, 4> kClasses{"migration-class3", "migration-class2", "migration-class1",
                                                   "generic"};
// Far beyond what there is: QEMU 7.2 has 400 and some.
constexpr std::size_t kMaxFeatures = 4096;
constexpr std::size_t kMaxFeatureName = 64;

void tidy(std::vector<std::string>& names) {
    std::ranges::sort(names);
    const auto repeated = std::ranges::unique(names);
    names.erase(repeated.begin(), repeated.end());
}

std::vector<std::string> names_of(const json& list) {
    std::vector<std::string> names;
    for (const json& each : list) {
        if (names.size() == kMaxFeatures) break;
        if (each.is_string() && each.get_ref<const std::string&>().size() <= kMaxFeatureName)
            names.push_back(each.get<std::string>());
    }
    tidy(names);
    return names;
}

// Names with an underscore repeat others; those that begin with "x-" tune QEMU and are no features.
bool is_feature(const std::string& name) {
    return !name.starts_with("x-") && name.find('_') == std::string::npos && name.size() <= kMaxFeatureName;
}

std::vector<std::string> features_of(const json& expansion) {
    std::vector<std::string> names;
    const auto model = expansion.find("model");
    if (model == expansion.end() || !model->is_object()) return names;
    const auto properties = model->find("props");
    if (properties == model->end() || !properties->is_object()) return names;
    for (const auto& [name, value] : properties->items()) {
        if (names.size() < kMaxFeatures && value.is_boolean() && value.get<bool>() && is_feature(name))
            names.push_back(name);
    }
    tidy(names);
    return names;
}

bool runs_whole(const CpuModels& models, std::string_view model) {
    const auto found = models.lacking.find(model);
    return found != models.lacking.end() && found->second.empty();
}

}  // namespace

bool is_host_model(std::string_view model) {
    return model == "host" || model == "max";
}

Result<CpuModels> ask_cpu_models(Qmp& qmp, std::string_view accel, Deadline deadline) {
    CpuModels models;
    KZ_TRY(const json definitions, qmp.execute("query-cpu-definitions", json::object(), deadline));
    if (!definitions.is_array()) return fail(Errc::protocol, "QEMU tells no CPU models");
    for (const std::string_view cpu_class : kClasses) {
        KZ_TRY(const std::string model, cpu_model_for(cpu_class, accel));
        const auto found = std::ranges::find_if(definitions, [&](const json& each) {
            return each.is_object() && each.value("name", json()) == json(model);
        });
        if (found != definitions.end())
            models.lacking.emplace(model, names_of(found->value("unavailable-features", json::array())));
    }
    KZ_TRY(const std::string fullest, cpu_model_for("host", accel));
    const json question{{"type", "full"}, {"model", {{"name", fullest}}}};
    KZ_TRY(const json expansion, qmp.execute("query-cpu-model-expansion", question, deadline));
    models.fullest = features_of(expansion);
    if (models.fullest.empty()) return fail(Errc::protocol, "QEMU tells no CPU features");
    return models;
}

Result<CpuModels> probe_cpu_models(const Path& binary, std::string_view accel, Deadline deadline) {
    KZ_TRY_CONTEXT(BareQemu instance, BareQemu::start(binary, accel), binary.string());
    KZ_TRY_CONTEXT(const auto qmp, instance.attach(deadline), binary.string());
    return ask_cpu_models(*qmp, accel, deadline);
}

std::vector<std::string> features_lost(const std::vector<std::string>& had,
                                       const std::vector<std::string>& has) {
    std::vector<std::string> lost;
    std::ranges::set_difference(had, has, std::back_inserter(lost));
    return lost;
}

std::optional<std::string> common_cpu_class(const CpuModels& here, const CpuModels& there,
                                            std::string_view accel) {
    for (const std::string_view cpu_class : kClasses) {
        const auto model = cpu_model_for(cpu_class, accel);
        if (model && runs_whole(here, *model) && runs_whole(there, *model)) return std::string(cpu_class);
    }
    return std::nullopt;
}

std::string_view cpu_class_level(std::string_view cpu_arch) {
    if (cpu_arch.empty() || cpu_arch == "migration-class1") return "x86-64-v2";
    if (cpu_arch == "migration-class2") return "x86-64-v3";
    if (cpu_arch == "migration-class3") return "x86-64-v4";
    if (cpu_arch == "generic") return "x86-64";
    return cpu_arch;
}

}  // namespace kz::qemu
