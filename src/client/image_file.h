// Suspend images as files: what one is, and whether all of it is whole, without running anything. For src/cli
// and src/rad.
#pragma once

#include "client/client.h"

namespace kz::client {

// `place` is a path or a SURI. The object has image_id, zone, uuid, epoch, created, machine, qemu, cpu, cpus,
// memory_bytes, devices, cipher, layout; when this host has the key of the zone with that uuid also
// "verified_as" (the zone's name here) and bytes, records, plain_bytes. Without "verified_as" nothing of it
// is authenticated. Errors: Errc::corrupt, Errc::unsupported, Errc::permission (the key is another one),
// those of the storage.
Result<Json> image_info(const Client& client, const std::string& place);

// As image_info, after every record was opened. Progress is {"records", "of"}. Errors also: Errc::not_found
// when this host has no zone of that uuid, Errc::cancelled.
Result<Json> verify_image(const Client& client, const std::string& place, const Reporter& reporter);

}  // namespace kz::client
