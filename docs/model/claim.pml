/*
 * The claim of a disk that nobody owns, by several hosts at once (docs/PROTOCOL.md, section 5): a delta lease
 * for storage without COMPARE AND WRITE. The winner boots the zone at once and renews its lease.
 *
 * Ticks stand for the order FRESH < CLAIM_WAIT, DEADLINE + NET < WATCH, FENCE + DEADLINE < WATCH. Each step of a host
 * takes any number of ticks; an attempt that takes DEADLINE is ended by the kernel's timer, and what it has
 * sent may land up to NET later. Storage stalls by doing nothing.
 *
 * Who claims in the long way (over a claim that was abandoned, or on a basis that was stale when the claim was
 * written) waits WATCH after each of the two writes; who claims in the short way waits CLAIM_WAIT after the first
 * and not after the second, if that was FRESH.
 *
 * Property: one_running: of all hosts at most one runs the zone's guest.
 * Sizes: HOSTS contenders with ATTEMPTS each and RENEWALS of each winner.
 */
#ifndef HOSTS
#define HOSTS 3
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 1
#endif
#ifndef RENEWALS
#define RENEWALS 1
#endif

#define FRESH 0
#define DEADLINE 1
#define NET 1
#define FENCE 2
#ifdef MUTATE_NO_WAIT
#define CLAIM_WAIT 0
#else
#define CLAIM_WAIT 1
#endif
#define WATCH 4
#ifdef MUTATE_STALE_CLAIM
#define STALE_WAIT CLAIM_WAIT
#else
#define STALE_WAIT WATCH
#endif
#ifdef MUTATE_ABANDONED_SHORT
#define ABANDONED_WAIT CLAIM_WAIT
#else
#define ABANDONED_WAIT WATCH
#endif
#ifdef MUTATE_NO_SETTLE
#define at_once true
#else
#define at_once (wait_for[me] < WATCH)
#endif
#ifdef MUTATE_REASSERT_OVER_OWNER
#define may_renew true
#else
#define may_renew (owner == me + 1 || (owner == 0 && machine[me] != ABSENT))
#endif

mtype:state = { LOOK, FOREIGN_CLAIM, BASIS, CLAIMING, CLAIMED, STANDS, PROMOTING, LATE_OWNER, HELD, RENEW_READ,
                RENEW_WRITE, RENEWING, YIELDED };
mtype:machine = { ABSENT, RUNNING, STOPPED };
mtype:write = { NONE, CLAIM, OLD_CLAIM, OWN };

/* Host data: the current slot. Owners are 1 to HOSTS, 0 is nobody; a claim names its host and its nonce. */
byte owner, claimant;
#ifdef MUTATE_NO_NONCE
#define name_of(i) (i + 1)
#define old_name_of(i) (i + 1)
#else
#define name_of(i) (i + 1 + 4 * attempts[i])
#define old_name_of(i) (i + 1 + 4 * (attempts[i] - 1))
#endif

mtype:state state[HOSTS];
mtype:machine machine[HOSTS];
mtype:write sent[HOSTS];
mtype:write late[HOSTS];
byte late_age[HOSTS];
byte try_age[HOSTS];     /* since the read that an attempt stands on */
byte wait_age[HOSTS];
byte wait_for[HOSTS];
byte lease_age[HOSTS];
byte watched[HOSTS];
byte attempts[HOSTS];
byte renewals[HOSTS];
byte running;

inline start_machine() {
    machine[me] = RUNNING;
    running++;
    assert(running <= 1)
}
inline end_machine(i) {
    if
    :: machine[i] == RUNNING -> running--
    :: else
    fi;
    machine[i] = ABSENT
}
inline land(i, what) {
    if
    :: what == CLAIM -> owner = 0; claimant = name_of(i)
    :: what == OLD_CLAIM -> owner = 0; claimant = old_name_of(i)
    :: what == OWN -> owner = i + 1; claimant = 0
    fi
}

#define attempting(i) (state[i] == BASIS || state[i] == CLAIMING || state[i] == STANDS || state[i] == PROMOTING || \
                       state[i] == RENEW_WRITE || state[i] == RENEWING)

#define guard_due(i) (machine[i] == RUNNING && lease_age[i] >= FENCE)

proctype Host(byte me) {
end:
    do
    /* attach: one read decides what is to be done. */
    :: atomic { state[me] == LOOK && attempts[me] < ATTEMPTS ->
        attempts[me]++; try_age[me] = 0;
        if
        :: late[me] == CLAIM -> late[me] = OLD_CLAIM
        :: late[me] == OLD_CLAIM -> late[me] = NONE /* ATTEMPTS is 2 at most */
        :: else
        fi;
        if
        :: owner != 0 -> state[me] = YIELDED
        :: owner == 0 && claimant == 0 -> state[me] = BASIS; wait_for[me] = CLAIM_WAIT
#ifdef MUTATE_MIXED_STEPS
        /* COMPARE AND WRITE by one host, while another one reads and writes. */
        :: owner == 0 && claimant == 0 && me == 0 ->
            owner = me + 1; lease_age[me] = 0; start_machine(); state[me] = HELD
#endif
        :: owner == 0 && claimant != 0 ->
#ifdef MUTATE_OVERWRITE_CLAIM
            state[me] = BASIS; wait_for[me] = CLAIM_WAIT
#else
            state[me] = FOREIGN_CLAIM; watched[me] = claimant; wait_age[me] = 0
#endif
        fi }
    /* Somebody else's claim: it is decided, or abandoned when it stands for WATCH. */
    :: atomic { state[me] == FOREIGN_CLAIM && wait_age[me] >= WATCH ->
        try_age[me] = 0;
        if
        :: owner == 0 && claimant == watched[me] -> state[me] = BASIS; wait_for[me] = ABANDONED_WAIT
        :: else -> state[me] = LOOK
        fi }
    :: atomic { state[me] == BASIS && try_age[me] < DEADLINE -> sent[me] = CLAIM; state[me] = CLAIMING }
    :: atomic { state[me] == CLAIMING && sent[me] == NONE ->
        wait_age[me] = 0; state[me] = CLAIMED;
        if
        :: try_age[me] > FRESH && wait_for[me] < STALE_WAIT -> wait_for[me] = STALE_WAIT
        :: else
        fi }
    :: atomic { state[me] == CLAIMED && wait_age[me] >= wait_for[me] ->
        try_age[me] = 0;
        if
        :: owner == 0 && claimant == name_of(me) -> state[me] = STANDS
        :: else -> state[me] = LOOK
        fi }
    :: atomic { state[me] == STANDS -> sent[me] = OWN; state[me] = PROMOTING }
    :: atomic { state[me] == PROMOTING && sent[me] == NONE ->
        if
        :: try_age[me] <= FRESH && at_once -> lease_age[me] = try_age[me]; start_machine(); state[me] = HELD
        :: else -> wait_age[me] = 0; state[me] = LATE_OWNER
        fi }
    :: atomic { state[me] == LATE_OWNER && wait_age[me] >= WATCH ->
        if
        :: owner == me + 1 -> lease_age[me] = 0; start_machine(); state[me] = HELD
        :: else -> state[me] = LOOK
        fi }

    /* The winner renews. */
    :: atomic { state[me] == HELD && renewals[me] < RENEWALS -> renewals[me]++; state[me] = RENEW_READ }
    :: atomic { state[me] == RENEW_READ ->
        try_age[me] = 0;
        if
        :: may_renew -> state[me] = RENEW_WRITE /* over a claim too: its record is asserted again */
        :: else -> end_machine(me); state[me] = YIELDED
        fi }
    :: atomic { state[me] == RENEW_WRITE -> sent[me] = OWN; state[me] = RENEWING }
    :: atomic { state[me] == RENEWING && sent[me] == NONE ->
        state[me] = HELD;
        if
        :: owner == me + 1 -> lease_age[me] = try_age[me]
        :: else
        fi }
    :: atomic { state[me] == HELD && machine[me] == RUNNING -> machine[me] = STOPPED; running-- }
    :: atomic { state[me] == HELD && machine[me] == STOPPED && lease_age[me] < FENCE -> start_machine() }

    /* The timer of an attempt: the process is gone, its connections are reset. */
    :: atomic { attempting(me) && try_age[me] >= DEADLINE ->
        if
        :: sent[me] != NONE && late[me] == NONE -> late[me] = sent[me]; late_age[me] = 0
        :: else
        fi;
        sent[me] = NONE;
        state[me] = (machine[me] == ABSENT -> LOOK : HELD) }

    /* What it sent arrives, or is lost with its connection. */
    :: atomic { sent[me] != NONE -> land(me, sent[me]); sent[me] = NONE }
    :: atomic { late[me] != NONE -> land(me, late[me]); late[me] = NONE }
    :: atomic { late[me] != NONE -> late[me] = NONE }
    /* The guard. */
    :: atomic { guard_due(me) -> end_machine(me) }
    od
}

#define in_time(i) (!guard_due(i) && !(attempting(i) && try_age[i] >= DEADLINE) && \
                    !(late[i] != NONE && late_age[i] >= NET))
#if HOSTS == 3
#define all_in_time (in_time(0) && in_time(1) && in_time(2))
#else
#define all_in_time (in_time(0) && in_time(1))
#endif
#define grow(age, limit) if :: age < limit -> age++ :: else fi

active proctype Time() {
    byte i;
end:
    do
    :: atomic { all_in_time ->
        d_step {
            i = 0;
            do
            :: i < HOSTS ->
                grow(try_age[i], DEADLINE); grow(wait_age[i], WATCH); grow(lease_age[i], FENCE); grow(late_age[i], NET);
                i++
            :: else -> break
            od;
            i = 0
        } }
    od
}

init {
    byte i = 0;
    atomic {
        do
        :: i < HOSTS ->
            state[i] = LOOK; machine[i] = ABSENT; sent[i] = NONE; late[i] = NONE;
            run Host(i);
            i++
        :: else -> break
        od;
        i = 0
    }
}
