"""Live migrations of a zone and of its peer, in turn, and the table of their medians. For the cases."""
import contextlib

import cpu
import lib
import peer
import zones

CHANNELS = 2
ONE = ", 1 connection"
COLUMNS = ["wall s", "CPU s", "MB/s", "gap ms", "switch ms", "command s", "wall / clear", "wall / TLS", "CPU / TLS", "spread of wall"]


class Pair:
    """A zone and its peer, with the same memory; while one moves the other stands still."""

    def __init__(self, lab, mix, memory, used):
        self._stack = contextlib.ExitStack()
        self._making = (lab, mix, memory, used)

    def __enter__(self):
        lab, mix, memory, used = self._making
        with self._stack:
            self._zone = self._stack.enter_context(zones.BenchZone(lab, memory, used, mix))
            self._peer = self._stack.enter_context(peer.Peer(self._zone, lab.folder / f"peer-{mix}"))
            self._ours("none")  # the destination knows the zone then: the first time it is told
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def _ours(self, cipher, connections=CHANNELS):
        with cpu.Frozen(self._peer.pids()):
            return self._zone.migrate(cipher, connections)

    def _qemus(self, cipher, channels=CHANNELS):
        with cpu.Frozen([self._zone.machine()[1]]):
            return self._peer.migrate(cipher, channels)

    def measure(self, context, rounds, ciphers):
        """{member: answers}, in turn."""
        members = {"qemu clear": lambda: self._qemus(None)}
        if not context.quick:
            members["qemu clear, one stream"] = lambda: self._qemus(None, 0)
        for cipher in ciphers:
            members[cipher] = lambda cipher=cipher: self._ours(cipher)
            members[cipher + ONE] = lambda cipher=cipher: self._ours(cipher, 1)
            members[f"qemu {cipher}"] = lambda cipher=cipher: self._qemus(cipher)
        return context.rounds(rounds, members)

    def stop_and_go_on(self, times):
        """What that costs the guest by itself."""
        with cpu.Frozen([self._zone.machine()[1]]):
            return [self._peer.stop_and_go_on() for _ in range(times)]


def table_of(title, answers, used):
    table = lib.Table(title, COLUMNS)
    middle = {name: lib.middles(given) for name, given in answers.items()}
    clear = middle["qemu clear"]
    for name, here in middle.items():
        tls = middle.get(f"qemu {name.removeprefix('qemu ').removesuffix(ONE)}", here)
        table.add(name, here["seconds"], here["cpu_seconds"], used * 1.048576 / here["seconds"], here["gap_ms"],
                  here["switch_ms"], here.get("command_seconds"), here["seconds"] / clear["seconds"], here["seconds"] / tls["seconds"],
                  here["cpu_seconds"] / tls["cpu_seconds"], lib.spread([answer["seconds"] for answer in answers[name]]))
    return table, middle
