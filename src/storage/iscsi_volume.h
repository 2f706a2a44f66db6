// Volumes of type iscsi: a logical unit of a storage host, by our own initiator. Internal to storage.
#pragma once

#include <memory>

#include "storage/volume.h"

namespace kz::storage {

Result<std::unique_ptr<Volume>> open_iscsi_volume(const Suri& suri, const StorageAccess& access);
Result<bool> iscsi_exists(const Suri& suri, const StorageAccess& access);

}  // namespace kz::storage
