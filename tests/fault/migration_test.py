#!/usr/bin/python3
"""Something dies while a zone moves. Before the commit the zone goes on at the source, whatever it is, and the
destination is clean; then it moves as if nothing had been."""
import signal
import time
import unittest

from harness import Consoles, LabCase, Zone, wait_until
from moving import Command, SlowLink
from processes import monitor_of, nothing_left, processes_in, qemu_of

SLOW = 60  # megabits per second: the memory takes some seconds
SOME = 6 << 20  # bytes that have gone out: in the middle of the memory
GOES_ON = "the zone goes on running on this host"


class Migration(LabCase):
    """The zone runs on node1 and is to move to node2."""
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.source, cls.target = (cls.lab.node(name) for name in cls.nodes)

        cls.consoles = cls.enterClassContext(Consoles(cls.zone, cls.nodes))
        terminal = cls.consoles.wait_session("node1")
        terminal.expect("ant1:[^ ]*# ", 60)
        terminal.send_line("kz-clock -i 10 & kz-memload -x -m 32 -r 4")
        terminal.expect(r"memload pass \d+ pages \d+ ok", 60)

    def setUp(self):
        self.assertEqual(self.zone.state("node1"), ("running", ""))

    def begin(self):
        return Command(self.source, ["zoneadm", "-z", "ant1", "migrate", "node2"])

    def in_the_middle(self, link):
        """A migration whose memory is on its way."""
        move = self.begin()
        before = link.sent()
        move.wait_said("Starting migration")
        wait_until(lambda: link.sent() > before + SOME, "memory on the wire")
        self.assertTrue(move.running(), move.said)
        self.zone.wait_state("running", "migrating-out", "node1")
        self.zone.wait_state("running", "migrating-in", "node2")
        return move

    def goes_on_at_the_source(self, machine, move=None):
        if move is not None:
            status, said = move.wait()
            self.assertEqual(status, 1, said)
            self.assertIn("Cleaning up.", said)
            self.assertIn("migration failed: ", said)
            self.assertIn(GOES_ON, said)
        self.zone.wait_state("running", "", "node1")
        self.assertEqual(qemu_of(self.zone, "node1"), machine)
        self.consoles.wait_ticks(50)
        for session in self.consoles.sessions():
            self.assertNotIn("MEMLOAD FAILED", session.text)
        wait_until(lambda: nothing_left(self.zone, "node2"), "end of the zone's processes on node2")
        wait_until(lambda: self.zone.state("node2")[0] in ("unknown", "configured"), "the zone as it was on node2")

    def moves_there_and_back(self):
        for here, there in (("node1", "node2"), ("node2", "node1")):
            self.zone.zoneadm("migrate", there, node=here)
            self.consoles.wait_ticks(20)

    # The destination

    def test_kill_of_the_target_monitor(self):
        machine = qemu_of(self.zone, "node1")
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            monitor_of(self.zone, "node2").kill()
            self.goes_on_at_the_source(machine, move)
        self.moves_there_and_back()

    def test_kill_of_the_target_machine(self):
        machine = qemu_of(self.zone, "node1")
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            qemu_of(self.zone, "node2").kill()
            self.goes_on_at_the_source(machine, move)
        self.moves_there_and_back()

    def test_kill_of_both_on_the_target(self):
        machine = qemu_of(self.zone, "node1")
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            monitor, there = monitor_of(self.zone, "node2"), qemu_of(self.zone, "node2")
            monitor.kill()
            there.kill()
            self.goes_on_at_the_source(machine, move)
        self.moves_there_and_back()

    def test_kill_from_the_first_moment_on(self):
        """As soon as there is a machine on the target, and at moments after that."""
        # A slow link, so that a fast machine is not through before the blow falls.
        with SlowLink(self.source, SLOW):
            for victim in (monitor_of, qemu_of):
                for moment in (0, 0.01, 0.02, 0.04, 0.07, 0.11, 0.2, 0.3, 0.5):
                    with self.subTest(victim=victim.__name__, moment=moment):
                        self.kill_after(victim, moment)
        self.moves_there_and_back()

    def kill_after(self, victim, seconds):
        machine = qemu_of(self.zone, "node1")
        move = self.begin()
        found = wait_until(lambda: victim(self.zone, "node2") or not move.running(), "a machine on node2")
        moment = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= moment or not move.running(), "the moment")
        self.assertTrue(move.running(), move.said)
        found.kill()
        self.goes_on_at_the_source(machine, move)

    def test_kill_of_the_remote_administration(self):
        machine = qemu_of(self.zone, "node1")
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            for daemon in processes_in(self.target, "kz-radd"):
                daemon.kill()
            self.goes_on_at_the_source(machine, move)
        self.target.run(["kz-radd", "--daemon"])
        self.moves_there_and_back()

    def test_kill_of_the_memory_gateway_disturbs_nothing(self):
        """It has handed the connections on to the monitor."""
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            for daemon in processes_in(self.target, "kz-migrd"):
                daemon.kill()
            self.assertEqual(move.wait()[0], 0, move.said)
        self.consoles.wait_ticks(50)
        self.target.run(["kz-migrd", "--daemon"])
        self.zone.zoneadm("migrate", "node1", node="node2")

    def test_network_is_cut(self):
        machine = qemu_of(self.zone, "node1")
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            self.target.run(["ip", "link", "set", "uplink", "down"])
            try:
                status, said = move.wait()
                self.assertEqual(status, 1, said)
                self.assertIn(GOES_ON, said)
                self.zone.wait_state("running", "", "node1")
                self.consoles.wait_ticks(50)
            finally:
                self.target.run(["ip", "link", "set", "uplink", "up"])
            self.goes_on_at_the_source(machine)
        self.moves_there_and_back()

    # The source

    def test_interrupt(self):
        machine = qemu_of(self.zone, "node1")
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            move.signal(signal.SIGINT)
            self.goes_on_at_the_source(machine, move)
        self.moves_there_and_back()

    def test_kill_of_the_command(self):
        """The migration is the monitor's: it goes on without anybody who watches."""
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            move.signal(signal.SIGKILL)
            move.wait()
            self.zone.wait_state("running", "", node="node2", timeout=60)
        self.zone.wait_state("configured", node="node1")
        self.consoles.wait_ticks(50)
        self.zone.zoneadm("migrate", "node1", node="node2")


if __name__ == "__main__":
    unittest.main()
