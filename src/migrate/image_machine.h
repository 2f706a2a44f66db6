// The machine in a suspend image: how an image tells of it, and what it goes on with. For src/monitor,
// src/client and the checks.
//
// Theory of operation. An image's list of devices (image/info.h) holds, beside the devices, up to three
// entries that begin with a word of their own:
//   "board JSON"    the machine's shape (qemu/machine_shape.h)
//   "live TEXT"     the machine's part of the configuration that the zone ran with, as export text, where
//   that was
//                   another one than the stored one's
//   "stored HEX"    with it: SHA-256 of the machine's part of the configuration that was stored then
// A zone whose stored configuration is still that one goes on with what it ran with; one whose configuration
// was changed since must fit the image as it is now. Images of earlier versions have none of the three.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "image/info.h"
#include "qemu/machine_shape.h"
#include "zone/config.h"

namespace kz::migrate {

struct ImageMachine {
    qemu::MachineShape shape;
    zone::Config config;  // of the zone that goes on
};

// Adds the entries to the image's devices.
void describe_image_machine(const ImageMachine& machine, const zone::Config& stored, image::ImageInfo& info);
// Errors: Errc::corrupt; Errc::unsupported for the machine of a newer version.
Result<ImageMachine> image_machine(const image::ImageInfo& info, const zone::Config& stored);
// The devices alone.
std::vector<std::string> device_entries(const image::ImageInfo& info);
// Why the image's memory and processors are not those of the configuration that image_machine() gave: "it has
// ...". Empty: they are.
std::string machine_mismatch(const image::ImageInfo& info, const zone::Config& config);

// The machine's part of `live` as export text; empty where it is that of `stored`.
std::string live_part(const zone::Config& live, const zone::Config& stored);
// The other way: what a zone runs with, of which live_part() made that text.
Result<zone::Config> with_live_part(const zone::Config& stored, std::string_view text);

// For a machine of that configuration on this host.
qemu::ShapeWishes shape_wishes(const zone::Config& config);

}  // namespace kz::migrate
