// The file that keeps what a QEMU can do, so that it need not be started to be asked. Inside qemu only.
//
// "qemu-probe.json": {"format": 1, "binaries": {PATH: {"stamp": "SIZE MTIME_NS", "version": [7, 2, 22],
// "q35_machines": [...], "cpu_models": [...], "commands": [...], "migration_capabilities": [...],
// "devices": [...]}}}. A file of another format or a damaged one counts as empty.
#pragma once

#include <optional>
#include <string>

#include "qemu/probe.h"

namespace kz::qemu {

// Changes whenever the file does. Errors: Errc::not_found...
Result<std::string> binary_stamp(const Path& binary);

std::optional<QemuInfo> load_probe(const Path& cache_dir, const Path& binary, const std::string& stamp);
Result<void> store_probe(const Path& cache_dir, const QemuInfo& info, const std::string& stamp);

}  // namespace kz::qemu
