// What QEMU's answers to the probe's questions mean. Inside qemu only; apart from the probe for its tests.
#pragma once

#include <nlohmann/json.hpp>

#include "qemu/probe.h"

namespace kz::qemu {

// Of {"major": 7, "minor": 2, "micro": 22}.
Result<QemuVersion> read_version(const nlohmann::json& version);

// The text under `key` in each object of a list; what has none is left out.
std::set<std::string> read_names(const nlohmann::json& list, const char* key);

// "pc-q35-9.2", "pc-q35-10.0" and "pc-q35-4.0.1" by their numbers, newest first; other names are left out.
std::vector<std::string> sort_q35_machines(const std::set<std::string>& machines);

}  // namespace kz::qemu
