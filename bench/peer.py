"""What a zone is measured by: QEMU's own migration of the same machine, from the same binary.

The machine is the zone's: the same words of the command line, with a disk, sockets and names of its own. Its guest does
the same work. QEMU's own encryption is TLS with a pre-shared key, held to one cipher.
"""
import array
import json
import os
import pathlib
import re
import secrets
import socket
import subprocess
import threading
import time

import cpu
from harness import longest_gap_ms, ticks_of
from zones import NODES, TICK_MS, first_seen, gaps, span

PORT = 4700
PRIORITIES = {
    "aes-128-gcm": "AES-128-GCM",
    "aes-128-ccm": "AES-128-CCM",
    "chacha20-poly1305": "CHACHA20-POLY1305",
}
# Of a zone's own migration (migrate/convergence.h), so that both stop their guest for as long at most.
DOWNTIME_MS = 300


class Qmp:
    """One command at a time; events are passed over."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        _connect(self._socket, path)
        self._file = self._socket.makefile("r")
        self._answer()
        self("qmp_capabilities")

    def __call__(self, command, descriptor=None, **arguments):
        line = json.dumps({"execute": command, "arguments": arguments}).encode()
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        self._socket.sendmsg([line], rights)
        while "event" in (answer := self._answer()):
            pass
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def _answer(self):
        line = self._file.readline()
        if not line:
            raise RuntimeError("QEMU has ended")
        return json.loads(line)

    def close(self):
        self._file.close()
        self._socket.close()


def _connect(endpoint, path, timeout=20):
    deadline = time.monotonic() + timeout
    while True:
        try:
            return endpoint.connect(str(path))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Lines:
    """A guest's console, with the moment at which each line came."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        _connect(self._socket, path)
        self._lines, self._rest = [], b""
        self._lock = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            now = time.monotonic()
            if not data:
                return
            with self._lock:
                *ended, self._rest = (self._rest + data).split(b"\n")
                self._lines += [(now, line.decode(errors="replace").rstrip("\r")) for line in ended]
                self._lock.notify_all()

    def start_work(self, zone):
        """Waits for the guest's shell, and until what is typed there has filled memory."""
        self.wait(lambda lines, rest: f"{zone.name}:" in rest, "prompt", 600)
        self._socket.sendall(f"{zone.workload()}\r".encode())
        self.wait(lambda lines, rest: any("memload pass" in text for _, text in lines), "memory load", 900)

    def wait(self, condition, what, timeout):
        """Waits until condition(lines, what stands behind them) is true, and returns what it gave."""
        deadline = time.monotonic() + timeout
        with self._lock:
            while not (value := condition(self._lines, self._rest.decode(errors="replace"))):
                if not self._lock.wait(max(0.0, deadline - time.monotonic())):
                    raise RuntimeError(f"the peer's guest: no {what} in {timeout} s: {self._lines[-5:]} {self._rest!r}")
            return value

    def lines(self):
        with self._lock:
            return list(self._lines)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def machine_words(words, folder, disk):
    """The zone's command line, with sockets in `folder` and that disk. It runs at once: -S is the monitor's."""
    options = []
    for word in words[1:]:
        if word.startswith("-"):
            options.append([word])
        else:
            options[-1].append(word)
    kept = [words[0]]
    for name, *values in options:
        if name in ("-S", "-add-fd", "-incoming"):
            continue
        if name == "-chardev":
            values = [re.sub(r"^socket,id=(\w+),fd=\d+", rf"socket,id=\1,path={folder}/\1.sock", values[0])]
        if name == "-blockdev" and "/dev/fdset/" in values[0]:
            values = [json.dumps(json.loads(values[0]) | {"filename": str(disk)})]
        kept += [name, *values]
    return kept


class Machine:
    """A QEMU of the bench's own on one of the hosts."""

    def __init__(self, node, words, folder, disk, incoming=False):
        folder.mkdir()
        self.node = node
        argv = machine_words(words, folder, disk) + (["-incoming", "defer"] if incoming else [])
        with open(folder / "log", "wb") as log:
            self.process = node.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid  # nsenter becomes it
        self.qmp = Qmp(folder / "qmp.sock")
        self.console = Lines(folder / "console.sock")
        self._serial = Lines(folder / "serial.sock")  # as the zone's monitor does

    def status(self):
        return self.qmp("query-migrate").get("status")

    def wait_migration(self, timeout=600):
        deadline = time.monotonic() + timeout
        while (status := self.status()) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > deadline:
                raise RuntimeError(f"QEMU's migration: {self.qmp('query-migrate')}")
            time.sleep(0.01)

    def set_up(self, capabilities, **parameters):
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": name, "state": state}
                                                           for name, state in capabilities.items()])
        self.qmp("migrate-set-parameters", **parameters)

    def quit(self):
        """It ends; what it has used is known then."""
        try:
            self.qmp("quit")
        except (RuntimeError, OSError):
            pass
        for connection in (self.console, self._serial, self.qmp):
            connection.close()
        self.process.wait()


class Peer:
    """The zone's guest again, moved between the hosts by QEMU itself."""

    def __init__(self, zone, folder):
        self._zone = zone
        self._folder = folder
        self._words = zone.machine()[0]
        self._disk = folder / "disk"
        self._number = 0
        self._home = 0  # index of the host
        self._ticks = []
        self.machine = None

    def __enter__(self):
        self._folder.mkdir()
        self._zone.fresh_disk(self._disk)
        self._make_keys()
        with cpu.Frozen([self._zone.machine()[1]]):
            self.machine = self._start(NODES[0])
            self.machine.console.start_work(self._zone)
        return self

    def __exit__(self, *exception):
        if self.machine:
            self.machine.quit()

    def _start(self, name, incoming=False):
        self._number += 1
        return Machine(self._zone.node(name), self._words, self._folder / str(self._number), self._disk, incoming)

    def pids(self):
        return [self.machine.pid]

    def _make_keys(self):
        keys = self._folder / "keys.psk"
        keys.write_text(f"bench:{secrets.token_hex(32)}\n")
        keys.chmod(0o600)

    def _credentials(self, machine, cipher, endpoint):
        """A name for tls-creds. QEMU adds the key exchanges with a pre-shared key by itself."""
        priority = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{PRIORITIES[cipher]}"
        user = {"username": "bench"} if endpoint == "client" else {}
        machine.qmp("object-add", **{"qom-type": "tls-creds-psk", "id": "tls", "endpoint": endpoint, **user,
                                     "dir": str(self._folder), "priority": priority})
        return {"tls-creds": "tls"}

    def settle(self, ticks=100):
        console = self.machine.console
        first = len(ticks_of(console.lines()))
        lines = console.wait(lambda lines, rest: len(ticks_of(lines)) >= first + ticks and lines, "tick", 180)
        if any("MEMLOAD FAILED" in text for _, text in lines):
            raise AssertionError("the peer's guest has found wrong memory")

    def migrate(self, cipher, channels):
        """Live, to the other host: `cipher` None: clear. `channels` 0: a single stream."""
        self.settle()
        name = NODES[1 - self._home]
        source, target = self.machine, self._start(name, incoming=True)
        for machine, endpoint in ((source, "client"), (target, "server")):
            parameters = {"max-bandwidth": 1 << 40, "downtime-limit": DOWNTIME_MS}
            if channels:
                parameters["multifd-channels"] = channels
            parameters |= self._credentials(machine, cipher, endpoint) if cipher else {"tls-creds": ""}
            machine.set_up({"multifd": channels > 0}, **parameters)
        port = PORT + self._number
        target.qmp("migrate-incoming", uri=f"tcp:0.0.0.0:{port}")
        begun = (time.monotonic(), cpu.total())
        source.qmp("migrate", uri=f"tcp:{self._zone.node(name).address}:{port}")
        source.wait_migration()
        while target.qmp("query-status")["status"] != "running":
            time.sleep(0.005)
        ended = (time.monotonic(), cpu.total())
        moved = source.qmp("query-migrate")["ram"]["transferred"]
        self.machine, self._home = target, 1 - self._home
        self.settle()
        ticks = first_seen(source.console.lines(), target.console.lines())
        source.quit()
        if cipher:
            target.qmp("object-del", id="tls")
        return {**span(begun, ended), **gaps(ticks, begun[0], ended[0]), "bytes": moved}

    def save_and_restore(self, compressed):
        """The machine's state into a file by a stopped guest's migration, and out of it into a new QEMU on the same host;
        `compressed`: through zstd at level 1, by all processors. Seconds: `outage` of the guest without the time between
        the two, `suspend`, `first_tick` from the beginning of the second."""
        self.settle()
        image = self._folder / "saved"
        begun = (time.monotonic(), cpu.total())
        self.machine.qmp("stop")
        self.machine.set_up({"multifd": False}, **{"max-bandwidth": 1 << 40, "tls-creds": ""})
        with open(image, "wb") as file:
            self._through(self.machine, "migrate", ["zstd", "-q", "-1", "-T0"] if compressed else None, output=file)
        last = ticks_of(self.machine.console.lines())[-1]
        self.machine.quit()
        between = (time.monotonic(), cpu.total())
        size = image.stat().st_blocks * 512
        self.machine = self._start(NODES[self._home], incoming=True)
        with open(image, "rb") as file:
            self._through(self.machine, "migrate-incoming", ["zstd", "-q", "-dc"] if compressed else None, input=file)
        self.machine.qmp("cont")
        lines = self.machine.console.wait(lambda lines, rest: ticks_of(lines) and lines, "tick", 120)
        loaded = (time.monotonic(), cpu.total())
        first = ticks_of(lines)[0]
        image.unlink()
        return {"outage": first.moment - last.moment, "suspend": between[0] - begun[0],
                "first_tick": first.moment - between[0], "all_memory": first.moment - between[0],
                "cpu_seconds": loaded[1] - begun[1], "image_bytes": size}

    def _through(self, machine, command, filter_words, input=None, output=None):
        """QEMU's stream into or out of a file, or through a program."""
        process = None
        if filter_words:
            near, far = os.pipe()[::-1] if output else os.pipe()
            process = subprocess.Popen(filter_words, stdin=input or far, stdout=output or far)
            os.close(far)
        else:
            near = os.dup((input or output).fileno())
        machine.qmp("getfd", descriptor=near, fdname="file")
        os.close(near)
        machine.qmp(command, uri="fd:file")
        machine.wait_migration()
        if process and process.wait() != 0:
            raise RuntimeError(f"{filter_words[0]} failed")

    def stop_and_go_on(self):
        """What stopping the guest and letting it go on costs it, with nothing between."""
        self.settle()
        begun = time.monotonic()
        self.machine.qmp("stop")
        self.machine.qmp("cont")
        self.settle(20)
        return {"gap_ms": longest_gap_ms(ticks_of(self.machine.console.lines()), TICK_MS, begun, begun + 1)}
