// Suspend images on a volume of src/storage: a LUN, a device, a file on an NFS server. For src/monitor.
//
// A volume has a fixed size: the image begins at its first byte, its footer is in its last block. An image is
// in force only once host data names it, so there is nothing to publish.
#pragma once

#include <memory>

#include "image/medium.h"
#include "storage/volume.h"

namespace kz::image {

// For writing a new image over what the volume holds. Errors: Errc::already_exists when that is neither
// nothing nor an image of ours, Errc::no_space when the volume is too small for any image.
Result<std::unique_ptr<Medium>> create_volume_medium(std::unique_ptr<storage::Volume> volume);

// An existing image, for reading.
Result<std::unique_ptr<Medium>> open_volume_medium(std::unique_ptr<storage::Volume> volume);

// Makes an image on the volume unreadable, so that the volume can be used anew. Leaves anything else alone.
Result<void> wipe_volume_image(storage::Volume& volume);

}  // namespace kz::image
