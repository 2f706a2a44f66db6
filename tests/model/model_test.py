#!/usr/bin/python3
"""Checks the models of docs/model exhaustively with spin, and that the checks have teeth.

    model_test.py FOLDER_OF_MODELS [NAME...]     all of MODELS and MUTATIONS, or those named; lease.mutations and
                                                 the like are all mutations of a model

A model passes when pan visits every state that can be reached (no hashing of states, no limit of depth or memory was
met), finds no violation, and leaves no statement unreached but those that are listed here. A mutation passes when
pan reports a violation of the very property that it is meant to break: a rule without which nothing goes wrong does
not belong into the protocol.
"""
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

MEMORY_MIB = 1800
DEPTH = 1_000_000

# How pan prints the assertion of each property.
PROPERTIES = {
    "lease": {
        "one_running": r"assertion violated  !\(\(\(machine==\d+\)&&\(taker==\d+\)\)\)",
        "no_stray_write": r"assertion violated \(\(taker!=\d+\)\|\|0\)",
        "owner_stands": r"assertion violated \(\(taker!=\d+\)\|\|\(slot_owner\[",
    },
    "claim": {"one_running": r"assertion violated \(running<=1\)"},
    "handover": {
        "one_running": r"assertion violated \(\(\(\(machine_s==\d+\)\+\(machine_d==\d+\)\)\+\(machine_t==\d+\)\)<=1\)",
        "never_back": r"assertion violated \( ?!\(committed\)\|\|\(slot_owner\[",
        "zone_kept": r"assertion violated \(\(\(\(slot_owner\[.*\|\|claimed\)",
    },
    "postcopy": {
        "one_running": r"assertion violated \(\(\(machine_s==\d+\)\+\(machine_d==\d+\)\)<=1\)",
        "never_back": r"assertion violated \(\(\(\(machine_s==.*<=1\)&&\(\(owner==1\)\|\|",
        "pages_kept": r"assertion violated \(\(\(missing==0\)\|\| ?!\(",
        "whole": r"assertion violated \(missing==0\)",
        "comes_to_rest": r"assertion violated \(+owner==2\)&&\(machine_d==\d+\)\)&&\(missing==0\)\)",
    },
    "suspend": {
        "one_running": r"assertion violated  !\(\(\(machine\[0\]==\d+\)&&\(machine\[1\]==\d+\)\)\)",
        "image_once": r"assertion violated image_fits",
        "zone_kept": r"assertion violated \(\(\(\(machine\[0\]==.*\|\|a_host_died\)",
    },
}

# Name: model, macros, the statements that cannot be reached there.
MODELS = {
    "lease": ("lease", [], []),
    "lease.two_monitors": ("lease", ["RENEWALS=4", "CLAIMS=2", "CRASHES=2"], []),
    "lease.slow_attempts": ("lease", ["DEADLINE=2"], []),  # as long as the fence
    # One write of the old owner may be late without end: the two writes of a claim stand all the same.
    "lease.late_without_end": ("lease", ["MUTATE_NO_RESET", "RENEWALS=1"], ["taker = 6"]),
    # A host that stands still with its guard: storage alone can keep it from writing.
    "lease.host_stops": ("lease", ["HOST_STOP", "STORAGE_FENCES"], ["taker = 6"]),
    "claim.three_hosts": ("claim", ["HOSTS=3", "RENEWALS=2"], ["claimant = ((me+1)+(4*(attempts[me]-1)))"]),
    "claim.two_attempts": ("claim", ["HOSTS=2", "ATTEMPTS=2", "RENEWALS=2"],
                           ["claimant = ((me+1)+(4*(attempts[me]-1)))"]),
    "handover": ("handover", ["FAULTS=2", "UNKNOWN=2"], []),
    "postcopy": ("postcopy", ["FAULTS=3"], []),
    "suspend": ("suspend", [], []),
}

_TWO = ["HOSTS=2", "ATTEMPTS=2", "RENEWALS=2"]
_FAULTS = ["FAULTS=2", "UNKNOWN=2"]
# Name: model, macros, the property that breaks.
MUTATIONS = {
    "lease.short_watch": ("lease", ["MUTATE_SHORT_WATCH"], "one_running"),
    "lease.no_settle": ("lease", ["MUTATE_NO_SETTLE"], "one_running"),
    "lease.no_guard": ("lease", ["MUTATE_NO_GUARD"], "one_running"),
    "lease.quiet_early": ("lease", ["MUTATE_QUIET_EARLY"], "one_running"),
    "lease.go_unarmed": ("lease", ["MUTATE_GO_UNARMED"], "one_running"),
    "lease.host_stops_unfenced": ("lease", ["HOST_STOP"], "one_running"),
    "lease.renewed_at_end": ("lease", ["MUTATE_RENEWED_AT_END"], "no_stray_write"),
    "lease.no_linger": ("lease", ["MUTATE_NO_LINGER"], "no_stray_write"),
    "lease.no_timer": ("lease", ["MUTATE_NO_TIMER"], "owner_stands"),
    "lease.no_reset": ("lease", ["MUTATE_NO_RESET"], "owner_stands"),
    "lease.single_claim": ("lease", ["MUTATE_NO_RESET", "RENEWALS=1", "MUTATE_SINGLE_CLAIM"], "owner_stands"),
    "claim.no_wait": ("claim", [*_TWO, "MUTATE_NO_WAIT"], "one_running"),
    "claim.stale_claim": ("claim", [*_TWO, "MUTATE_STALE_CLAIM"], "one_running"),
    "claim.no_settle": ("claim", [*_TWO, "MUTATE_NO_SETTLE"], "one_running"),
    "claim.overwrite_claim": ("claim", [*_TWO, "MUTATE_OVERWRITE_CLAIM"], "one_running"),
    "claim.abandoned_short": ("claim", [*_TWO, "MUTATE_ABANDONED_SHORT"], "one_running"),
    "claim.mixed_steps": ("claim", [*_TWO, "MUTATE_MIXED_STEPS"], "one_running"),
    "claim.no_nonce": ("claim", [*_TWO, "MUTATE_NO_NONCE"], "one_running"),
    "claim.reassert_over_owner": ("claim", [*_TWO, "MUTATE_REASSERT_OVER_OWNER"], "one_running"),
    "handover.write_early": ("handover", [*_FAULTS, "MUTATE_WRITE_EARLY"], "one_running"),
    "handover.rollback_unwritten": ("handover", [*_FAULTS, "MUTATE_ROLLBACK_UNWRITTEN"], "one_running"),
    "handover.resume_unread": ("handover", [*_FAULTS, "MUTATE_RESUME_UNREAD"], "one_running"),
    "handover.commit_forgotten": ("handover", [*_FAULTS, "MUTATE_COMMIT_FORGOTTEN"], "never_back"),
    "handover.adopt_gives_up": ("handover", ["FAULTS=1", "MUTATE_ADOPT_GIVES_UP"], "zone_kept"),
    "handover.short_watch": ("handover", ["FAULTS=1", "MUTATE_SHORT_WATCH"], "zone_kept"),
    "postcopy.resume_unread": ("postcopy", ["MUTATE_RESUME_UNREAD"], "one_running"),
    "postcopy.goes_on_after_break": ("postcopy", ["MUTATE_GOES_ON_AFTER_BREAK"], "never_back"),
    "postcopy.end_at_commit": ("postcopy", ["MUTATE_END_AT_COMMIT"], "pages_kept"),
    "postcopy.adopt_ends": ("postcopy", ["MUTATE_ADOPT_ENDS"], "pages_kept"),
    "postcopy.handover_removed_early": ("postcopy", ["MUTATE_HANDOVER_REMOVED_EARLY"], "comes_to_rest"),
    "postcopy.break_is_the_end": ("postcopy", ["MUTATE_BREAK_IS_THE_END"], "whole"),
    "postcopy.disk_unread": ("postcopy", ["MUTATE_DISK_UNREAD"], "comes_to_rest"),
    "postcopy.waits_for_ever": ("postcopy", ["MUTATE_WAITS_FOR_EVER"], "comes_to_rest"),
    "suspend.resume_first": ("suspend", ["MUTATE_RESUME_FIRST"], "image_once"),
    "suspend.go_on_unread": ("suspend", ["MUTATE_GO_ON_UNREAD"], "zone_kept"),
    "suspend.record_first": ("suspend", ["MUTATE_RECORD_FIRST"], "zone_kept"),
    "suspend.discard_first": ("suspend", ["MUTATE_DISCARD_FIRST"], "zone_kept"),
    "suspend.drop_unread": ("suspend", ["MUTATE_DROP_UNREAD"], "zone_kept"),
    "suspend.write_early": ("suspend", ["MUTATE_WRITE_EARLY"], "image_once"),
}


class Failed(Exception):
    pass


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def search(folder, model, macros):
    """Builds and runs pan; its whole output."""
    with tempfile.TemporaryDirectory(prefix="kz-model-") as work:
        status, text = run(["spin", "-a", *(f"-D{macro}" for macro in macros), str(folder / f"{model}.pml")], work)
        if status != 0:
            raise Failed(f"spin: {text}")
        status, text = run(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"],
                           work)
        if status != 0:
            raise Failed(f"gcc: {text}")
        status, text = run(["./pan", f"-m{DEPTH}"], work)
        if status not in (0, 1):
            raise Failed(f"pan ended with status {status}:\n{text}")
        return text


def errors_of(output):
    found = re.search(r"errors: (\d+)$", output, re.MULTILINE)
    if not found:
        raise Failed(f"pan did not come to an end:\n{output}")
    return int(found.group(1))


def check_exhaustive(output):
    """Nothing was left out."""
    for trouble in ("max search depth too small", "out of memory", "reached -DMEMLIM", "Search not completed",
                    "memory exceeded", "aborting"):
        if trouble in output:
            raise Failed(f"the search is not exhaustive: {trouble}\n{output}")
    if "Full statespace search" not in output or "never claim         \t- (none specified)" not in output:
        raise Failed(f"not a full search:\n{output}")


def unreached(output):
    return set(re.findall(r'^\t\S+:\d+, state \d+, "(.*)"$', output, re.MULTILINE))


def check_model(folder, name):
    model, macros, allowed = MODELS[name]
    output = search(folder, model, macros)
    if errors_of(output) != 0:
        raise Failed(f"a property does not hold:\n{output}")
    check_exhaustive(output)
    left = unreached(output) - {"-end-"}
    if left != set(allowed):
        raise Failed(f"statements that were not reached: {sorted(left)}; listed are {sorted(allowed)}")
    return re.search(r"^ *(\d+) states, stored", output, re.MULTILINE).group(1) + " states"


def check_mutation(folder, name):
    model, macros, broken = MUTATIONS[name]
    output = search(folder, model, macros)
    if errors_of(output) == 0:
        raise Failed(f"{broken} holds all the same: the check has no teeth")
    if not re.search(PROPERTIES[model][broken], output):
        raise Failed(f"another property than {broken} broke:\n{output[:600]}")
    return f"breaks {broken}"


def check_macros_known(folder):
    """Every mutation that a model knows is tried."""
    tried = {macro for _, macros, _ in MUTATIONS.values() for macro in macros}
    for file in sorted(folder.glob("*.pml")):
        missing = set(re.findall(r"\bMUTATE_\w+", file.read_text())) - tried
        if missing:
            raise Failed(f"{file.name} has mutations that are not tried: {sorted(missing)}")


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    names = []
    for name in sys.argv[2:] or [*MODELS, *MUTATIONS]:
        model, _, kind = name.rpartition(".")
        names += [one for one in MUTATIONS if one.startswith(f"{model}.")] if kind == "mutations" else [name]
    unknown = set(names) - set(MODELS) - set(MUTATIONS)
    if unknown:
        sys.exit(f"model_test.py: unknown: {sorted(unknown)}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["LC_ALL"] = "C"
    failed = False
    for name in names:
        try:
            outcome = (check_model if name in MODELS else check_mutation)(folder, name)
            print(f"{name}: {outcome}", flush=True)
        except Failed as problem:
            failed = True
            print(f"{name}: FAILED: {problem}", flush=True)
    try:
        check_macros_known(folder)
    except Failed as problem:
        failed = True
        print(f"FAILED: {problem}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
