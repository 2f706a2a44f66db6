/*
 * Suspend, resume and the warm move (docs/PROTOCOL.md, sections 6 and 7): two hosts, one image, host data with a write
 * that may be lost or late, monitors that are killed at any step, a host that dies and is taken over by the other.
 *
 * Properties:
 *   image_once   memory of an image runs at most once, and never over a disk that is newer than the image
 *   one_running  at most one host runs the guest
 *   zone_kept    when all has come to rest the guest runs, or its image is there and recorded, unless a host died
 */
#ifndef SUSPENDS
#define SUSPENDS 2
#endif
#ifndef MOVES
#define MOVES 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef UNKNOWN
#define UNKNOWN 2
#endif

mtype:machine = { ABSENT, PAUSED, RUNNING };
mtype:state = { INSTALLED, RUNS, SAVING, RECORDING, RECORD_UNKNOWN, LOADING, CONSUMING, CONSUME_UNKNOWN, MOVING,
                MOVE_UNKNOWN, ADOPTING, DEAD };

/* Host data; hosts are 0 and 1. */
byte owner;
bool recorded;        /* the suspend record is there */

bool image_complete;  /* the file, under its name */
bool image_fits;      /* the disk is as it was when the guest was stopped for it */
mtype:machine machine[2];
mtype:state state[2];
bool memory_complete[2];
bool killed[2], dead[2], a_host_died;
byte suspends, moves, faults, unknowns;

bool sent[2], landed[2], sent_recorded[2];
byte sent_owner[2];
bool late, late_recorded;
byte late_of, late_owner;

#define one_running (!(machine[0] == RUNNING && machine[1] == RUNNING))
#define image_once image_fits
#ifdef MUTATE_WRITE_EARLY
#define may_write true
#else
#define may_write (!late || late_of != me)
#endif

inline give_up(me) {
    if
    :: sent[me] && !late -> late = true; late_of = me; late_owner = sent_owner[me]; late_recorded = sent_recorded[me]
    :: else
    fi;
    sent[me] = false; landed[me] = false
}
inline write(new_owner, new_recorded, bad) {
    atomic { sent_owner[me] = new_owner; sent_recorded[me] = new_recorded; landed[me] = false; sent[me] = true }
    if
    :: atomic { landed[me] -> landed[me] = false; bad = false }
    :: atomic { sent[me] && unknowns < UNKNOWN && !late -> unknowns++; give_up(me); bad = true }
    fi
}
inline run_guest() {
    machine[me] = RUNNING; state[me] = RUNS;
    assert(one_running);
    image_fits = false
}

proctype Host(byte me) {
    bool bad;
    {
end:    do
        :: atomic { machine[me] == RUNNING && suspends < SUSPENDS -> suspends++; state[me] = SAVING; machine[me] = PAUSED;
                    image_fits = true }
            if
#ifdef MUTATE_RECORD_FIRST
            :: skip
#else
            :: image_complete = true
#endif
            :: machine[me] == PAUSED -> goto go_on /* the image could not be written */
            fi;
record:     state[me] = RECORDING;
            may_write;
            write(me, true, bad);
            if
            :: bad -> state[me] = RECORD_UNKNOWN;
#ifdef MUTATE_GO_ON_UNREAD
                goto go_on
#else
                may_write;
                if
                :: atomic { recorded -> skip }
                :: atomic { !recorded -> goto go_on }
                fi
#endif
            :: else
            fi;
#ifdef MUTATE_RECORD_FIRST
            image_complete = true;
#endif
            atomic { machine[me] = ABSENT; state[me] = INSTALLED }
        /* boot */
        :: atomic { state[me] == INSTALLED && owner == me && recorded && image_complete && machine[me] == ABSENT ->
                    machine[me] = PAUSED; memory_complete[me] = false; state[me] = LOADING }
            memory_complete[me] = true;
#ifdef MUTATE_DISCARD_FIRST
            image_complete = false;
#endif
#ifdef MUTATE_RESUME_FIRST
            atomic { assert(image_once); run_guest() }
#endif
consume:    state[me] = CONSUMING;
            may_write;
            write(me, false, bad);
            if
            :: bad -> state[me] = CONSUME_UNKNOWN;
#ifdef MUTATE_DROP_UNREAD
                atomic { machine[me] = ABSENT; state[me] = INSTALLED; goto end }
#else
                goto consume
#endif
            :: else
            fi;
#ifndef MUTATE_RESUME_FIRST
            atomic { assert(image_once); run_guest() }
#endif
            image_complete = false
        /* migrate -t warm: the other host has checked that it can read the image. */
        :: atomic { state[me] == INSTALLED && owner == me && recorded && machine[me] == ABSENT && moves < MOVES ->
                    moves++; state[me] = MOVING }
            may_write;
            write(1 - me, true, bad);
            if
            :: bad -> state[me] = MOVE_UNKNOWN; may_write /* then host data say whose it is */
            :: else
            fi;
            state[me] = INSTALLED
        /* attach -x force-takeover: the lease has seen to it that nothing of the dead host lands any more. */
        :: atomic { state[me] == INSTALLED && owner == 1 - me && dead[1 - me] && !late && !sent[1 - me] -> owner = me }
        od;
go_on:  image_complete = false;
        atomic { run_guest(); goto end }
adopt:  state[me] = ADOPTING;
        may_write;
        if
        :: atomic { machine[me] == ABSENT -> state[me] = INSTALLED; goto end }
        :: atomic { machine[me] != ABSENT && (recorded || owner != me) -> machine[me] = ABSENT; state[me] = INSTALLED;
                    goto end }
        :: atomic { machine[me] == RUNNING && !recorded && owner == me -> state[me] = RUNS; goto end }
        :: atomic { machine[me] == PAUSED && !recorded && owner == me -> assert(memory_complete[me]) }
            image_complete = false;
            atomic { run_guest(); goto end }
        fi
    } unless {
        if
        :: atomic { dead[me] -> give_up(me); machine[me] = ABSENT; state[me] = DEAD }
        :: atomic { killed[me] -> killed[me] = false; give_up(me); goto adopt }
        fi
    }
}

proctype Storage() {
    byte i;
end:
    do
    :: atomic { sent[0] -> owner = sent_owner[0]; recorded = sent_recorded[0]; sent[0] = false; landed[0] = true }
    :: atomic { sent[1] -> owner = sent_owner[1]; recorded = sent_recorded[1]; sent[1] = false; landed[1] = true }
    :: atomic { late -> late = false; owner = late_owner; recorded = late_recorded }
    :: atomic { late -> late = false }
    od
}

proctype Faults() {
end:
    do
    :: atomic { faults < FAULTS -> faults++; killed[0] = true }
    :: atomic { faults < FAULTS -> faults++; killed[1] = true }
    :: atomic { faults < FAULTS && !a_host_died -> faults++; dead[0] = true; a_host_died = true }
    od
}

#define kept (machine[0] == RUNNING || machine[1] == RUNNING || (recorded && image_complete) || a_host_died)

proctype Judge() {
end:
    timeout -> assert(kept) /* zone_kept */
}

init {
    atomic {
        machine[0] = RUNNING; machine[1] = ABSENT;
        memory_complete[0] = true;
        state[0] = RUNS; state[1] = INSTALLED;
        run Host(0); run Host(1); run Storage(); run Faults(); run Judge()
    }
}
