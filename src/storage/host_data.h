// Host data: who owns a zone's boot disk, and what is to happen to it next. For monitor, migrate and install.
//
// Theory of operation
//
// The last 1 MiB of a boot disk (of its whole 4 KiB blocks) is ours; the guest sees the disk without it. The
// area holds two slots, at 0 and at 512 KiB, which are written in turn: a crash at any moment of a write
// leaves the slot that was valid before. Of the valid slots the one with the higher generation counts. A
// write looks first, and is refused unless the current slot is byte for byte what the writer saw last (by its
// MAC: two hosts may have written the same generation); it looks again afterwards. Between the two looks
// others may write too: who wins then is decided by storage/lease.h, lease_takeover.h and lease_claim.h.
// Where the volume has COMPARE AND WRITE for a whole record, looking and writing are one step: everybody
// writes the slot that is not the current one, so one who compares that slot's first sectors misses nothing.
//
// A write that fails may still reach the disk later. Its generation is that of the next attempt; so after a
// failure the record last seen is written once more, which leaves no slot in which the late one could count.
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
//     96+B        never read. Zeros up to the next multiple of 4096, or, where it was written by COMPARE AND
//                 WRITE, of 512
//
// The body is authenticated, not encrypted: a host without the key can still say who owns the disk.
// Keys of the body: zone_uuid, epoch, owner {host_id, host_name}, state, heartbeat, last_update,
// suspend {image_id, location, created}, handover {migration_id, to {host_id, host_name}, phase},
// owned_since, lease {renew, pause, fence} (milliseconds), claim {host_id, host_name, nonce}. Those from
// suspend on may be missing, as may owner. Top-level keys that are not known here are kept when the body is
// rewritten. A body of at most 416 bytes makes a record that fits one sector of 512: keep it short.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "storage/lease_timings.h"
#include "storage/volume.h"

namespace kz::storage {

inline constexpr std::uint64_t kHostDataBytes = 1024 * 1024;

// What the guest may see of a boot disk. Errors: Errc::invalid_argument when the volume has no room for both.
Result<std::uint64_t> guest_bytes(std::uint64_t volume_bytes);

struct Owner {
    std::string host_id;
    std::string host_name;
    bool operator==(const Owner&) const = default;
    // Names change.
    bool same_host(const Owner& other) const { return host_id == other.host_id; }
};

// The one suspend image that may be resumed on this disk.
struct SuspendRecord {
    std::string image_id;
    std::string location;  // a SURI, or an absolute path
    std::string created;   // as utc_timestamp() prints
    bool operator==(const SuspendRecord&) const = default;
};

// A migration that was announced but whose end is not known to both sides yet.
// phase: "memory" before the commit and after that of a move whose memory is all there; kPostCopyPhase when
// the owner is `to` and runs the zone, and the host it came from still holds some of its memory.
inline constexpr std::string_view kPostCopyPhase = "post-copy";
struct Handover {
    std::string migration_id;
    Owner to;
    std::string phase;
    bool operator==(const Handover&) const = default;
};

// By what intervals the owner renews: a watcher waits for the owner's, not for its own.
struct OwnerLease {
    Milliseconds renew{};
    Milliseconds pause{};
    Milliseconds fence{};
    bool operator==(const OwnerLease&) const = default;
};

// A host that is about to take a disk which nobody owns (storage/lease_claim.h).
struct Claim {
    Owner by;
    std::string nonce;  // another one for each claim
    bool operator==(const Claim&) const = default;
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
    std::string owned_since;  // as utc_timestamp() prints; empty: not recorded
    std::optional<OwnerLease> lease;
    std::optional<Claim> claim;   // only while there is no owner
    Json other = Json::object();  // keys that this version does not know
    bool operator==(const HostData&) const = default;

    // The one way in which the owner changes: epoch + 1, and what was said by or about the old one goes.
    void change_owner(std::optional<Owner> next, std::string since);
};

// What a wrong key is answered with, in the original's words: two lines.
std::string wrong_key_message(std::string_view zone);

struct HostDataRead {
    HostData data;
    std::uint64_t generation = 0;
    crypto::Sha256Digest mac{};  // two reads with one MAC saw the same bytes
    // Not empty when the other slot is damaged: one sentence for the administrator. The next write repairs
    // it.
    std::string warning;
};

// What can be told without the key. Nothing in it is authenticated: for messages only.
struct HostDataProbe {
    enum class Kind { blank = 1, present, damaged, newer_version };
    Kind kind = Kind::blank;
    std::optional<HostData> unverified;  // present only
    crypto::Sha256Digest fingerprint{};  // any write of host data changes it, under whatever key
};

struct Slot;       // storage/host_data_slot.h
struct SlotPair;   // same
struct DiskSlots;  // storage/host_data_disk.h

// Keeps a reference to the volume. Any thread may call it: each call is one step, and holds a mutex while the
// storage works. Within one host the writer is the zone's monitor or the command that holds the zone's lock.
class HostDataArea {
  public:
    // keysource: the zone's raw key. Errors: Errc::invalid_argument for an empty key or a volume that is too
    // small.
    static Result<HostDataArea> open(Volume& volume, const Secret& keysource);

    // From its look at the disk to the end of a write no more time than this may pass; a process that is
    // stopped in between is killed by the kernel, so that it cannot write long after when it goes on. Zero:
    // no bound.
    void bound_writes(Milliseconds bound) { bound_ = bound; }

    // Errors: Errc::not_found: there is no host data. Errc::permission: it is under another key.
    // Errc::corrupt: both slots are damaged. Errc::unsupported: written by a later version. That it is of the
    // right zone is for the caller to check.
    Result<HostDataRead> read();

    // Replaces what the last read(), write() or initialize() of this object saw; durable and re-read when it
    // returns what is there now. Errors: Errc::busy when the disk holds something else than that (then
    // nothing is written) or holds it after the write; those of read(), Errc::wrong_state before the first of
    // those three, Errc::invalid_argument when the body is too large, Errc::io when the disk gives back other
    // bytes, Errc::timeout when looking took too long to write upon. After io and timeout it may have been
    // written, or be written later: only reading tells.
    Result<HostDataRead> write(const HostData& data);

    // Takes the area whatever it holds, under this key: install and attach -x initialize-hostdata. What was
    // there under another key is no longer valid once this returns, nor can a late write of it become so.
    Result<void> initialize(const HostData& data);

    // Whether write(data) would be one step with its look (COMPARE AND WRITE).
    Result<bool> writes_in_one_step(const HostData& data) const;

    // Wipes both slots: what uninstall leaves behind.
    static Result<void> erase(Volume& volume);
    static Result<HostDataProbe> probe(Volume& volume);

  private:
    HostDataArea(Volume& volume, Secret key, std::uint64_t start)
        : mutex_(std::make_unique<std::mutex>()), volume_(&volume), key_(std::move(key)), start_(start) {}
    Result<HostDataRead> take_note(const SlotPair& slots);
    Result<void> check_unchanged(const Slot& current) const;
    struct NewBody {
        std::string text;
        bool same_owner;
    };
    // Nothing for the body: the one that is there once more.
    Result<HostDataRead> write_step(const std::optional<NewBody>& body);
    Result<void> put(const DiskSlots& before, unsigned slot, std::uint64_t generation, const NewBody& body);
    Result<void> put_bytes(const DiskSlots& before, unsigned slot, ByteView bytes);
    Result<HostDataRead> look_again();

    std::unique_ptr<std::mutex> mutex_;
    Volume* volume_;
    Secret key_;
    std::uint64_t start_;  // of the area within the volume
    Milliseconds bound_{0};
    // Of the current slot when last looked at: its MAC, its owner and epoch.
    std::optional<crypto::Sha256Digest> seen_;
    std::optional<Owner> seen_owner_;
    std::uint64_t seen_epoch_ = 0;
    // Of writes whose outcome is not known because they failed: should one have reached the disk, it was
    // ours, and may be replaced without a look, unless it was to change the ownership.
    struct Attempt {
        crypto::Sha256Digest mac;
        bool same_owner;
    };
    std::vector<Attempt> attempted_;
};

}  // namespace kz::storage
