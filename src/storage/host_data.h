// Host data: who owns a zone's boot disk, and what is to happen to it next. For monitor, migrate and install.
//
// Theory of operation
//
// The last 1 MiB of a boot disk (of its whole 4 KiB blocks) is ours; the guest sees the disk without it. The
// area holds two slots, at 0 and at 512 KiB, which are written in turn: a crash at any moment of a write
// leaves the slot that was valid before. Of the valid slots the one with the higher generation counts. A
// write that finds another generation than the one last seen by the writer is refused: another host was
// there.
//
// A slot, all integers little-endian:
//
//   offset  size  what
//        0     8  magic "KZHOSTD\n"
//        8     4  format version, 1. Magic and version stay where they are in every future version.
//       12     4  B, the length of the body, at most 65440
//       16     8  generation, 1 and up
//       24     8  zero
//       32     B  body: one JSON object, UTF-8
//     32+B    32  SHA-256 of all before: a slot that is torn is told from one under another key
//     64+B    32  HMAC-SHA256 of all before, under HKDF-SHA256(keysource, no salt, "kzones host-data mac v1")
//     96+B        zero up to the next multiple of 4096; what follows in the slot is never read
//
// The body is authenticated, not encrypted: a host without the key can still say who owns the disk.
// Keys of the body: zone_uuid, epoch, owner {host_id, host_name}, state, heartbeat, last_update,
// suspend {image_id, location, created}, handover {migration_id, to {host_id, host_name}, phase}. Top-level
// keys that are not known here are kept when the body is rewritten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "storage/volume.h"

namespace kz::storage {

inline constexpr std::uint64_t kHostDataBytes = 1024 * 1024;

// What the guest may see of a boot disk. Errors: Errc::invalid_argument when the volume has no room for both.
Result<std::uint64_t> guest_bytes(std::uint64_t volume_bytes);

struct Owner {
    std::string host_id;
    std::string host_name;
    bool operator==(const Owner&) const = default;
};

// The one suspend image that may be resumed on this disk.
struct SuspendRecord {
    std::string image_id;
    std::string location;  // a SURI, or an absolute path
    std::string created;   // as utc_timestamp() prints
    bool operator==(const SuspendRecord&) const = default;
};

// A migration that was announced but whose end is not known to both sides yet.
struct Handover {
    std::string migration_id;
    Owner to;
    std::string phase;
    bool operator==(const Handover&) const = default;
};

struct HostData {
    std::string zone_uuid;
    std::uint64_t epoch = 0;  // grows with every change of owner
    std::optional<Owner> owner;
    std::string state;  // last known state, a name of zone/state.h
    std::uint64_t heartbeat = 0;
    std::string last_update;  // as utc_timestamp() prints
    std::optional<SuspendRecord> suspend;
    std::optional<Handover> handover;
    Json other = Json::object();  // keys that this version does not know
    bool operator==(const HostData&) const = default;
};

// What a wrong key is answered with, in the original's words: two lines.
std::string wrong_key_message(std::string_view zone);

struct HostDataRead {
    HostData data;
    std::uint64_t generation = 0;
    // Not empty when the other slot is damaged: one sentence for the administrator. The next write repairs
    // it.
    std::string warning;
};

// What can be told without the key. Nothing in it is authenticated: for messages only.
struct HostDataProbe {
    enum class Kind { blank = 1, present, damaged, newer_version };
    Kind kind = Kind::blank;
    std::optional<HostData> unverified;  // present only
};

struct Slot;  // storage/host_data_slot.h

// One user at a time; keeps a reference to the volume. Within one process the writer is the zone's monitor
// (or the command that holds the zone's lock).
class HostDataArea {
  public:
    // keysource: the zone's raw key. Errors: Errc::invalid_argument for an empty key or a volume that is too
    // small.
    static Result<HostDataArea> open(Volume& volume, const Secret& keysource);

    // Errors: Errc::not_found: there is no host data. Errc::permission: it is under another key.
    // Errc::corrupt: both slots are damaged. Errc::unsupported: written by a later version. That it is of the
    // right zone is for the caller to check.
    Result<HostDataRead> read();

    // Replaces what the last read(), write() or initialize() of this object saw; durable and re-read when it
    // returns. Errors: Errc::busy when the disk holds another generation than that (nothing is written),
    // those of read(), Errc::wrong_state before the first of those three, Errc::invalid_argument when the
    // body is too large, Errc::io when the disk gives back other bytes.
    Result<void> write(const HostData& data);

    // Takes the area whatever it holds, under this key: install and attach -x initialize-hostdata. What was
    // there under another key is no longer valid once this returns.
    Result<void> initialize(const HostData& data);

    // Wipes both slots: what uninstall leaves behind.
    static Result<void> erase(Volume& volume);
    static Result<HostDataProbe> probe(Volume& volume);

  private:
    HostDataArea(Volume& volume, Secret key, std::uint64_t start)
        : volume_(&volume), key_(std::move(key)), start_(start) {}
    Result<void> write_slot(unsigned slot, std::uint64_t generation, const HostData& data);
    Result<void> check_unchanged(const Slot& current) const;

    Volume* volume_;
    Secret key_;
    std::uint64_t start_;           // of the area within the volume
    std::uint64_t generation_ = 0;  // last seen; 0: none yet
    // Of a write whose outcome is not known because it failed: should it have reached the disk, it was ours.
    std::optional<crypto::Sha256Digest> attempted_;
};

}  // namespace kz::storage
