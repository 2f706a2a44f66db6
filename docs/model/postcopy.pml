/*
 * Post-copy (docs/PROTOCOL.md, section 3): the zone is at S, its guest stopped; its devices are loaded at D, and PAGES of
 * its memory are at S alone. What the hand-over does before and how its writes may go wrong is in handover.pml; here a
 * write of host data is one step.
 *
 * FAULTS bounds what goes wrong: the connection breaks (and may be had again, or not), a monitor is killed (its guard
 * starts another), a machine ends, a host dies.
 *
 * Properties:
 *   one_running    at most one host runs the guest
 *   never_back     once the commit is made, S does not run the guest
 *   pages_kept     S ends its machine only when D has every page, wants none any more, or the switch was undone
 *   whole          D says that it has everything only when it has
 *   comes_to_rest  in the end the guest runs at one host with all its memory, or D has said that it boots afresh, and no
 *                  machine waits for what will not come; unless a host is dead
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef PAGES
#define PAGES 2
#endif

mtype:machine = { ABSENT, PAUSED, RUNNING };
mtype:phase = { MEMORY, POST_COPY, NO_HANDOVER };
mtype:source = { SWITCHED, SERVING, RECONNECTING, ENDED, TAKEN_BACK };
mtype:arrival = { READY, WITHOUT_MEMORY, WAITING, WHOLE, HALTED };

#define S 1
#define D 2

/* Host data. */
byte owner = S;
mtype:phase phase = MEMORY;

mtype:machine machine_s = PAUSED, machine_d = PAUSED;
mtype:source source = SWITCHED;
mtype:arrival arrival = READY;
byte missing = PAGES;
bool link = true;      /* the hosts can reach each other */
bool carried = true;   /* the connection of the two machines; QEMU at S has not seen it break */
bool mended = true;    /* the link comes again */
bool told_lost;        /* S has said that the memory is lost */
bool killed_s, killed_d, dead_s, dead_d;
byte faults;

#define running(m) (m == RUNNING)
#define one_running (running(machine_s) + running(machine_d) <= 1)
#define never_back (owner == S || machine_s != RUNNING)
#define wanted (owner == D && phase == POST_COPY)
#define pages_kept (missing == 0 || !wanted || dead_s)

inline end_source() {
    assert(pages_kept);
    machine_s = ABSENT; source = ENDED; carried = false
}

proctype Source() {
    {
        /* Before the commit the guest can be taken back, as long as QEMU has not seen the connection break: the pump
           keeps that from it. */
        if
        :: atomic { carried && arrival == READY && machine_s == PAUSED ->
                    owner = D; phase = POST_COPY; source = SERVING }
        :: atomic { !carried -> goto take_back }
        fi;
#ifdef MUTATE_END_AT_COMMIT
        atomic { end_source(); goto done }
#endif
end_serve:
        do
        :: atomic { source == SERVING && missing == 0 && machine_s == PAUSED -> end_source(); goto done }
        :: atomic { source == SERVING && !carried && machine_s == PAUSED -> source = RECONNECTING;
#ifdef MUTATE_GOES_ON_AFTER_BREAK
                    machine_s = RUNNING; assert(one_running && never_back);
#endif
                  }
        :: atomic { source == RECONNECTING && link && machine_s == PAUSED && arrival == WAITING ->
                    source = SERVING; carried = true }
#ifndef MUTATE_DISK_UNREAD
        :: atomic { source == RECONNECTING && !wanted -> end_source(); goto done }
#endif
        :: atomic { machine_s == ABSENT && link && wanted -> told_lost = true; source = ENDED; goto done }
        :: atomic { machine_s == ABSENT && !wanted -> source = ENDED; goto done }
        od;
take_back:
        phase = NO_HANDOVER; /* D sees that, or is told */
        atomic {
            if
            :: machine_s == PAUSED -> machine_s = RUNNING; assert(one_running); source = TAKEN_BACK
            :: machine_s == ABSENT -> source = ENDED
            fi
        }
        goto done;
adopt:  atomic {
            if
            :: owner == S && source == SWITCHED -> /* QEMU has seen its connection break */
               machine_s = ABSENT; phase = NO_HANDOVER; source = ENDED; carried = false; goto done
#ifdef MUTATE_ADOPT_ENDS
            :: owner == D && source != ENDED -> end_source(); goto done
#else
            :: owner == D && source != ENDED -> carried = false; source = RECONNECTING; goto end_serve
#endif
            :: else -> goto done
            fi
        }
done:   skip
    } unless {
        if
        :: atomic { dead_s -> machine_s = ABSENT; carried = false; link = false; mended = false }
        :: atomic { killed_s -> killed_s = false; goto adopt }
        fi
    }
}

proctype Destination() {
    {
        skip;
wait:   if
#ifdef MUTATE_RESUME_UNREAD
        :: atomic { arrival == READY && machine_d == PAUSED -> goto resume }
#endif
        :: atomic { arrival == READY && owner == D && machine_d == PAUSED -> goto resume }
        :: atomic { arrival == READY && phase == NO_HANDOVER -> goto cancel }
        :: atomic { arrival == READY && !link && !mended && owner == S -> goto cancel }
        :: atomic { machine_d == ABSENT -> goto cancel }
        fi;
resume: atomic { machine_d = RUNNING; assert(one_running); arrival = WITHOUT_MEMORY;
#ifdef MUTATE_HANDOVER_REMOVED_EARLY
                 phase = NO_HANDOVER
#endif
               }
memory: do
        :: atomic { arrival == WITHOUT_MEMORY && carried && missing > 0 && machine_d == RUNNING -> missing-- }
        :: atomic { missing == 0 && machine_d == RUNNING -> goto whole }
        :: atomic { arrival == WITHOUT_MEMORY && !carried && missing > 0 -> arrival = WAITING }
        :: atomic { arrival == WAITING && carried -> arrival = WITHOUT_MEMORY }
#ifdef MUTATE_BREAK_IS_THE_END
        :: atomic { arrival == WAITING -> goto whole }
#endif
        :: atomic { told_lost -> goto halt }
#ifndef MUTATE_WAITS_FOR_EVER
        :: atomic { arrival == WAITING && !link && !mended -> goto halt } /* post-copy.wait, or the administrator */
#endif
        :: atomic { machine_d == ABSENT -> goto halt }
        od;
whole:  atomic { assert(missing == 0); arrival = WHOLE; phase = NO_HANDOVER; goto done }
halt:   atomic { machine_d = ABSENT; carried = false; arrival = HALTED; phase = NO_HANDOVER; goto done }
cancel: atomic { machine_d = ABSENT; carried = false; arrival = HALTED;
            if
            :: owner == D -> phase = NO_HANDOVER
            :: else
            fi;
            goto done }
adopt:  atomic { carried = false;
            if
            :: arrival == READY -> goto wait
            :: (arrival == WITHOUT_MEMORY || arrival == WAITING) && missing == 0 && machine_d == RUNNING -> goto whole
            :: (arrival == WITHOUT_MEMORY || arrival == WAITING) && (missing > 0 || machine_d == ABSENT) ->
               arrival = WAITING; goto memory
            :: else -> goto done
            fi }
done:   skip
    } unless {
        if
        :: atomic { dead_d -> machine_d = ABSENT; carried = false; link = false; mended = false }
        :: atomic { killed_d -> killed_d = false; goto adopt }
        fi
    }
}

proctype Faults() {
end:
    do
    :: atomic { faults < FAULTS && link -> faults++; link = false; carried = false }
    :: atomic { !link && mended -> link = true }
    :: atomic { !link && mended -> mended = false }
    :: atomic { faults < FAULTS && source != ENDED && source != TAKEN_BACK -> faults++; killed_s = true }
    :: atomic { faults < FAULTS && arrival != HALTED && arrival != WHOLE -> faults++; killed_d = true }
    :: atomic { faults < FAULTS && machine_s == PAUSED -> faults++; machine_s = ABSENT; carried = false }
    :: atomic { faults < FAULTS && machine_d != ABSENT -> faults++; machine_d = ABSENT; carried = false }
    :: atomic { faults < FAULTS && !dead_s -> faults++; dead_s = true }
    :: atomic { faults < FAULTS && !dead_d -> faults++; dead_d = true }
    od
}

#define runs_whole (owner == D && running(machine_d) && missing == 0 && machine_s == ABSENT)
#define runs_back (owner == S && running(machine_s) && machine_d == ABSENT)
#define boots_afresh (phase == NO_HANDOVER && machine_s == ABSENT && machine_d == ABSENT)
#define comes_to_rest (runs_whole || runs_back || boots_afresh || dead_s || dead_d)

proctype Judge() {
end:
    timeout -> assert(comes_to_rest)
}

init {
    atomic { run Source(); run Destination(); run Faults(); run Judge() }
}
