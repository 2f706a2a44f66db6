"""A migration that is slow enough for something to happen to it."""
import re
import threading

from harness import wait_until


class SlowLink:
    """What the host sends goes out at so many megabits per second."""

    def __init__(self, node, megabits):
        self._node = node
        self._limit = ["rate", f"{megabits}mbit", "burst", "256kb", "latency", "200ms"]

    def __enter__(self):
        self._node.run(["tc", "qdisc", "add", "dev", "uplink", "root", "tbf", *self._limit])
        return self

    def __exit__(self, *exception):
        self._node.run(["tc", "qdisc", "del", "dev", "uplink", "root"])

    def sent(self):
        """Bytes, since the host came up."""
        return int(self._node.run(["cat", "/sys/class/net/uplink/statistics/tx_bytes"]).stdout)


class Command:
    """A command on a host, with what it has said so far."""

    def __init__(self, node, argv):
        self._process = node.popen(argv, stdout=-1, stderr=-2, stdin=-3, text=True)
        self._said = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self._process.stdout as output:
            for line in output:
                self._said.append(line)

    @property
    def said(self):
        return "".join(self._said)

    def running(self):
        return self._process.poll() is None

    def wait_said(self, pattern, timeout=30):
        wait_until(lambda: re.search(pattern, self.said) or not self._reader.is_alive(), f"/{pattern}/", timeout)
        if not re.search(pattern, self.said):
            raise AssertionError(f"the command ended before it said /{pattern}/:\n{self.said}")

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self, timeout=120):
        """(status, all that it said)"""
        status = self._process.wait(timeout)
        self._reader.join()
        return status, self.said
