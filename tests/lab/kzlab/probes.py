"""What a client of a zone sees while the zone moves. Both probes run in a thread of their own, on sockets that belong
to the client's network namespace, and are asked afterwards about any span of time (of time.monotonic())."""
import os
import select
import socket
import struct
import threading
import time

from .namespaces import LabError

NICENESS = -10  # the machine is busy emulating; a probe that waits for a core would measure that


class _Probe:
    def __init__(self):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run_nicely, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        self._thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    def _run_nicely(self):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        self._run()


def longest_gap(moments, since, until):
    """The longest time between neighbours of `moments` (sorted) that touches the span; its edges count, so that
    nothing at all is a gap as long as the span. Seconds."""
    before = [moment for moment in moments if moment < since]
    inside = [moment for moment in moments if since <= moment <= until]
    after = [moment for moment in moments if moment > until]
    points = [before[-1] if before else since, *inside, after[0] if after else until]
    return max(later - earlier for earlier, later in zip(points, points[1:]))


class Pinger(_Probe):
    """Sends an ICMP echo request each `interval` seconds and notes when answers come."""

    def __init__(self, node, address, interval=0.02):
        super().__init__()
        self.interval = interval
        self.sent = 0
        self.answers = {}  # sequence number -> time of the answer
        self._address = address
        self._identity = os.getpid() & 0xFFFF
        self._socket = node.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def outage_ms(self, since, until):
        """The longest time without an answer, beyond the interval at which they are asked for."""
        return max(0.0, (longest_gap(sorted(self.answers.values()), since, until) - self.interval) * 1000)

    def lost(self):
        return self.sent - len(self.answers)

    def _run(self):
        with self._socket:
            due = time.monotonic()
            while not self._stop.is_set():
                now = time.monotonic()
                if now >= due:
                    self._send()
                    due = max(due + self.interval, now)
                self._receive(due - time.monotonic())

    def _send(self):
        header = struct.pack("!BBHHH", 8, 0, 0, self._identity, self.sent & 0xFFFF)
        payload = struct.pack("!Q", self.sent) + bytes(range(40))
        checksum = struct.pack("!H", _internet_checksum(header + payload))
        packet = header[:2] + checksum + header[4:] + payload
        self.sent += 1
        try:
            self._socket.sendto(packet, (self._address, 0))
        except OSError:  # no route or no neighbour just now: a lost ping like any other
            pass

    def _receive(self, timeout):
        ready, _, _ = select.select([self._socket], [], [], max(0.0, timeout))
        if not ready:
            return
        try:
            packet = self._socket.recv(2048)
        except OSError:
            return
        body = packet[(packet[0] & 0xF) * 4:]
        if len(body) < 16 or body[0] != 0 or struct.unpack("!H", body[4:6])[0] != self._identity:
            return
        self.answers.setdefault(struct.unpack("!Q", body[8:16])[0], time.monotonic())


def _internet_checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class TcpEcho(_Probe):
    """Holds one connection to an echo server, sends a numbered line each `interval` seconds, and compares what comes
    back byte by byte."""

    def __init__(self, node, address, port=7, interval=0.02, connect_timeout=10):
        super().__init__()
        self.interval = interval
        self.error = None  # what ended it, if it was not stop()
        self.round_trips = []  # (time at which the line was sent, seconds until it was back)
        self._sent = []  # times, by line
        self._expected = b""
        self._socket = node.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.settimeout(connect_timeout)
        try:
            self._socket.connect((address, port))
        except OSError as error:
            self._socket.close()
            raise LabError(f"no connection to {address} port {port}: {error}") from None
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def lines(self):
        return len(self.round_trips)

    def longest_round_trip_ms(self, since=0.0, until=float("inf")):
        inside = [took for sent, took in self.round_trips if sent + took >= since and sent <= until]
        return max(inside, default=0.0) * 1000

    def wait_for_all(self, timeout=30):
        """Waits until every line sent so far is back. LabError when one is not, or came back changed."""
        wanted = len(self._sent)
        deadline = time.monotonic() + timeout
        while len(self.round_trips) < wanted and self.error is None:
            if time.monotonic() > deadline:
                raise LabError(f"only {len(self.round_trips)} of {wanted} lines came back in {timeout} s")
            time.sleep(0.01)
        if self.error is not None:
            raise LabError(f"the connection to the zone broke: {self.error}")

    def _run(self):
        with self._socket:
            due = time.monotonic()
            unsent = b""
            while not self._stop.is_set() and self.error is None:
                now = time.monotonic()
                if now >= due:
                    line = b"line %d of the echo test\n" % len(self._sent)
                    self._sent.append(now)
                    self._expected += line
                    unsent += line
                    due = max(due + self.interval, now)
                writing = [self._socket] if unsent else []
                ready, writable, _ = select.select([self._socket], writing, [], max(0.0, due - time.monotonic()))
                try:
                    if writable:
                        unsent = unsent[self._socket.send(unsent):]
                    if ready:
                        self._take(self._socket.recv(65536))
                except OSError as error:
                    self.error = str(error)

    def _take(self, data):
        if not data:
            self.error = "the zone closed it"
        elif not self._expected.startswith(data):
            self.error = f"after line {len(self.round_trips)} came {data[:80]!r} for {self._expected[:80]!r}"
        else:
            now = time.monotonic()
            for _ in range(data.count(b"\n")):
                sent = self._sent[len(self.round_trips)]
                self.round_trips.append((sent, now - sent))
            self._expected = self._expected[len(data):]
