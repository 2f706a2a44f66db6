"""A zone's processes as the host sees them: who they are, whether they live, and their end by force."""
import json
import os
import pathlib
import signal

from harness import wait_until
from kzlab.namespaces import is_process, network_inode, start_time


class ZoneProcess:
    """One process, known for ever by its pid and start time."""

    def __init__(self, pid, started=None):
        self.pid = pid
        self.started = started if started is not None else start_time(pid)

    def __eq__(self, other):
        return (self.pid, self.started) == (other.pid, other.started)

    def __hash__(self):
        return hash((self.pid, self.started))

    def alive(self):
        return is_process(self.pid, self.started) and self.status("State")[0] not in "ZX"

    def status(self, key):
        """A line of /proc/PID/status."""
        try:
            lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return "X"
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{key}:"))

    def command_line(self):
        """Its words; none when it has ended."""
        try:
            return pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            return []

    def send(self, number):
        if is_process(self.pid, self.started):
            os.kill(self.pid, number)

    def wait(self):
        """Until it is gone."""
        wait_until(lambda: not self.alive(), f"end of process {self.pid}", 10)

    def kill(self, number=signal.SIGKILL):
        """By force, and waits until it is gone."""
        self.send(number)
        self.wait()


def kill_together(*processes):
    """As when their host goes down: none of them can react to the end of another."""
    there = [process for process in processes if process]
    for process in there:
        process.send(signal.SIGKILL)
    for process in there:
        process.wait()


def runtime_record(zone, node=None):
    """run/zones/NAME/runtime.json, or None."""
    try:
        return json.loads(zone.node(node).path(f"run/zones/{zone.name}/runtime.json").read_text())
    except (OSError, ValueError):
        return None


def _process(zone, which, node):
    """The live one: a monitor that was killed leaves its record to the next."""
    record = (runtime_record(zone, node) or {}).get(which)
    process = ZoneProcess(record["pid"], record["start_time"]) if record else None
    return process if process and process.alive() else None


def qemu_of(zone, node=None):
    return _process(zone, "qemu", node)


def monitor_of(zone, node=None):
    return _process(zone, "monitor", node)


def processes_in(node, name):
    """All live processes of the host whose program is called so."""
    wanted = network_inode(node.pid)
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or (entry / "comm").read_text().strip() != name[:15]:
                continue
            if network_inode(int(entry.name)) == wanted:
                found.append(ZoneProcess(int(entry.name)))
        except (OSError, ValueError):
            continue  # it ended while we looked
    return [process for process in found if process.alive()]


def with_option(zone, option, node=None):
    """The host's monitors and guards of this zone whose command line holds that word."""
    return [process for process in processes_in(zone.node(node), "zoneadmd")
            if {option, zone.name} <= set(process.command_line())]


def guard_of(zone, node=None):
    """The one guard of the zone's machine; None while there is none, or a second one."""
    found = with_option(zone, "--guard", node)
    return found[0] if len(found) == 1 else None


def nothing_left(zone, node):
    """True when neither a monitor nor a machine runs on the host; for one zone in the lab."""
    host = zone.node(node)
    return not processes_in(host, "zoneadmd") and not processes_in(host, "qemu-system-x86")
