"""A real iSCSI target on a host of the lab: tgtd, whose files lie in a folder of the lab.

A host can run several of them, each with a port and a control port of its own. The LUN with the name
naa.6XXXXXXX... is made by giving tgt those digits as its SCSI id. tgt adds a second, locally assigned name to
every LUN, which nothing here uses.
"""
import os
import time

from .daemon import Daemon

ISCSI_PORT = 3260
DEFAULT_NAME = "iqn.2026-11.org.kzones.lab:zones"
MIB = 1024 * 1024


class Lun:
    def __init__(self, target, number, path, naa):
        self.target = target  # its name
        self.number = number
        self.path = path  # of the file behind it
        self.naa = naa

    def read(self, offset, size):
        """What is on the medium, past tgtd."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(size)


class Target:
    def __init__(self, node, folder, port=ISCSI_PORT, control_port=0, io_threads=None):
        """`folder`: for the LUNs' files and the log; its own."""
        self.node = node
        self.folder = folder
        self.port = port
        self._control_port = control_port
        self._io_threads = io_threads
        self._targets = []  # names; a target's id is its place, from 1
        self._daemon = Daemon(node, folder / "tgtd")

    @property
    def portal(self):
        return f"{self.node.address}:{self.port}"

    def start(self, timeout=20):
        self.folder.mkdir(parents=True, exist_ok=True)
        argv = ["tgtd", "-f", "--control-port", self._control_port]
        if self._io_threads:
            argv += ["--nr_iothreads", self._io_threads]
        argv += ["--iscsi", f"portal=0.0.0.0:{self.port},portal=[::]:{self.port}"]  # the last --iscsi would win
        self._daemon.start(argv)
        self._daemon.wait_until(lambda: self._answers(), time.monotonic() + timeout)
        return self

    def end(self):
        self._daemon.stop()
        self._targets.clear()

    def reap(self):
        """After somebody else has ended it."""
        self._daemon.reap()

    def stop(self):
        """It stands still; its host takes what arrives."""
        self._daemon.freeze()

    def go_on(self):
        self._daemon.thaw()

    def add_target(self, name=DEFAULT_NAME, account=None, initiators=("ALL",), initiator_names=()):
        """`account`: (user, password) that a login needs."""
        self._targets.append(name)
        number = len(self._targets)
        self._admin("target", "new", "--tid", number, "--targetname", name)
        if account:
            self._admin("account", "new", "--user", account[0], "--password", account[1])
            self._admin("account", "bind", "--tid", number, "--user", account[0])
        for address in initiators:
            self._admin("target", "bind", "--tid", number, "--initiator-address", address)
        for initiator in initiator_names:
            self._admin("target", "bind", "--tid", number, "--initiator-name", initiator)
        return name

    def add_lun(self, size=64 * MIB, target=DEFAULT_NAME, number=None, naa=None, serial=None, block=512, read_only=False,
                path=None):
        """`naa`: 32 hexadecimal digits that begin with 6, None for what tgt makes up. `path`: an existing file."""
        if target not in self._targets:
            self.add_target(target)
        taken = {int(line.split()[1]) for line in self._shown(target) if line.strip().startswith("LUN: ")}
        number = number if number is not None else max(taken) + 1
        if path is None:
            path = self.folder / f"{self._tid(target)}-{number}-{os.urandom(4).hex()}"
            with open(path, "xb") as file:
                file.truncate(size)
        self._lun("new", target, number, "--backing-store", path, "--blocksize", block)
        parameters = {"scsi_id": naa, "scsi_sn": serial, "readonly": "1" if read_only else None}
        given = [f"{key}={value}" for key, value in parameters.items() if value is not None]
        if given:
            self._lun("update", target, number, "--params", ",".join(given))
        return Lun(target, number, path, naa)

    def remove_lun(self, lun):
        self._lun("delete", lun.target, lun.number)

    def log(self):
        return self._daemon.log()

    def _lun(self, operation, target, number, *arguments):
        self._admin("logicalunit", operation, "--tid", self._tid(target), "--lun", number, *arguments)

    def _tid(self, target):
        return self._targets.index(target) + 1

    def _shown(self, target):
        lines = self._admin("target", "show").stdout.splitlines()
        start = lines.index(f"Target {self._tid(target)}: {target}")
        end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("Target ")), len(lines))
        return lines[start:end]

    def _admin(self, mode, operation, *arguments, check=True):
        return self.node.run(["tgtadm", "--control-port", self._control_port, "--lld", "iscsi", "--mode", mode, "--op",
                              operation, *arguments], check=check, timeout=20)

    def _answers(self):
        return self._admin("target", "show", check=False).returncode == 0
