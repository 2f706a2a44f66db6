"""Consoles: someone sits at the console of a zone on every host at once, and stays there while the zone moves.

On a host where the zone has no console yet, zlogin is started again until it has one, so that the first line that comes
out after a move is seen when it comes."""
import threading
import time

from kzlab import Terminal

from .clock import Tick, check_consecutive, check_increasing, ticks_of

RETRY = 0.1  # seconds


class Consoles:
    def __init__(self, zone, nodes):
        self._zone = zone
        self._sessions = []  # (node, Terminal) that said that they are connected, in that order
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(name,), daemon=True) for name in nodes]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, name):
        node = self._zone.node(name)
        while not self._stop.is_set():
            with node.terminal(["zlogin", "-C", self._zone.name]) as terminal:
                connected = False
                while terminal.is_open() and not self._stop.is_set():
                    if not connected and "[Connected to" in terminal.text:
                        connected = True
                        with self._lock:
                            self._sessions.append((name, terminal))
                    time.sleep(0.02)
            self._stop.wait(RETRY)

    def sessions(self, node=None):
        with self._lock:
            return [terminal for name, terminal in self._sessions if node in (None, name)]

    def wait_session(self, node, timeout=30) -> Terminal:
        """The latest session on the host, when there is one that is open."""
        deadline = time.monotonic() + timeout
        while True:
            for terminal in reversed(self.sessions(node)):
                if terminal.is_open():
                    return terminal
            if time.monotonic() > deadline:
                raise AssertionError(f"no console of {self._zone.name} on {node} in {timeout} s")
            time.sleep(0.02)

    def ticks(self) -> list[Tick]:
        """Every tick once, with the time when it was first seen. AssertionError when one console shows a tick twice or
        out of order, or a tick is on none of them. That a console opened later begins with lines which others have
        shown is its history, and no fault."""
        first_seen = {}
        for terminal in self.sessions():
            shown = ticks_of(terminal.lines())
            check_increasing(shown)
            for tick in shown:
                if tick.sequence not in first_seen or tick.moment < first_seen[tick.sequence].moment:
                    first_seen[tick.sequence] = tick
        ticks = [first_seen[sequence] for sequence in sorted(first_seen)]
        check_consecutive(ticks)
        return ticks

    def wait_ticks(self, count, timeout=60):
        """Waits until so many more ticks were seen, wherever, and returns all."""
        return self.wait_tick(self._newest() + count, timeout)

    def wait_tick(self, sequence, timeout=60):
        """Waits until the clock has come to that number, and returns all ticks."""
        deadline = time.monotonic() + timeout
        while self._newest() < sequence:
            if time.monotonic() > deadline:
                raise AssertionError(f"the clock stands at tick {self._newest()} and not at {sequence} after {timeout} s")
            time.sleep(0.02)
        return self.ticks()

    def _newest(self):
        newest = 0
        for terminal in self.sessions():
            ticks = ticks_of(terminal.lines()[-200:])
            newest = max(newest, ticks[-1].sequence if ticks else 0)
        return newest
