/*
 * The lease, the guard and the takeover by force (docs/PROTOCOL.md, sections 4 and 5).
 *
 * Host A owns the zone; host B takes it over. Storage that stalls, a monitor that is stopped for any time
 * (every step may take any number of ticks) or killed, a message or write that is late, lost or unknown: all
 * of it is in the interleavings. Time goes in ticks, which stand for the settings' order alone:
 * PAUSE < FENCE, DEADLINE <= FENCE and FENCE + NET < WATCH.
 *
 * Properties (assertions, named by the macro that checks them):
 *   one_running     never do the guests of both hosts run
 *   no_stray_write  no write of A's guest reaches the disk while B's guest runs
 *   owner_stands    while B's guest runs, host data names B
 *
 * Sizes: RENEWALS attempts of A to renew, CLAIMS of B, CRASHES of A's monitor.
 * Assumption, without which no lease works: the guard acts on time by A's clock. HOST_STOP drops it.
 */
#ifndef RENEWALS
#define RENEWALS 4
#endif
#ifndef CLAIMS
#define CLAIMS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#ifndef DEADLINE
#define DEADLINE 1
#endif
#define PAUSE 1
#define FENCE 2
#define NET 1
#ifdef MUTATE_SHORT_WATCH
#define WATCH 2
#else
#define WATCH 4
#endif

#ifdef MUTATE_NO_SETTLE
#define SETTLE 0
#else
#define SETTLE WATCH
#endif

#define A 1
#define B 2

/* The machine of A. */
mtype:machine = { ABSENT, RUNNING, STOPPED };
/* The monitor of A. */
mtype:monitor = { HELD, RENEW_READ, RENEW_WRITE, RENEW_WAIT, RENEW_VERIFY, STOPPING, STOP_TOLD, GO_ARMED,
                  ENDED, KILLED };
/* The taker. */
mtype:taker = { IDLE, WATCHING, BASIS, CLAIMED_ONCE, SETTLING, TAKEN };
/* A write on its way. */
mtype:flight = { NONE, SENT, LANDED, LATE };

/* Host data: two slots. */
byte slot_generation[2];
byte slot_owner[2];
#define current (slot_generation[1] > slot_generation[0])
#define current_owner slot_owner[current]
#define current_generation slot_generation[current]

mtype:machine machine = RUNNING;
mtype:monitor monitor = HELD;
mtype:taker taker = IDLE;

byte lease_age;     /* since the last renewal was begun, as the monitor counts */
byte try_age;       /* since this attempt was begun: the read that it stands on */
byte seen;          /* the generation that the monitor saw last */
byte tried;         /* the generation that it writes */
byte guard_age;     /* as the guard counts */
bool guard_quiet;   /* the guard was told that nothing can leave the machine */
byte renewals, claims, crashes;

mtype:flight flight = NONE;   /* of the attempt under way */
byte flight_slot;
mtype:flight late = NONE;     /* of an attempt that was given up: the connection was reset */
byte late_slot, late_generation, late_age;
mtype:flight guest_write = NONE;
byte guest_write_age;

byte basis;         /* generation on which the taker stands */
byte watch_age, basis_age;

#ifdef HOST_STOP
bool host_stopped;
#define host_runs (!host_stopped)
#else
#define host_runs true
#endif
#ifdef STORAGE_FENCES
bool fenced;        /* the storage refuses host A (a persistent reservation that B has taken) */
#define one_running true /* storage cannot hold a processor, but what it writes */
#else
#define fenced false
#define one_running (!(machine == RUNNING && taker == TAKEN))
#endif
#define no_stray_write (taker != TAKEN || fenced)
#define owner_stands (taker != TAKEN || current_owner == B)

inline put(where, generation, owner) {
    if
    :: fenced && owner == A
    :: else ->
        slot_generation[where] = generation;
        slot_owner[where] = owner;
        assert(owner_stands)
    fi
}

/* What a machine that ends abruptly leaves on the wire. */
inline end_machine() {
    machine = ABSENT;
    if
    :: guest_write == SENT ->
#ifdef MUTATE_NO_LINGER
        guest_write = LATE; guest_write_age = 0; /* the kernel goes on sending what was buffered */
#else
        if
        :: guest_write = NONE
        :: guest_write = LATE; guest_write_age = 0
        fi
#endif
    :: else
    fi
}

/* The attempt is given up; its connection is reset, what has left the host may still arrive. */
inline give_up() {
    if
    :: flight == SENT && late == NONE -> late = LATE; late_slot = flight_slot; late_generation = tried; late_age = 0
    :: else
    fi;
    flight = NONE
}

active proctype Monitor() {
end:
    do
    :: atomic { host_runs && monitor == HELD && renewals < RENEWALS && (taker != TAKEN || machine != ABSENT) ->
        renewals++; try_age = 0; monitor = RENEW_READ }

    /* Reads may stall (nothing happens), and deadlines end the attempt at any step. */
    :: atomic { host_runs && monitor == RENEW_READ ->
        if
        :: current_owner == A -> seen = current_generation; monitor = RENEW_WRITE
        :: else -> end_machine(); monitor = ENDED /* state unavailable: another host owns the zone */
        fi }
    :: atomic { host_runs && monitor == RENEW_WRITE ->
        /* Between the read and this any time up to DEADLINE may have passed. */
        tried = seen + 1; flight_slot = tried % 2; flight = SENT; monitor = RENEW_WAIT }
    :: atomic { host_runs && monitor == RENEW_WAIT && flight == LANDED -> flight = NONE; monitor = RENEW_VERIFY }
    :: atomic { host_runs && (monitor == RENEW_READ || monitor == RENEW_WRITE || monitor == RENEW_WAIT ||
                monitor == RENEW_VERIFY) && try_age >= DEADLINE -> give_up(); monitor = HELD }
    :: atomic { host_runs && monitor == RENEW_VERIFY ->
        if
        :: current_owner == A && current_generation == tried ->
#ifdef MUTATE_RENEWED_AT_END
            lease_age = 0; guard_age = 0;
#else
            lease_age = try_age; guard_age = try_age;
#endif
            monitor = HELD
        :: else -> monitor = HELD
        fi }

    /* PAUSE: QMP stop returns when nothing is in flight any more. */
    :: atomic { host_runs && monitor == HELD && machine == RUNNING && lease_age >= PAUSE -> monitor = STOPPING
#ifdef MUTATE_QUIET_EARLY
        ; guard_quiet = true
#endif
        }
    :: atomic { host_runs && monitor == STOPPING && machine == RUNNING && guest_write == NONE ->
        machine = STOPPED; monitor = STOP_TOLD }
    :: atomic { host_runs && monitor == STOPPING && machine == ABSENT -> monitor = HELD }
    :: atomic { host_runs && monitor == STOP_TOLD -> guard_quiet = (machine == STOPPED); monitor = HELD }

    /* On again, or a boot: the guard first, then the guest. */
    :: atomic { host_runs && monitor == HELD && machine != RUNNING && lease_age < FENCE -> monitor = GO_ARMED;
#ifndef MUTATE_GO_UNARMED
        guard_quiet = false; guard_age = lease_age
#endif
        }
    :: atomic { host_runs && monitor == GO_ARMED ->
        /* A machine that the guard has ended meanwhile does not go on. */
        if
        :: machine == STOPPED || lease_age < FENCE -> machine = RUNNING; assert(one_running)
        :: else
        fi;
        monitor = HELD }

    /* Killed: the guard starts another one, which reads before anything else (zoneadmd --adopt). */
    :: atomic { host_runs && monitor != KILLED && monitor != ENDED && crashes < CRASHES ->
        crashes++; give_up(); monitor = KILLED }
    :: atomic { host_runs && monitor == KILLED -> lease_age = (machine == ABSENT -> FENCE : guard_age); monitor = HELD }
    od
}

#ifndef MUTATE_NO_GUARD
#define guard_due (guard_age >= FENCE && !guard_quiet && machine != ABSENT)
active proctype Guard() {
end:
    do
    :: atomic { host_runs && guard_due -> end_machine() }
    od
}
#else
#define guard_due false
#endif

/* What the wire and the storage do with what was sent. */
active proctype Storage() {
end:
    do
    :: atomic { flight == SENT -> put(flight_slot, tried, A); flight = LANDED }
    :: atomic { late == LATE -> put(late_slot, late_generation, A); late = NONE }
    :: atomic { late == LATE -> late = NONE }
    :: atomic { guest_write == SENT -> guest_write = NONE; assert(no_stray_write) }
    :: atomic { guest_write == LATE -> guest_write = NONE; assert(no_stray_write) }
    od
}

active proctype Guest() {
end:
    do
    :: atomic { host_runs && machine == RUNNING && guest_write == NONE && taker != IDLE -> guest_write = SENT }
    od
}

/* attach -x force-takeover, then boot. */
active proctype Taker() {
end:
    do
    :: atomic { taker == IDLE && claims < CLAIMS && current_owner == A ->
        claims++; basis = current_generation; watch_age = 0; taker = WATCHING }
    :: atomic { taker == WATCHING && watch_age >= WATCH ->
        if
        :: current_generation == basis && current_owner == A -> basis_age = 0; taker = BASIS
        :: else -> taker = IDLE /* it is alive: refused */
        fi }
    /* Killed by the timer of an attempt. */
    :: atomic { (taker == BASIS || taker == CLAIMED_ONCE) && basis_age >= DEADLINE -> taker = IDLE }
    :: atomic { taker == BASIS ->
#ifdef STORAGE_FENCES
        fenced = true;
#endif
        put(1 - (basis % 2), basis + 1, B); taker = CLAIMED_ONCE;
#ifdef MUTATE_SINGLE_CLAIM
        watch_age = 0; taker = SETTLING
#endif
        }
    :: atomic { taker == CLAIMED_ONCE -> put(basis % 2, basis + 2, B); watch_age = 0; taker = SETTLING }
    :: atomic { taker == SETTLING && watch_age >= SETTLE ->
        if
        :: current_owner == B -> taker = TAKEN; assert(one_running)
        :: else -> taker = IDLE
        fi }
    od
}

#ifdef HOST_STOP
/* The whole host stands still: a frozen virtual machine, a suspended laptop. Its clocks may go on. */
active proctype Stop() {
    host_stopped = true;
    host_stopped = false
}
#endif

/* What may not be later than it is. An attempt is bounded by a timer of the kernel, which kills. */
#define attempting (monitor == RENEW_READ || monitor == RENEW_WRITE || monitor == RENEW_WAIT || monitor == RENEW_VERIFY)
#define claiming (taker == BASIS || taker == CLAIMED_ONCE)
#ifdef MUTATE_NO_TIMER
#define attempts_in_time true
#else
#define attempts_in_time ((!attempting || try_age < DEADLINE || !host_runs) && (!claiming || basis_age < DEADLINE))
#endif
#define guard_in_time (!guard_due || !host_runs)
#ifdef MUTATE_NO_RESET
#define late_in_time true
#else
#define late_in_time (late != LATE || late_age < NET)
#endif
#ifdef MUTATE_NO_LINGER
#define guest_write_in_time true
#else
#define guest_write_in_time (guest_write != LATE || guest_write_age < NET)
#endif
#define grow(age, limit) if :: age < limit -> age++ :: else fi

active proctype Time() {
end:
    do
    :: atomic { guard_in_time && attempts_in_time && late_in_time && guest_write_in_time ->
        d_step {
            grow(lease_age, FENCE);
            grow(try_age, DEADLINE);
            grow(guard_age, FENCE);
            grow(late_age, NET);
            grow(guest_write_age, NET);
            grow(basis_age, DEADLINE);
            grow(watch_age, WATCH)
        } }
    od
}

init {
    atomic {
        slot_generation[0] = 2; slot_owner[0] = A;
        slot_generation[1] = 1; slot_owner[1] = A;
        seen = 2
    }
}
