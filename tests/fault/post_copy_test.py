#!/usr/bin/python3
"""Something breaks or dies while a zone runs at its new host and still lacks memory. A connection that breaks is made
again; only the loss of the memory itself costs it, and then that is said, and the zone boots afresh at its new host."""
import unittest

from harness import Consoles, LabCase, Zone, ticks_of, wait_until
from harness.userfaultfd import allow_userfaultfd
from moving import Command, SlowLink
from processes import guard_of, monitor_of, nothing_left, processes_in, qemu_of

SLOW = 30  # megabits per second: the memory takes some ten seconds
FOLLOWS = "the rest of its memory follows"
BROKE = "The connection to node2 broke"
AGAIN = "Connected to node2 again: the zone goes on."
LOST = "what was in the zone's memory is lost"


class PostCopyCase(LabCase):
    """The zone runs on node1, and moves to node2 and its memory later."""
    nodes = ("node1", "node2")
    services = True
    settings = ""
    killed_monitors = False

    @classmethod
    def setUpClass(cls):
        allow_userfaultfd(cls)
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.source, cls.target = (cls.lab.node(name) for name in cls.nodes)
        for node in (cls.source, cls.target):
            file = node.path("etc/zones/settings")
            file.write_text((file.read_text() if file.exists() else "") + cls.settings)
        cls.zone.create()
        cls.consoles = cls.enterClassContext(Consoles(cls.zone, cls.nodes))
        terminal = cls.consoles.wait_session("node1")
        terminal.expect("ant1:[^ ]*# ", 60)
        terminal.send_line("kz-clock -i 10 & kz-memload -x -m 32 -r 4")
        terminal.expect(r"memload pass \d+ pages \d+ ok", 60)

    def departed(self):
        """A move whose zone runs on node2 already."""
        move = Command(self.source, ["zoneadm", "-z", "ant1", "migrate", "--post-copy", "--deadline", "1", "node2"])
        move.wait_said(FOLLOWS, 60)
        self.zone.wait_state("running", "post-copy", node="node2")
        return move

    def cut(self):
        self.target.run(["ip", "link", "set", "uplink", "down"])

    def mend(self):
        self.target.run(["ip", "link", "set", "uplink", "up"])

    def works(self):
        """The clock goes on, and no page is stale. No tick is lost or comes twice, but on the console of a monitor that
        was killed: its history ends where it was last saved."""
        if self.killed_monitors:
            first = self.newest_tick()
            wait_until(lambda: self.newest_tick() >= first + 50, "50 ticks", 90)
        else:
            self.consoles.wait_ticks(50, 90)
        for session in self.consoles.sessions():
            self.assertNotIn("MEMLOAD FAILED", session.text)

    def newest_tick(self):
        return max(tick.sequence for session in self.consoles.sessions() for tick in ticks_of(session.lines()[-200:]))

    def has_all(self):
        self.zone.wait_state("running", "", node="node2", timeout=120)
        self.works()
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes on node1", 60)
        self.zone.wait_state("configured", "", "node1")

    def is_lost(self, why):
        """Halted on node2, and it says why."""
        self.zone.wait_state("installed", "", node="node2", timeout=90)
        log = self.target.path("var/log/zones/ant1.log").read_text()
        self.assertRegex(log, f"{LOST}: {why}.*; the zone boots afresh")
        wait_until(lambda: nothing_left(self.zone, "node2"), "end of the zone's processes on node2")

    def boots_afresh(self):
        self.zone.boot(node="node2")
        self.zone.wait_state("running", "", "node2")
        refused = self.zone.zoneadm("boot", node="node1", check=False)
        self.assertEqual(refused.returncode, 1)


class Recovered(PostCopyCase):
    def tearDown(self):
        self.zone.zoneadm("migrate", "node1", node="node2")

    def test_link_is_cut_and_mended(self):
        with SlowLink(self.source, SLOW):
            move = self.departed()
            for _ in range(2):
                self.cut()
                try:
                    self.zone.wait_state("running", "post-copy,paused", node="node2", timeout=60)
                    move.wait_said(BROKE, 60)
                    self.assertTrue(move.running(), move.said)
                finally:
                    self.mend()
                self.zone.wait_state("running", "post-copy", node="node2", timeout=60)
                self.works()
            status, said = move.wait(240)
        self.assertEqual(status, 0, said)
        self.assertEqual(said.count(AGAIN), 2)
        self.assertIn("Migration successful.", said)
        self.has_all()

    def test_the_memory_gateway_is_started_again_before_the_link_is_cut(self):
        """The monitor asks the new one for the source's new connection."""
        with SlowLink(self.source, SLOW):
            move = self.departed()
            for daemon in processes_in(self.target, "kz-migrd"):
                daemon.kill()
            self.target.run(["kz-migrd", "--daemon"])
            self.cut()
            try:
                move.wait_said(BROKE, 60)
            finally:
                self.mend()
            status, said = move.wait(240)
        self.assertEqual(status, 0, said)
        self.has_all()


class MonitorKilled(PostCopyCase):
    killed_monitors = True

    def tearDown(self):
        self.zone.zoneadm("migrate", "node1", node="node2")

    def test_kill_of_the_target_monitor(self):
        with SlowLink(self.source, SLOW):
            move = self.departed()
            machine = qemu_of(self.zone, "node2")
            monitor_of(self.zone, "node2").kill()
            status, said = move.wait(240)
        self.assertEqual(status, 0, said)
        self.has_all()
        self.assertEqual(qemu_of(self.zone, "node2"), machine)

    def test_kill_of_the_source_monitor(self):
        with SlowLink(self.source, SLOW):
            move = self.departed()
            monitor_of(self.zone, "node1").kill()
            status, said = move.wait()
            self.assertEqual(status, 1, said)
            self.has_all()


class Lost(PostCopyCase):
    def test_kill_of_the_source_machine(self):
        with SlowLink(self.source, SLOW):
            move = self.departed()
            qemu_of(self.zone, "node1").kill()
            status, said = move.wait()
            self.assertEqual(status, 1)
            self.assertIn(f"ended before all memory had moved: {LOST}; node2 halts the zone, which boots afresh there", said)
            self.is_lost("node1 says: the zone's machine on node1 ended before all memory had moved")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes on node1")
        self.zone.wait_state("configured", "", "node1")
        self.boots_afresh()


class SourceHostLost(PostCopyCase):
    settings = "post-copy.wait = 5s\n"

    def test_loss_of_the_source_host(self):
        with SlowLink(self.source, SLOW):
            move = self.departed()
            for victim in (guard_of, monitor_of, qemu_of):
                victim(self.zone, "node1").kill()
            move.wait()
            self.is_lost("node1 could not be reached for 5 s")
        self.boots_afresh()


class GivenUp(PostCopyCase):
    def test_halt_at_either_side_while_they_cannot_reach_each_other(self):
        with SlowLink(self.source, SLOW):
            move = self.departed()
            self.cut()
            try:
                self.zone.wait_state("running", "post-copy,paused", node="node2", timeout=60)
                self.zone.zoneadm("halt", node="node2")
                self.zone.wait_state("installed", "", "node2")
                status, said = move.wait()  # host data tell the source
                self.assertEqual(status, 1)
                self.assertIn("node2 has given up what was still here of the zone's memory", said)
            finally:
                self.mend()
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes on node1")
        self.boots_afresh()


if __name__ == "__main__":
    unittest.main()
