/*
 * The live hand-over (docs/PROTOCOL.md, section 3): source S, destination D, a third host T that may take the zone
 * over by force, the connection of kz-radd, and host data with its two slots.
 *
 * Every step may be late. FAULTS bounds what goes wrong: the connection is cut, a monitor is killed (its guard starts
 * another), a host dies, the stream of memory breaks, a write's outcome stays unknown and the write may land at any
 * later time, the administrator cancels. UNKNOWN bounds the writes among those.
 *
 * The lease is modelled in lease.pml; here it is used: T settles only when no other guest runs any more and no attempt
 * of before its claim is under way.
 *
 * Properties:
 *   one_running   at most one host runs the guest
 *   never_back    once the commit is known to either side, host data never name S again
 *   zone_kept     when all has come to rest, the guest runs on the host that host data name, unless that host is dead
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef UNKNOWN
#define UNKNOWN 1
#endif

mtype:machine = { ABSENT, PAUSED, RUNNING };
mtype:call = { NONE, BOOT, LOADED, RESUME, CANCEL };
mtype:answer = { NOTHING, OK, REFUSED };
mtype:source = { PREPARING, ANNOUNCING, MEMORY, SUSPENDED, COMMITTING, COMMIT_UNKNOWN, COMMITTED, ROLLING_BACK, ADOPTING,
                 RUNS_HERE, DETACHED, UNAVAILABLE };
mtype:destination = { CONFIGURED, ARRIVING, LOADED_ALL, WATCHING, RESUMING, ADOPTING_ARRIVAL, RUNS_THERE, CANCELLED };

#define S 1
#define D 2
#define T 3

byte slot_generation[2];
byte slot_owner[2];
bool slot_handover[2];
#define current (slot_generation[1] > slot_generation[0])
#define current_owner slot_owner[current]
#define current_generation slot_generation[current]
#define current_handover slot_handover[current]

mtype:machine machine_s = RUNNING, machine_d = ABSENT, machine_t = ABSENT;
mtype:source source = PREPARING;
mtype:destination destination = CONFIGURED;

bool connected = true;
mtype:call request = NONE;
mtype:answer answer = NOTHING;
bool stream_complete, stream_broken;
bool killed_s, killed_d, dead_s, dead_d;
bool committed, claimed;
byte faults, unknowns;

/* A write on its way: of S or of D; and one that was given up but may still land. */
bool sent[3], landed[3];
byte sent_slot[3], sent_generation[3], sent_owner[3];
bool sent_handover[3];
bool late;
byte late_of, late_slot, late_generation, late_owner;
bool late_handover;
bool attempting[3]; /* from the read to what follows from the write: bounded, as lease.pml shows */
bool failed;

#define running(m) (m == RUNNING)
#define one_running (running(machine_s) + running(machine_d) + running(machine_t) <= 1)
#define never_back (!committed || current_owner != S)

/* After a write of unknown outcome its host begins no other until that one cannot land any more (LATE_TIME). */
#ifdef MUTATE_WRITE_EARLY
#define may_write(me) true
#else
#define may_write(me) (!late || late_of != me)
#endif
#define may_commit (source == SUSPENDED || source == COMMITTING || source == COMMIT_UNKNOWN || source == COMMITTED || \
                    source == ADOPTING || source == ROLLING_BACK)
#ifdef MUTATE_SHORT_WATCH
#define watch_may_end true
#else
#define watch_may_end (!late && !sent[S - 1] && (dead_s || !may_commit))
#endif

inline put(where, generation, owner, handover) {
    slot_generation[where] = generation;
    slot_owner[where] = owner;
    slot_handover[where] = handover;
    assert(never_back)
}

/* A write of `me` over the current slot as it was read in the step before. bad: not known whether it landed. */
inline write(me, base, owner, handover, bad) {
    atomic {
        sent_slot[me] = (base + 1) % 2; sent_generation[me] = base + 1; sent_owner[me] = owner;
        sent_handover[me] = handover; landed[me] = false; sent[me] = true
    }
    if
    :: atomic { landed[me] -> landed[me] = false; bad = false }
    :: atomic { sent[me] && unknowns < UNKNOWN && !late -> unknowns++; give_up(me); bad = true }
    fi
}
inline give_up(me) {
    if
    :: sent[me] && !late ->
        late = true; late_of = me; late_slot = sent_slot[me]; late_generation = sent_generation[me]; late_owner = sent_owner[me];
        late_handover = sent_handover[me]
    :: else
    fi;
    sent[me] = false; landed[me] = false; attempting[me] = false
}
inline ask(step) {
    atomic { request = (connected -> step : NONE); answer = NOTHING }
    if
    :: atomic { answer == OK -> answer = NOTHING; failed = false }
    :: atomic { answer == REFUSED -> answer = NOTHING; failed = true }
    :: atomic { !connected -> request = NONE; failed = true }
    fi
}

proctype Source() {
    byte base;
    bool bad;
    {
        ask(BOOT);
        if
        :: failed -> goto roll_back_unannounced
        :: else
        fi;
        source = ANNOUNCING;
        atomic { may_write(S - 1); base = current_generation; attempting[S - 1] = (current_owner == S) }
        if
        :: !attempting[S - 1] -> goto lost
        :: else
        fi;
        write(S - 1, base, S, true, bad);
        if
        :: bad -> goto roll_back
        :: else -> atomic { source = MEMORY; attempting[S - 1] = false }
        fi;
        if
        :: machine_s = PAUSED /* the last pages are sent */
        :: atomic { faults < FAULTS -> faults++ } goto roll_back /* broken, or cancelled */
        fi;
        atomic { source = SUSPENDED; stream_complete = !stream_broken }
        if
        :: stream_broken -> goto roll_back
        :: else
        fi;
        ask(LOADED);
        if
        :: failed -> goto roll_back
        :: else
        fi;
commit: source = COMMITTING;
        atomic {
            may_write(S - 1); base = current_generation; attempting[S - 1] = (current_owner == S && current_handover)
        }
        if
        :: !attempting[S - 1] -> goto lost
        :: else
        fi;
        write(S - 1, base, D, true, bad);
        if
        :: !bad -> goto is_committed
        :: else -> source = COMMIT_UNKNOWN
        fi;
settle: atomic {
            if
            :: current_owner == D -> goto is_committed
            :: current_owner == S -> goto roll_back
            :: else -> goto lost
            fi
        }
is_committed:
        atomic { source = COMMITTED; attempting[S - 1] = false; committed = true; assert(never_back) }
        ask(RESUME);
#ifdef MUTATE_COMMIT_FORGOTTEN
        if
        :: failed -> source = ROLLING_BACK; base = current_generation; write(S - 1, base, S, false, bad)
        :: else
        fi;
#endif
detach: atomic { machine_s = ABSENT; source = DETACHED }
        goto done;
roll_back:
        source = ROLLING_BACK;
        atomic {
            may_write(S - 1); base = current_generation; attempting[S - 1] = (current_owner == S);
            if
            :: current_owner == D -> goto is_committed
            :: current_owner == T -> goto lost
            :: else
            fi
        }
#ifndef MUTATE_ROLLBACK_UNWRITTEN
        write(S - 1, base, S, false, bad);
        if
        :: bad -> goto roll_back
        :: else
        fi;
        if
        :: atomic { current_owner != S -> goto roll_back }
        :: else
        fi;
#else
        attempting[S - 1] = false;
#endif
roll_back_unannounced:
        atomic { machine_s = RUNNING; assert(one_running); source = RUNS_HERE; attempting[S - 1] = false }
        ask(CANCEL);
        goto done;
adopt:  atomic {
            source = ADOPTING;
            if
            :: current_owner == S -> goto roll_back
            :: current_owner == D -> goto detach
            :: else -> goto lost
            fi
        }
lost:   atomic { attempting[S - 1] = false; machine_s = ABSENT; source = UNAVAILABLE }
done:   connected = false;
        /* A guest that runs renews; it ends when another host owns the zone. */
end:    atomic { machine_s == RUNNING && current_owner != S -> machine_s = ABSENT; source = UNAVAILABLE }
    } unless {
        if
        :: atomic { dead_s -> give_up(S - 1); machine_s = ABSENT; connected = false }
        :: atomic { killed_s -> killed_s = false; give_up(S - 1); connected = false; goto adopt }
        fi
    }
}

proctype Destination() {
    byte base;
    bool bad;
    {
wait:   do
        :: atomic { request == BOOT -> request = NONE; machine_d = PAUSED; destination = ARRIVING; answer = OK }
        :: atomic { request == LOADED && machine_d == PAUSED && stream_complete ->
                    request = NONE; destination = LOADED_ALL; answer = OK }
        :: atomic { request == RESUME -> request = NONE;
                    if
                    :: current_owner == D && destination == LOADED_ALL -> goto resume
                    :: else -> answer = REFUSED
                    fi }
        :: atomic { request == CANCEL -> request = NONE; answer = OK; goto cancel }
        :: atomic { !connected ->
                    if
                    :: destination == LOADED_ALL -> destination = WATCHING
                    :: destination != LOADED_ALL && destination != WATCHING -> goto cancel
                    :: else
                    fi }
        :: atomic { destination == WATCHING && current_owner == D -> goto resume }
        :: atomic { destination == WATCHING && (current_owner == T || !current_handover) -> goto cancel }
        /* The watch is longer than a commit takes, late or by a second monitor: see WATCH in PROTOCOL.md. */
        :: atomic { destination == WATCHING && watch_may_end && current_owner == S -> goto cancel }
        od;
resume: destination = RESUMING;
        atomic { may_write(D - 1); base = current_generation; attempting[D - 1] = (current_owner == D) }
#ifndef MUTATE_RESUME_UNREAD
        if
        :: !attempting[D - 1] -> goto cancel
        :: else
        fi;
#endif
        write(D - 1, base, D, false, bad);
        if
        :: atomic { bad || current_owner != D -> goto resume }
        :: else
        fi;
        atomic { machine_d = RUNNING; committed = true; assert(one_running); destination = RUNS_THERE; answer = OK;
                 attempting[D - 1] = false; request = NONE }
        goto done;
adopt:  atomic { destination = ADOPTING_ARRIVAL;
            if
            :: machine_d == PAUSED && current_owner == D && stream_complete -> goto resume
#ifndef MUTATE_ADOPT_GIVES_UP
            :: machine_d == PAUSED && current_owner == S && current_handover && stream_complete ->
                destination = WATCHING; goto wait
#endif
            :: machine_d == RUNNING && current_owner == D -> destination = RUNS_THERE; goto done
            :: else -> goto cancel
            fi }
cancel: atomic { attempting[D - 1] = false; machine_d = ABSENT; destination = CANCELLED; answer = REFUSED }
        /* What is still asked is refused. */
end_cancelled:
        do
        :: atomic { request != NONE -> request = NONE; answer = REFUSED }
        od;
done:   skip;
end:    do
        :: atomic { machine_d == RUNNING && current_owner != D -> machine_d = ABSENT }
        :: atomic { request != NONE -> request = NONE; answer = (machine_d == RUNNING -> OK : REFUSED) }
        od
    } unless {
        if
        :: atomic { dead_d -> give_up(D - 1); machine_d = ABSENT; connected = false }
        :: atomic { killed_d -> killed_d = false; give_up(D - 1); stream_broken = !stream_complete; answer = REFUSED;
                    goto adopt }
        fi
    }
}

/* attach -x force-takeover on a third host. */
proctype Taker() {
    byte base;
    bool alone;
end:
    atomic { !running(machine_s) && !running(machine_d) && faults > 0 -> base = current_generation; alone = true }
    if
    :: atomic { current_generation == base -> claimed = true; put((base + 1) % 2, base + 1, T, false); put(base % 2, base + 2, T, false) }
    :: atomic { current_generation != base -> alone = false }
    fi;
end_settling:
    atomic { alone && !running(machine_s) && !running(machine_d) && !attempting[S - 1] && !attempting[D - 1] && !late ->
        if
        :: current_owner == T -> machine_t = RUNNING; assert(one_running)
        :: else
        fi }
}

proctype Storage() {
end:
    do
    :: atomic { sent[S - 1] -> put(sent_slot[S - 1], sent_generation[S - 1], sent_owner[S - 1], sent_handover[S - 1]);
                sent[S - 1] = false; landed[S - 1] = true }
    :: atomic { sent[D - 1] -> put(sent_slot[D - 1], sent_generation[D - 1], sent_owner[D - 1], sent_handover[D - 1]);
                sent[D - 1] = false; landed[D - 1] = true }
    :: atomic { late -> late = false; put(late_slot, late_generation, late_owner, late_handover) }
    :: atomic { late -> late = false }
    od
}

proctype Faults() {
end:
    do
    :: atomic { faults < FAULTS && connected -> faults++; connected = false; request = NONE }
    :: atomic { faults < FAULTS && source != DETACHED && source != UNAVAILABLE -> faults++; killed_s = true }
    :: atomic { faults < FAULTS && machine_d != ABSENT -> faults++; killed_d = true }
    :: atomic { faults < FAULTS && !dead_s -> faults++; dead_s = true }
    :: atomic { faults < FAULTS && !dead_d -> faults++; dead_d = true }
    od
}

#define rests_well ((current_owner == S && (machine_s == RUNNING || dead_s)) || \
                    (current_owner == D && (machine_d == RUNNING || dead_d)) || \
                    claimed) /* a takeover by force in the midst of it costs the memory, never the disk */

proctype Judge() {
end:
    timeout -> assert(rests_well) /* zone_kept */
}

init {
    atomic {
        slot_generation[0] = 2; slot_owner[0] = S;
        slot_generation[1] = 1; slot_owner[1] = S;
        /* A renewal of before may still be on its way. */
        if
        :: late = true; late_slot = 1; late_generation = 3; late_owner = S; unknowns = UNKNOWN; late_of = S - 1
        :: skip
        fi;
        run Source(); run Destination(); run Taker(); run Storage(); run Faults(); run Judge()
    }
}
