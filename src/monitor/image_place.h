// ImagePlace: where a zone's suspend image is, or will be: a path of this host, or a volume that a SURI
// names. For the monitor and for uninstall.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "image/medium.h"
#include "storage/host_data.h"
#include "storage/suri.h"
#include "zone/config.h"

namespace kz::monitor {

class ImagePlace {
  public:
    // As the suspend resource says. Errors: there is none (how to add one), or it is not understood.
    static Result<ImagePlace> configured(const zone::Config& config);
    static Result<ImagePlace> recorded(const storage::SuspendRecord& record);

    // For host data: the path, or the SURI.
    std::string location() const;

    // A new image of at most `bytes`. Errors: those of the file or volume; Errc::invalid_argument when it is
    // one of the zone's own disks.
    Result<std::unique_ptr<image::Medium>> create(const zone::Config& config, std::uint64_t bytes,
                                                  const storage::StorageAccess& access) const;
    Result<std::unique_ptr<image::Medium>> open(const storage::StorageAccess& access) const;
    // Removes an image that is no longer in force. Errors are for the log only.
    Result<void> discard(const storage::StorageAccess& access) const;
    // Removes what a crash has left of an image that was being written. Only paths keep such drafts.
    void remove_draft() const;

  private:
    explicit ImagePlace(std::variant<Path, storage::Suri> place) : place_(std::move(place)) {}
    static Result<ImagePlace> of_suri(std::string_view text);
    std::variant<Path, storage::Suri> place_;
};

}  // namespace kz::monitor
