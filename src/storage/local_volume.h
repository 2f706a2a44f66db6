// Volumes that this host's own file system shows: file: and dev:. Internal to storage.
#pragma once

#include <memory>

#include "storage/volume.h"

namespace kz::storage {

Result<std::unique_ptr<Volume>> open_local_volume(const Suri& suri);
Result<void> create_local_file(const Suri& suri, std::uint64_t bytes);
Result<void> destroy_local_file(const Suri& suri);
Result<bool> local_exists(const Suri& suri);

}  // namespace kz::storage
