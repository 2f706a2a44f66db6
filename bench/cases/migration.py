"""A running zone moves to another host, beside QEMU's own migration of the same machine: clear, and by its own TLS with
the same cipher. Source and destination share this machine's processors. The wall time begins when the destination's
machine waits and ends when the guest runs there; the whole command is shown too."""
import lib
import moves
import zones

TITLE = "live migration (3 GiB, 2 GiB filled, guest idle) beside QEMU's own, two memory channels each"
CIPHERS = ("aes-128-gcm", "aes-128-ccm", "chacha20-poly1305")
MEMORY, USED = 3072, 2048


def judge(middle, stops):
    targets = lib.Targets()
    gcm, gcm_tls, clear = middle["aes-128-gcm"], middle["qemu aes-128-gcm"], middle["qemu clear"]
    ccm, ccm_tls = middle["aes-128-ccm"], middle["qemu aes-128-ccm"]
    targets.at_most("aes-128-gcm: wall / QEMU's TLS", gcm["seconds"] / gcm_tls["seconds"], 0.55)
    targets.at_most("aes-128-gcm: CPU / QEMU's TLS", gcm["cpu_seconds"] / gcm_tls["cpu_seconds"], 0.6)
    targets.at_most("aes-128-ccm: wall / QEMU's TLS", ccm["seconds"] / ccm_tls["seconds"], 0.3)
    targets.at_most("aes-128-gcm: wall / QEMU's clear multifd", gcm["seconds"] / clear["seconds"], 1.5)
    one, ccm_one = middle["aes-128-gcm" + moves.ONE], middle["aes-128-ccm" + moves.ONE]
    targets.at_most("aes-128-gcm, 1 connection: wall / QEMU's TLS", one["seconds"] / gcm_tls["seconds"], 0.55)
    targets.at_most("aes-128-gcm, 1 connection: CPU / QEMU's TLS", one["cpu_seconds"] / gcm_tls["cpu_seconds"], 0.6)
    targets.at_most("aes-128-ccm, 1 connection: wall / QEMU's TLS", ccm_one["seconds"] / ccm_tls["seconds"], 0.3)
    local = lib.median([stop["gap_ms"] for stop in stops])
    targets.at_most("aes-128-gcm: gap beyond a local stop and go on, ms", gcm["gap_ms"] - local, 50)
    targets.at_most("the same at the switch alone, ms", gcm["switch_ms"] - local, 50)
    targets.at_most("aes-128-gcm: gap / QEMU's with TLS", gcm["gap_ms"] / gcm_tls["gap_ms"], 1.0)
    return targets.table


def run(context):
    tables = []
    memory, used = context.size(MEMORY), context.size(USED)
    with zones.Hosts(context) as lab:
        with moves.Pair(lab, "random", memory, used) as pair:
            stops = pair.stop_and_go_on(5)
            answers = pair.measure(context, 2 if context.quick else 5, CIPHERS[:2] if context.quick else CIPHERS)
        table, middle = moves.table_of("incompressible memory", answers, used)
        tables += [table, judge(middle, stops)]
        for mix in () if context.quick else ("half-zero", "typical"):
            with moves.Pair(lab, mix, memory, used) as pair:
                answers = pair.measure(context, 3, CIPHERS[:2])
            tables.append(moves.table_of(f"page mix: {mix}", answers, used)[0])
    return tables
