// Volumes that this host's own file system shows: file:, dev: and lu:. Internal to storage.
#pragma once

#include <memory>

#include "storage/lu.h"
#include "storage/volume.h"

namespace kz::storage {

// `places`: where a lu: is looked for.
Result<std::unique_ptr<Volume>> open_local_volume(const Suri& suri, const LuPlaces& places = {});
Result<void> create_local_file(const Suri& suri, std::uint64_t bytes);
Result<void> destroy_local_file(const Suri& suri);
Result<bool> local_exists(const Suri& suri, const LuPlaces& places = {});

}  // namespace kz::storage
