"""Live migrations of a zone and of its peer, in turn, and the table of their medians. For the cases."""
import cpu
import lib
import peer
import zones

CHANNELS = 2
COLUMNS = ["wall s", "CPU s", "MB/s", "gap ms", "command s", "wall / clear", "wall / TLS", "CPU / TLS", "spread of wall"]


def measure(context, lab, mix, rounds, ciphers, memory, used):
    """{member: answers} of a zone and its peer, in turn; and what a stop and go on costs the same guest."""
    with zones.BenchZone(lab, memory, used, mix) as zone, peer.Peer(zone, lab.folder / f"peer-{mix}") as other:

        def ours(cipher):
            with cpu.Frozen(other.pids()):
                return zone.migrate(cipher, CHANNELS)

        def qemus(cipher):
            with cpu.Frozen([zone.machine()[1]]):
                return other.migrate(cipher, CHANNELS)

        members = {"qemu clear": lambda: qemus(None)}
        for cipher in ciphers:
            members[cipher] = lambda cipher=cipher: ours(cipher)
            members[f"qemu {cipher}"] = lambda cipher=cipher: qemus(cipher)
        with cpu.Frozen([zone.machine()[1]]):
            stops = [other.stop_and_go_on() for _ in range(3 * rounds)]
        ours(ciphers[0])  # the destination knows the zone then: the first time it is told
        return context.rounds(rounds, members), stops


def table_of(title, answers, used):
    table = lib.Table(title, COLUMNS)
    middle = {name: lib.middles(given) for name, given in answers.items()}
    clear = middle["qemu clear"]
    for name, here in middle.items():
        tls = middle.get(f"qemu {name.removeprefix('qemu ')}", here)
        table.add(name, here["seconds"], here["cpu_seconds"], used * 1.048576 / here["seconds"], here["gap_ms"],
                  here.get("command_seconds"), here["seconds"] / clear["seconds"], here["seconds"] / tls["seconds"],
                  here["cpu_seconds"] / tls["cpu_seconds"], lib.spread([answer["seconds"] for answer in answers[name]]))
    return table, middle
