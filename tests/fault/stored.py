"""Zones whose disks are reached over a network, by hosts whose leases are short enough to be watched.

A zone has a boot disk and a data disk. Guests fill the data disk with the name of the host on which they run, and the
storage host tells, past its servers, whose writes have arrived.
"""
import os
import re
import signal
import time
import uuid

from harness import LabCase, Zone, ticks_of, wait_until
from kzlab.terminal import TerminalTimeout
from processes import nothing_left

MIB = 1 << 20
BOOT_SIZE = 128 * MIB
AREA = 4 * MIB  # what a guest fills
USER = 1000  # as whom zones use NFS

RENEW, PAUSE, FENCE, TAKEOVER = 0.3, 2.0, 4.0, 6.0  # seconds
SETTINGS = f"""\
lease.renew = {RENEW * 1000:.0f}ms
lease.pause = {PAUSE * 1000:.0f}ms
lease.fence = {FENCE * 1000:.0f}ms
lease.takeover = {TAKEOVER * 1000:.0f}ms
storage.timeout = 1500ms
"""
# Of a takeover, which watches twice, on a machine that has more to do.
PATIENCE = 120

PAUSED = r"\[NOTICE: Zone paused: its storage does not answer\]"
RESUMING = r"\[NOTICE: Zone resuming\]"
BOOTING = r"\[NOTICE: Zone booting up\]"
HALTED = r"\[NOTICE: Zone halted\]"
IN_USE = (r"ERROR: zone {zone} is in use by host with hostid [0-9a-f-]{{36}}\n"
          r"      last known state: {state}\n"
          r"              hostname: {host}\n"
          r"      last update time: \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\S*\n"
          r"           owned since: \S+\n"
          r"(             heartbeat: seen \d+ s ago\n)?"
          r"To fix, detach the zone from the other host then attach it to this host\n"
          r"If the zone is not active on another host, attach it with\n"
          r"   zoneadm -z {zone} attach -x force-takeover\n")


class Disk:
    """One disk, as zones name it and as the storage host has it."""

    def __init__(self, uri, path):
        self.uri = uri
        self.path = path

    def read(self, offset, size):
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    def write(self, offset, data):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)


def iscsi_disk(lab, size):
    naa = "6" + uuid.uuid4().hex[:31]
    lun = lab.storage.iscsi.add_lun(size=size, naa=naa)
    return Disk(f"iscsi://storage1/luname.naa.{naa}", lun.path)


def nfs_disk(lab, size):
    """The file is made by the one who uses it."""
    name = f"{uuid.uuid4().hex[:8]}.disk"
    uri = f"nfs://{USER}:{USER}@storage1/zones/{name}"
    lab.node("node1").run(["suriadm", "create", "-p", f"create-size={size // MIB}M", uri])
    return Disk(uri, lab.storage.path("/zones") / name)


class StoredZone(Zone):
    def __init__(self, lab, make_disk=iscsi_disk, name="ant1", number=1, memory="128M"):
        self.boot_disk = make_disk(lab, BOOT_SIZE)
        self.data_disk = make_disk(lab, AREA)
        super().__init__(lab, name, number, memory=memory, disk=self.boot_disk.uri,
                         extra=f"add device\nset storage={self.data_disk.uri}\nend")

    def install(self):
        self.zoneadm("install", "-m", "mini", timeout=300)

    def boot(self, node=None):
        """Returns when the shell of the guest that was booted now answers: the console begins with its history, and the
        prompts of other guests in it."""
        self.zoneadm("boot", node=node)
        deadline = time.monotonic() + PATIENCE
        with self.console(node) as console:
            while not self._answers(console):
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self.name} does not answer:\n{console.terminal.text[-2000:]}")

    @staticmethod
    def _answers(console):
        word = f"now-{uuid.uuid4().hex[:8]}-"
        console.terminal.send_line(f"echo {word}$((6*7))")
        try:
            console.expect(word + "42", 3)
        except TerminalTimeout:
            return False  # not yet, and what was typed is lost
        console.wait_prompt()
        return True

    def share_with(self, node):
        """The other host is given the same configuration, the key included."""
        exported = self.zonecfg("export").stdout
        self.node(node).run(["zonecfg", "-z", self.name, "-f", "/dev/stdin"], input=exported)

    def said(self, *words, node):
        """(status, stderr without the program's name) of zoneadm"""
        done = self.zoneadm(*words, node=node, check=False, timeout=PATIENCE)
        return done.returncode, re.sub(rf"(?m)^zoneadm: zone '{self.name}': ", "", done.stderr)

    def recover(self):
        """Runs on node1, whatever a test that failed has left."""
        if self.state("node1")[0] == "running" and self.state("node2")[0] != "running":
            return
        for node in ("node1", "node2"):
            self.zoneadm("halt", node=node, check=False)
            self.zoneadm("detach", node=node, check=False)
        self.zoneadm("attach", "-x", "initialize-hostdata", timeout=PATIENCE)
        self.boot()

    def log(self, node):
        return self.node(node).path(f"var/log/zones/{self.name}.log").read_text()

    def whose_writes(self):
        """The hosts whose guests' writes are on the data disk."""
        found = self.data_disk.read(0, AREA)
        return {name for name in ("node1", "node2") if name.encode() in found}


def stop(process):
    """The process stands still, all of its threads."""
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: process.status("State")[0] == "T", f"process {process.pid} stopped", 10)


def go_on(process):
    if process.alive():
        os.kill(process.pid, signal.SIGCONT)


def _teach(console):
    """The guest's shell learns to write a word all over its data disk; in short lines, which it shows whole."""
    console.run(f"how='bs=64k count={AREA >> 16} iflag=fullblock conv=notrunc,fsync'")
    console.run("fill() { yes $1 | dd of=/dev/vdb $how 2>/dev/null; }")


def fill(console, word):
    """The guest writes `word` all over its data disk; returns when it is there."""
    _teach(console)
    if "filled" not in console.run(f"fill {word} && echo fil''led"):
        raise AssertionError(f"the guest cannot write to its data disk:\n{console.terminal.text[-2000:]}")


def write_without_end(console, word):
    """The guest begins to write so, again and again."""
    _teach(console)
    console.start(f"while fill {word}; do echo round; done")
    for _ in range(3):
        console.expect("round")


class Clock:
    """kz-clock on a console on which fresh_prompt() was called: its lines, and not those of another before it."""

    def __init__(self, console, interval_ms):
        self.interval_ms = interval_ms
        self._terminal = console.terminal
        self._begin = len(self._terminal.lines())
        console.start(f"kz-clock -i {interval_ms}")
        console.expect("tick 20 ")

    def ticks(self):
        return ticks_of(self._terminal.lines()[self._begin:])

    def shown(self):
        """The number of its last line."""
        return self.ticks()[-1].sequence

    def wait_for_more(self, count):
        shown = self.shown()
        wait_until(lambda: self.shown() > shown + count, "the clock", PATIENCE)


def idle_clock(console):
    """A guest that does not touch its disks: its clock prints, and nothing is or comes under way. Nor does anything wait
    to be flushed, which QEMU does when it stops."""
    console.run("kz-clock -n 1 -o /dev/null")
    console.run("sync; echo u >/proc/sysrq-trigger")  # remounts what is in use read-only
    wait_until(lambda: " / ext4 ro" in console.run("grep ext4 /proc/mounts"), "a file system that is read-only")
    if "clean" not in console.run("sync /dev/vda /dev/vdb && echo cle''an"):
        raise AssertionError(f"the guest cannot flush its disks:\n{console.terminal.text[-2000:]}")
    return Clock(console, 50)


class StorageCase(LabCase):
    nodes = ("node1", "node2")
    storage = True
    settings = SETTINGS

    @classmethod
    def prepare(cls):
        for name in cls.nodes:
            folder = cls.lab.node(name).path("etc/zones")
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            (folder / "settings").write_text(cls.settings)

    def cut(self, node="node1"):
        self.lab.storage.cut(node)
        self.addCleanup(self.lab.storage.restore, node)

    def restore(self, node="node1"):
        self.lab.storage.restore(node)

    def check_in_use(self, said, zone, host, state="running"):
        self.assertRegex(said, IN_USE.format(zone=zone.name, host=host, state=state))

    def wait_nothing_left(self, zone, node):
        wait_until(lambda: nothing_left(zone, node), f"end of the zone's processes on {node}", PATIENCE)

    def no_connection_to_storage(self, node):
        """Nothing waits there to be sent."""
        said = self.lab.node(node).run(["ss", "-Htan", "dst", "10.78.0.10"]).stdout
        self.assertEqual([line for line in said.splitlines() if not line.startswith("TIME-WAIT")], [])
