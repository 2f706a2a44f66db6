// Claiming a disk that nobody owns, while others may be doing the same (a delta lease). For
// store/boot_disk.h.
//
// Theory of operation
//
// Unowned means: no owner and no claim. Then
// 1. write a claim beside the empty owner;
// 2. wait `claim_wait`: every other who has found the disk unowned as well has written by then, within
//    `claim_fresh` of its look, or knows that it was late;
// 3. look: the claim that stands, stands. Whoever finds another's yields: it watches what becomes of it;
// 4. write owner = this host, epoch + 1, the claim still beside it; then the same without the claim.
//
// A write that ended later than `claim_fresh` after the look on which it was based may have fallen on
// anything: after a late claim the wait of 2 is `takeover`, and after the owner was written late, or upon a
// late claim, the disk is watched for `takeover` before the claim is taken away (storage/lease_takeover.h).
// The same long way for one who replaces an abandoned claim: one that nobody has touched for `takeover`.
//
// Where host data are written by COMPARE AND WRITE, steps 1 to 3 fall away: the first of the two writes of 4
// finds out whether anybody was faster. Both have to end within `claim_fresh`, for the sake of those who
// reach the same disk in another way; else the long way.
#pragma once

#include "storage/lease_takeover.h"

namespace kz::storage {

// Errors: those of reading and writing; Errc::cancelled (a claim is taken away first, if it can be);
// Errc::busy when others kept claiming and none of them became the owner.
Result<Taken> claim_unowned(const Taking& taking);

}  // namespace kz::storage
