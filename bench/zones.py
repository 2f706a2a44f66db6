"""The zone that is measured: two hosts of a lab, the mini guest, its clock, and memory that it has filled."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import time

import cpu
from harness import Consoles, Zone, longest_gap_ms, ticks_of
from harness.packages import ensure_packages
from kzlab import Lab
from processes import qemu_of

NODES = ("node1", "node2")
NAME = "kzb1"
TICK_MS = 10
LAST = 1.0  # seconds of a migration
# What kz-memload fills memory with. The page mixes of a guest's memory, and why `typical` is one: of what a server has
# in use, a good part is free or zeroed again, about a third are program code, text and tables, in which words repeat,
# and a third are data that were compressed or encrypted before they came into memory. LZ4 and zstd at level 1 take the
# second third to 0.4 and 0.2 of its size.
MIXES = {
    "random": "-x",
    "half-zero": "-x -z 50",
    "typical": "-x -z 40 -t 30",
}


class Refused(Exception):
    """The bench cannot measure here; the text says why."""


def refuse_company():
    """A machine that somebody else runs would be measured too."""
    others = []
    for name in os.listdir("/proc"):
        try:
            words = pathlib.Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if name.isdigit() and b"qemu-system" in words[0]:
            others.append(name)
    if others:
        raise Refused(f"other machines run here (QEMU, process {', '.join(others)}): end them first")


class Hosts(Lab):
    """Two hosts that trust each other, with their services; one wire between them whose speed can be set."""

    def __init__(self, context):
        if not context.crowded:
            refuse_company()
        binaries = context.build / "bin"
        super().__init__(nodes=NODES, binaries=binaries, cache=ensure_packages(binaries, context.build / "cache/zones"))

    def __enter__(self):
        super().__enter__()
        try:
            self.trust()
            self.services()
        except BaseException:
            self.__exit__()
            raise
        return self

    def limit(self, rate):
        """`rate` in words of tc, "1gbit"; None: as fast as it goes."""
        for name in NODES:
            node = self.node(name)
            node.run(["tc", "qdisc", "del", "dev", "uplink", "root"], check=False)
            if rate:
                node.run(["tc", "qdisc", "add", "dev", "uplink", "root", "tbf", "rate", rate, "burst", "4m", "latency",
                          "20ms"])


@contextlib.contextmanager
def userfaultfd():
    """As share/sysctl.d allows it on a host where kzones is installed."""
    permission = pathlib.Path("/proc/sys/vm/unprivileged_userfaultfd")
    before = permission.read_text()
    permission.write_text("1")
    try:
        yield
    finally:
        permission.write_text(before)


STARTING, SUCCESSFUL = "Starting migration.", "Migration successful."


class Watched:
    """A migration's command; the moment and the CPU seconds so far when it began, when it said STARTING and SUCCESSFUL,
    and when it ended. Nothing is looked up between the two: that would disturb what is measured."""

    def __init__(self, node, words):
        self.begun = (time.monotonic(), cpu.total())
        self.when = {}
        said = []
        process = node.popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with process.stderr:
            for line in process.stderr:
                moment = time.monotonic()
                said.append(line)
                for mark in (STARTING, SUCCESSFUL):
                    if mark in line:
                        self.when[mark] = (moment, cpu.total())
        if process.wait() != 0:
            raise RuntimeError(f"{' '.join(words)}: {''.join(said)}")
        self.ended = (time.monotonic(), cpu.total())


def first_seen(*consoles):
    """The ticks on the consoles, in order, each with the moment at which it came first: a console that was opened later
    begins with lines that others have shown."""
    first = {}
    for lines in consoles:
        for tick in ticks_of(lines):
            if tick.sequence not in first or tick.moment < first[tick.sequence].moment:
                first[tick.sequence] = tick
    return [first[sequence] for sequence in sorted(first)]


class Clocks(Consoles):
    """Whether lines are lost or repeated is what the tests look for."""

    def ticks(self):
        return first_seen(*(terminal.lines() for terminal in self.sessions()))


def gaps(ticks, since, until):
    """`gap_ms`: the longest time that the clock stood still; `switch_ms`: the longest of the last second, in which the
    guest goes from one host to the other. QEMU stops a guest under TCG for a while when a migration begins, too."""
    return {"gap_ms": longest_gap_ms(ticks, TICK_MS, since, until),
            "switch_ms": longest_gap_ms(ticks, TICK_MS, max(since, until - LAST), until)}


def span(begun, ended):
    return {"seconds": ended[0] - begun[0], "cpu_seconds": ended[1] - begun[1]}


class BenchZone(Zone):
    """On node1 first; `home` is where it is. Its clock ticks, and `used` MiB are filled with a mix."""

    def __init__(self, lab, memory, used, mix="random", name=NAME, suspend=None):
        super().__init__(lab, name, 1, memory=f"{memory}M", suspend=suspend)
        self.megabytes = memory
        self.used = used
        self.mix = mix
        self._fresh_disk = lab.folder / f"{name}.fresh"

    def configuration(self):
        """Without a network: nobody talks to it, and a peer's machine shall be the same."""
        text = "; ".join(super().configuration())
        return re.sub(r"add anet; .*?end; ", "", text).split("; ")

    def workload(self):
        return f"kz-clock -i {TICK_MS} & kz-memload -m {self.used} -r 1 {MIXES[self.mix]}"

    def install(self, size="128M"):
        super().install(size)
        shutil.copyfile(self.disk, self._fresh_disk)

    def __enter__(self):
        self.configure()
        self.install()
        self.consoles = Clocks(self, NODES)
        self.consoles.__enter__()
        try:
            self.zoneadm("boot")
            terminal = self.consoles.wait_session("node1")
            terminal.expect(f"{self.name}:[^ ]*# ", 180)
            terminal.send_line(self.workload())
            terminal.expect(r"memload pass \d+ pages \d+ ok", 600)
        except BaseException:
            self.consoles.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self.consoles.__exit__()
        self.zoneadm("halt", check=False)
        for node in NODES:
            self.zoneadm("detach", node=node, check=False)

    def fresh_disk(self, to):
        """The disk as it was before its first boot."""
        shutil.copyfile(self._fresh_disk, to)

    def machine(self):
        """Words of its QEMU, and the pid."""
        process = qemu_of(self)
        return [word for word in process.command_line() if word], process.pid

    def other(self):
        return next(name for name in NODES if name != self.home)

    def settle(self, ticks=100):
        """It ticks, and has found no wrong page."""
        self.consoles.wait_ticks(ticks, 180)
        for terminal in self.consoles.sessions():
            if "MEMLOAD FAILED" in terminal.text:
                raise AssertionError("the guest has found wrong memory")

    def first_tick_after(self, sequence, timeout=120):
        """The moment of the first tick beyond that number, as soon as there is one."""
        ticks = self.consoles.wait_tick(sequence + 1, timeout)
        return next(tick.moment for tick in ticks if tick.sequence > sequence)

    def last_tick(self):
        return self.consoles.ticks()[-1]

    def migrate(self, cipher, connections=0):
        """Live, to the other host, over so many memory connections (0: as many as it takes by itself). `seconds` and
        `cpu_seconds` are of the memory's move, from the moment at which the machine at the destination waits for it until
        the guest runs there; `command_seconds` and `command_cpu_seconds` of the whole command."""
        self.settle()
        done = Watched(self.node(), ["zoneadm", "-z", self.name, "migrate", "-c", cipher,
                                    *(["--connections", str(connections)] if connections else []), self.other()])
        self.home = self.other()
        self.settle()
        command = span(done.begun, done.ended)
        entry = self.history()[-1]
        return {**span(done.when[STARTING], done.when[SUCCESSFUL]),
                "command_seconds": command["seconds"], "command_cpu_seconds": command["cpu_seconds"],
                **gaps(self.consoles.ticks(), done.begun[0], done.when[SUCCESSFUL][0]), "bytes": entry["bytes"]}

    def suspend_and_resume(self, to=None, options=()):
        """On this host, or `to` another, where the suspended zone is moved first. Seconds: `outage` of the guest without
        the time between the commands, `suspend`, `first_tick` from the beginning of boot, `all_memory` likewise."""
        self.settle()
        begun = (time.monotonic(), cpu.total())
        self.zoneadm("suspend", timeout=600)
        suspended = time.monotonic()
        last = self.last_tick()
        size = self.suspend_path.stat().st_blocks * 512
        between = time.monotonic() - suspended
        if to:
            self.zoneadm("migrate", to)
            self.home = to
        booting = time.monotonic()
        self.zoneadm("boot", *options, timeout=600)
        first = self.first_tick_after(last.sequence)
        while self.suspend_path.exists():  # it goes when all memory is in
            time.sleep(0.01)
        loaded = cpu.total()
        entry = next(entry for entry in reversed(self.history()) if entry["move"] == "resume")
        return {"outage": first - last.moment - between, "suspend": suspended - begun[0], "first_tick": first - booting,
                "all_memory": entry["all_memory_ms"] / 1000, "cpu_seconds": loaded - begun[1], "image_bytes": size}
