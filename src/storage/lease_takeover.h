// Taking a disk from an owner that is gone, and finishing what was begun. For store/boot_disk.h.
//
// Theory of operation
//
// 1. Watch (storage/lease_watch.h): nothing changes for as long as a living owner would be silent at most.
// 2. Write owner = this host, epoch + 1, with a claim of this host beside it, twice: into both slots, so that
// one
//    late write of the old owner cannot be the current one.
// 3. Watch as long again. An owner that was paused may have renewed between the last look and the first
// write:
//    by the end of this watch it has met the new owner or its fence, and what it was writing is on the disk.
// 4. Write the same without the claim: the disk is taken. Twice again: a claim of somebody else that comes
// late
//    (storage/lease_claim.h) may fall on one slot.
//
// An owner with a claim beside it is nobody's to use: a host that dies between 2 and 4, or is told to stop,
// goes on with 3 when it tries again. All writes are verified ones (HostDataArea::write).
#pragma once

#include "storage/lease_watch.h"

namespace kz::storage {

// Who was seen to be alive.
struct StillAlive {
    HostData data;
    Milliseconds seen_ago{0};
};

// A disk that has been taken, or why not.
struct Taken {
    HostData data{};                      // as it is on the disk now
    std::optional<StillAlive> refused{};  // somebody else was faster, or lives
};

// `found` is what area.read() just said, of another owner. Errors: those of reading and writing,
// Errc::cancelled.
Result<Taken> take_over(const Taking& taking, const HostDataRead& found);

// Steps 3 and 4 on a disk that names this host as owner and claimant: after an interrupted take-over.
Result<Taken> settle_ownership(const Taking& taking);

// Step 4: `mine` is what the disk says, owned and claimed by this host.
Result<Taken> finish_taking(const Taking& taking, HostData mine);

// A claim of this host, with a nonce of its own.
Result<Claim> make_claim(const Owner& self);

}  // namespace kz::storage
