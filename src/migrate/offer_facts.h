// What the source of a migration tells about itself and the zone beyond what the destination could know, so
// that the destination can compare. Part of an Offer (migrate/offer.h). For src/monitor and src/client.
//
// JSON, the offer's "facts":
//
//   kzones_version, qemu_version   text
//   cpu {lacking {MODEL: [feature...]}, fullest [feature...]}   qemu/cpu.h; empty for a zone that has no
//                                  machine and no image of one
//   disks [{id, bytes, samples}]   samples: see below, 16 hex digits each; empty for a disk that was not read
//   bridged [id...]                the anets that are on a bridge of the source
//   epoch, heartbeat               of the zone's host data
//   image_id                       of the suspend image that is to move; empty: none
//
// Samples. Two hosts that know a volume by the same name may yet have two volumes (a file that is not on
// shared storage, another server of that name). Host data tell for the boot disk. For the other disks both
// hosts read the same few blocks: the first 128 KiB, the last 64 KiB and 16 blocks between. There are the
// tables of partitions, the superblocks and labels of file systems and volume managers with their UUIDs. A
// guest that runs may write to them while the hosts look; so a difference counts only when the source, that
// looks again, finds its block as it was before. Volumes of one size of which these blocks are alike, such as
// blank ones, cannot be told apart, and are taken for the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "qemu/cpu.h"
#include "storage/volume.h"

namespace kz::migrate {

inline constexpr std::size_t kMaxDisks = 64;
inline constexpr std::size_t kMaxSamples = 64;

using Samples = std::vector<std::uint64_t>;

struct DiskFacts {
    unsigned id = 0;
    std::uint64_t bytes = 0;
    Samples samples{};
    bool operator==(const DiskFacts&) const = default;
};

struct SourceFacts {
    std::string kzones_version{};
    std::string qemu_version{};
    qemu::CpuModels cpu{};
    std::vector<DiskFacts> disks{};
    std::vector<unsigned> bridged{};
    std::uint64_t epoch = 0;
    std::uint64_t heartbeat = 0;
    std::string image_id{};

    // Errors: Errc::protocol, naming the field; also for lists and texts longer than anything that is meant.
    static Result<SourceFacts> from_json(const Json& json);
    Json to_json() const;
};

// Where the samples of a volume of `bytes` are: offsets of blocks of kVolumeBlock, at most kMaxSamples,
// growing.
std::vector<std::uint64_t> sample_offsets(std::uint64_t bytes);
// What is there, as the first 8 bytes of SHA-256. Reads nothing behind `bytes`.
Result<Samples> read_samples(storage::Volume& volume, std::uint64_t bytes);

// A sample that was not the same at the destination, by its place in sample_offsets().
struct DiskDoubt {
    unsigned id = 0;
    std::vector<unsigned> samples{};
    bool operator==(const DiskDoubt&) const = default;
};
std::vector<unsigned> differing_samples(const Samples& a, const Samples& b);

// The version of this program, "0.3.0".
std::string_view kzones_version();

// Text that another host sent, for a terminal: at most `most` bytes, no control characters (line ends become
// blanks).
std::string plain_text(std::string_view text, std::size_t most);

// Fields of a peer's JSON, with their limits. Errors: Errc::protocol. What is missing is empty.
Result<std::vector<std::string>> peer_texts(const Json& json, std::string_view key, std::size_t most_entries,
                                            std::size_t most_bytes);
Result<std::vector<unsigned>> peer_numbers(const Json& json, std::string_view key, std::size_t most_entries,
                                           std::uint64_t highest);

}  // namespace kz::migrate
