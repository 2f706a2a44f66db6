#!/usr/bin/python3
"""What an administrator may ask of a live migration and sees of it: how fast, how long, and what then; that it can be
given up until it is done; and that nothing is left of many."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sys
import time
import unittest

from harness import Consoles, LabCase, Zone, longest_gap_ms, wait_until
from processes import monitor_of, nothing_left, processes_in, qemu_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from moving import Command, SlowLink  # noqa: E402

MIB = 1 << 20
PREFIX = "zoneadm: zone 'ant1': "
GOES_ON = "the zone goes on running on this host"
TOO_LATE = "too late: moved"
SLOW = 40  # megabits per second
BUSY = "-x -m 12 -r 200"  # of kz-memload: more than the slow link takes
# Whatever is typed is run in the background and nothing is echoed: no line of the clock is ever torn.
OBEY = "stty -echo; kz-clock -i 10 & while read -r line; do eval \"$line\" & done"


class Rest:
    """A host's REST service, by its unix socket."""

    def __init__(self, node):
        self._path = str(node.path("run/zones/rad.sock"))

    def ask(self, method, path, body=None):
        """(status, answer)"""
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self._path)
        try:
            connection.request(method, "/api/1" + path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()


class MovingCase(LabCase):
    """A zone with a clock. Each test begins where the one before has left it."""
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.consoles = cls.enterClassContext(Consoles(cls.zone, cls.nodes))
        terminal = cls.consoles.wait_session("node1")
        terminal.expect("ant1:[^ ]*# ", 60)
        terminal.send_line(OBEY)
        cls.consoles.wait_ticks(10)

    def setUp(self):
        self.here = self.running_on()
        self.there = next(node for node in self.nodes if node != self.here)
        self.zone.home = self.here
        self.source = self.lab.node(self.here)

    def tearDown(self):
        self.check_work()
        other = next(node for node in self.nodes if node != self.running_on())
        wait_until(lambda: nothing_left(self.zone, other), f"end of the zone's processes on {other}")

    def running_on(self):
        running = [node for node in self.nodes if self.zone.state(node) == ("running", "")]
        self.assertEqual(len(running), 1)
        return running[0]

    def check_work(self):
        self.consoles.wait_ticks(30)
        for session in self.consoles.sessions():
            self.assertNotIn("MEMLOAD FAILED", session.text)

    def tell_guest(self, line):
        self.consoles.wait_session(self.running_on()).send_line(line)

    def load(self, options):
        """A memory load, until the test ends."""
        begun = sum(self.passes(session) for session in self.consoles.sessions())
        works = lambda: sum(self.passes(session) for session in self.consoles.sessions()) > begun
        for attempt in (1, 2, 3):  # what is typed while the console moves may be lost
            self.tell_guest(f"kz-memload {options}")
            try:
                wait_until(works, "the memory load", 40)
                break
            except AssertionError:
                if attempt == 3:
                    raise
        self.addCleanup(lambda: self.tell_guest("killall kz-memload"))

    def end_load(self):
        """And waits for its end: commands run side by side, and this one would end a load that begins behind it."""
        ends = lambda: sum(session.text.count("load-ended-42") for session in self.consoles.sessions())
        before = ends()
        self.tell_guest("killall kz-memload; echo load-ended-$((6*7))")
        wait_until(lambda: ends() > before, "the end of the memory load", 60)

    @staticmethod
    def passes(session):
        return len(re.findall(r"memload pass \d+ pages \d+ ok", session.text))

    def begin(self, *options):
        return Command(self.source, ["zoneadm", "-z", "ant1", "migrate", *options, self.there])

    def move(self, *options, timeout=180):
        """(the report or None, the messages, the figures on the way)"""
        status, said = self.begin("--json", *options).wait(timeout)
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        reports = [event["report"] for event in events if "report" in event]
        self.assertEqual(status, 0 if reports else 1, said)
        self.assertEqual(self.zone.state(self.there if reports else self.here), ("running", ""))
        messages = [event["message"] for event in events if "message" in event]
        messages += [event["error"]["message"] for event in events if "error" in event]
        return (reports[0] if reports else None), messages, [event["progress"] for event in events if "progress" in event]


class Policy(MovingCase):
    # How fast

    def test_bandwidth_is_of_all_connections_together(self):
        """Measured on the wire, where nothing but the connections for memory is capped; the switch is not fooled by
        what waits in buffers, so the pause stays what was asked for, with some time for a machine that is busy."""
        self.load("-x -m 24 -r 1")
        rate = 5 * MIB
        before = self.wire_bytes()
        report, _, figures = self.move("--bandwidth", "5M", "--connections", "3", "--max-pause", "300")
        seconds = report["total_ms"] / 1000
        self.assertLess(report["bytes"], rate * (seconds + 0.5))
        self.assertLess(self.wire_bytes() - before, rate * 1.1 * (seconds + 1))
        self.assertGreater(report["bytes"], 24 * MIB)
        self.assertLess(report["pause_ms"], 2500)
        rates = [each["bytes_per_second"] for each in figures[4:-1]]
        self.assertLess(max(rates), rate * 1.2)
        self.assertEqual({each["bandwidth_bytes"] for each in figures}, {rate})
        self.assertEqual(len(report["connection_bytes"]), 4)
        self.assertEqual(sum(report["connection_bytes"]), report["bytes"])

    def wire_bytes(self):
        return int(self.source.run(["cat", "/sys/class/net/uplink/statistics/tx_bytes"]).stdout)

    def test_bandwidth_is_changed_while_it_runs(self):
        self.load("-x -m 24 -r 1")
        rest = Rest(self.source)
        status, started = rest.ask("POST", "/zones/ant1/migrations", {"destination": self.there, "bandwidth": 300_000})
        self.assertEqual(status, 200, started)
        one = f"/zones/ant1/migrations/{started['id']}"
        figures = lambda: rest.ask("GET", one)[1]["progress"] or {}  # noqa: E731
        wait_until(lambda: figures().get("transferred", 0) > 300_000, "memory on the wire")
        self.assertEqual(figures()["bandwidth_bytes"], 300_000)
        self.zone.zoneadm("migrate", "--set-bandwidth", "400K")
        wait_until(lambda: figures()["bandwidth_bytes"] == 400 * 1024, "the new limit")
        self.assertEqual(rest.ask("GET", one)[1]["status"], "running")
        status, answer = rest.ask("PATCH", one, {"bandwidth": 0})
        self.assertEqual(status, 200, answer)
        wait_until(lambda: rest.ask("GET", one)[1]["status"] == "succeeded", "the end of the move", 90)
        self.assertEqual(self.running_on(), self.there)
        self.assertEqual(rest.ask("PATCH", one, {"bandwidth": 5000})[0], 409)
        done = self.zone.zoneadm("migrate", "--set-bandwidth", "1M", node=self.there, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, PREFIX + "no live migration of the zone is under way\n"))

    # How long

    def test_deadline_after_which_it_is_given_up(self):
        self.load(BUSY)
        with SlowLink(self.source, SLOW):
            report, messages, figures = self.move("--deadline", "6")
        self.assertIsNone(report)
        self.assertIn("Cleaning up.", messages)
        self.assertRegex(messages[-1], r"not done within 6 seconds: memory changes at [\d.]+ MB/s and moves at [\d.]+ "
                                       r"MB/s; [\d.]+ MB are left, which is a pause of \d+ ms")
        self.assertIn(GOES_ON, messages[-1])
        self.assertIsNotNone(self.move()[0])

    def test_deadline_after_which_it_is_forced(self):
        self.load(BUSY)
        with SlowLink(self.source, SLOW):
            report, messages, _ = self.move("--deadline", "6", "--on-deadline", "force")
        self.assertIsNotNone(report)
        decision = next(message for message in messages if "forcing the switch" in message)
        self.assertIn("not done within 6 seconds: ", decision)
        self.assertLess(messages.index(decision), messages.index("Suspending zone on source host."))
        self.assertGreater(report["pause_ms"], 300)

    def test_without_a_deadline_it_ends_by_itself(self):
        """The guest is slowed down first."""
        self.load(BUSY)
        with SlowLink(self.source, SLOW):
            report, messages, figures = self.move("--max-pause", "20", timeout=400)
        slowed = [each["throttle_percent"] for each in figures]
        self.assertEqual(slowed, sorted(slowed))
        self.assertGreater(slowed[-1], 0)
        self.assertTrue(any("slowing the zone's processors down" in message for message in messages))
        if report is None:
            self.assertRegex(messages[-1], r"it does not converge: memory changes at .*--max-pause.*--deadline")
            self.assertIn(GOES_ON, messages[-1])
        else:  # what a guest can change in a hundredth of the processor's time is up to the machine
            self.assertGreater(slowed[-1], 50)

    # What is seen

    def test_live_line(self):
        self.load("-x -m 24 -r 1")
        with SlowLink(self.source, SLOW), self.source.terminal(["zoneadm", "-z", "ant1", "migrate", self.there]) as terminal:
            terminal.expect(re.escape(PREFIX + "Starting migration."))
            terminal.expect(r"\r +\d+%  sent \d+ MiB at \d+\.\d MB/s  changing \d+\.\d MB/s  pause now \d+ ms  "
                            r"(\d+ s|\d+:\d\d min) left\x1b\[K\r", 60)
            terminal.send("\x03")
            terminal.expect(re.escape(PREFIX + "Cleaning up."))
            terminal.expect(re.escape("migration failed: "))
            self.assertEqual(terminal.wait(60), 1)
        self.assertEqual(self.running_on(), self.here)

    def test_journal_of_both_hosts(self):
        before = {node: self.zone.history(node) for node in self.nodes}
        with SlowLink(self.source, 10 * SLOW):  # where the link is what limits, memory is compressed
            report = self.move("-c", "chacha20-poly1305", "--connections", "2")[0]
        out, came = (wait_until(lambda: self.zone.history(node)[len(before[node]):], f"the entry of {node}")
                     for node in (self.here, self.there))
        self.assertEqual((len(out), len(came)), (1, 1))
        self.assertEqual({key: out[0][key] for key in report}, report)
        key = self.lab.node(self.there).run(["kz-radd", "--fingerprint"]).stdout.strip()
        self.assertEqual((out[0]["peer"], out[0]["fingerprint"], out[0]["direction"]), (self.there, key, "out"))
        self.assertGreater(out[0]["compression"], 1)
        self.assertEqual((came[0]["peer"], came[0]["direction"], came[0]["cipher"], came[0]["connections"]),
                         (self.here, "in", "chacha20-poly1305", 2))
        self.assertEqual(came[0]["bytes"], report["bytes"])
        for node, entry in ((self.here, out[0]), (self.there, came[0])):
            self.assertEqual(Rest(self.lab.node(node)).ask("GET", "/zones/ant1/migrations")[1]["journal"][-1], entry)
        self.assertRegex(self.zone.zoneadm("history").stdout, rf"live .* chacha20-poly1305 +2 to {self.there}\n$")
        self.assertRegex(self.zone.zoneadm("history", node=self.there).stdout, rf"live .* from {self.here}\n$")

    # Given up

    def test_interrupt_in_each_phase(self):
        """As soon as each phase is said; what comes of it is one or the other, never both."""
        for phase in ("zone configuration", "Attaching", "Booting", "Checking", "Starting migration", "Suspending",
                      "Waiting for migration", "Migration successful"):
            with self.subTest(phase=phase):
                self.setUp()
                machine = qemu_of(self.zone, self.here)
                move = self.begin()
                move.wait_said(phase, 60)
                move.signal(signal.SIGINT)
                status, said = move.wait()
                if status == 0:
                    self.assertIn("Migration successful.", said)
                    self.assertTrue(said.endswith(f"{PREFIX}{TOO_LATE}\n"), said)
                    self.assertEqual(self.running_on(), self.there)
                    self.assertIn(phase, ("Suspending", "Waiting for migration", "Migration successful", "Starting migration"))
                else:
                    self.assertEqual(status, 1)
                    self.assertIn("Cleaning up.", said)
                    self.assertIn(GOES_ON, said)
                    self.assertEqual(self.running_on(), self.here)
                    self.assertEqual(qemu_of(self.zone, self.here), machine)
                    self.assertNotEqual(phase, "Migration successful")
                    self.assertEqual(self.begin("-q").wait(), (0, ""))
                self.check_work()

    def test_delete_over_rest(self):
        self.load("-x -m 24 -r 1")
        rest = Rest(self.source)
        with SlowLink(self.source, SLOW):
            _, started = rest.ask("POST", "/zones/ant1/migrations", {"destination": self.there})
            one = f"/zones/ant1/migrations/{started['id']}"
            wait_until(lambda: rest.ask("GET", one)[1]["progress"], "memory on its way", 60)
            self.assertEqual(rest.ask("DELETE", one)[0], 200)
            ended = wait_until(lambda: (now := rest.ask("GET", one)[1])["status"] != "running" and now, "its end", 60)
        self.assertEqual(ended["status"], "cancelled")
        self.assertIn("Cleaning up.", ended["messages"])
        self.assertEqual(self.running_on(), self.here)
        _, started = rest.ask("POST", "/zones/ant1/migrations", {"destination": self.there})
        one = f"/zones/ant1/migrations/{started['id']}"
        wait_until(lambda: rest.ask("GET", one)[1]["status"] == "succeeded", "a second one, at once", 90)
        status, answer = rest.ask("DELETE", one)
        self.assertEqual(status, 409)
        self.assertIn(TOO_LATE, answer["error"]["message"])


class Many(MovingCase):
    MOVES = 20

    def test_nothing_is_left_of_many_migrations(self):
        self.load("-m 32 -r 10")
        for _ in range(2):  # what is opened once and kept is open by now
            self.hop()
        before = self.settled()
        for _ in range(self.MOVES):
            self.hop()
        ticks = self.consoles.wait_ticks(50)
        self.assertLess(longest_gap_ms(ticks, 10), 20_000)
        self.check_work()
        try:
            wait_until(lambda: self.left_behind() == before, "what there was before", 30)
        except AssertionError:
            self.maxDiff = None
            self.assertEqual(self.left_behind(), before)

    def hop(self):
        self.setUp()
        self.zone.zoneadm("migrate", self.there)

    def settled(self):
        """What is there once nothing changes any more for a second: daemons let go of a zone that left a moment later."""
        seen = [(time.monotonic(), self.left_behind())]

        def unchanged():
            now = self.left_behind()
            if now != seen[0][1]:
                seen[0] = (time.monotonic(), now)
            return time.monotonic() - seen[0][0] > 1
        wait_until(unchanged, "a host that has come to rest")
        return seen[0][1]

    def left_behind(self):
        """Of each host: its processes with their threads and descriptors, namespaces, interfaces, and files of run."""
        found = {}
        for name in self.nodes:
            node = self.lab.node(name)
            daemons = [process for program in ("kz-radd", "kz-migrd") for process in processes_in(node, program)]
            of_zone = [process for process in (monitor_of(self.zone, name), qemu_of(self.zone, name)) if process]
            found[name] = {
                "daemons": [(process.pid, self.descriptors(process), process.status("Threads")) for process in daemons],
                "zone": [self.descriptors(process) for process in of_zone],
                "processes": sorted(self.program(process) for process in processes_of(node)),
                "interfaces": sorted(os.path.basename(line) for line in node.run(["ls", "/sys/class/net"]).stdout.split()),
                "files": sorted(str(path.relative_to(node.root)) for folder in ("run", "etc", "var/lib")
                                for path in node.path(folder).rglob("*"))}
        return found

    @staticmethod
    def descriptors(process):
        """By what they are, without the numbers that the kernel gives."""
        folder = pathlib.Path(f"/proc/{process.pid}/fd")
        kinds = []
        for each in folder.iterdir():
            try:
                kinds.append(re.sub(r"[0-9a-f]{4,}|\d+", "N", os.readlink(each)))
            except OSError:
                continue  # closed since
        return sorted(kinds)

    @staticmethod
    def program(process):
        return pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip()


def processes_of(node):
    """All of the host but what looks at it."""
    return [process for name in ("zoneadmd", "qemu-system-x86", "kz-radd", "kz-migrd", "zoneadm", "zonecfg", "ssh")
            for process in processes_in(node, name)]


if __name__ == "__main__":
    unittest.main()
