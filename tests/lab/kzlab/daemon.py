"""A server program on a host of the lab. It outlives the process that started it, and is found again by the file that
names its process."""
import json
import os
import pathlib
import signal
import subprocess
import time

from .namespaces import LabError, is_process, start_time


class Daemon:
    def __init__(self, node, files):
        """`files`: a path without its suffix: FILES.log is what it prints, FILES.json its process."""
        self._node = node
        self._log = pathlib.Path(f"{files}.log")
        self._record = pathlib.Path(f"{files}.json")
        self._child = None  # when it is our own, it has to be reaped

    def start(self, argv):
        if self.running():
            raise LabError(f"{argv[0]} of {self._node.name} runs already")
        self._record.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log, "ab") as log:
            self._child = self._node.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True)
        self._record.write_text(json.dumps({"pid": self._child.pid, "started": start_time(self._child.pid)}))

    def wait_until(self, condition, deadline):
        while not condition():
            if not self.running():
                raise LabError(f"a server of {self._node.name} ended at once:\n{self.log()}")
            if time.monotonic() > deadline:
                raise LabError(f"a server of {self._node.name} is not ready in time:\n{self.log()}")
            time.sleep(0.02)

    def running(self):
        return self._pid() is not None and (self._child is None or self._child.poll() is None)

    def signal(self, number):
        pid = self._pid()
        if pid is None:
            raise LabError(f"the server of {self._record} does not run")
        os.kill(pid, number)

    def freeze(self, timeout=10):
        """Stops it where it is; returns when none of its threads runs any more."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + timeout
        while not self._frozen():
            if time.monotonic() > deadline:
                raise LabError(f"the server of {self._record} does not stop")
            time.sleep(0.005)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def _frozen(self):
        states = []
        for stat in pathlib.Path(f"/proc/{self._pid()}/task").glob("*/stat"):
            try:
                states.append(stat.read_text().rpartition(")")[2].split()[0])
            except OSError:
                return False
        return states != [] and set(states) == {"T"}

    def stop(self, timeout=10):
        """At once, whether it is stopped or not."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        self.reap()
        deadline = time.monotonic() + timeout
        while self._pid() is not None:
            if time.monotonic() > deadline:
                raise LabError(f"process {pid} of {self._node.name} does not end")
            time.sleep(0.01)
        self._record.unlink(missing_ok=True)

    def reap(self):
        """After somebody else has ended it."""
        if self._child is not None:
            self._child.wait()
            self._child = None

    def log(self):
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _pid(self):
        try:
            record = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return None
        return record["pid"] if is_process(record["pid"], record["started"]) else None
