#!/usr/bin/python3
"""The source of a migration loses its monitor or its machine while memory moves."""
import unittest

from harness import LabCase, Zone, ticks_of, wait_until
from moving import Command, SlowLink
from processes import monitor_of, nothing_left, qemu_of
from workload import Workload, fresh_prompt

SLOW = 60  # megabits per second


class Source(LabCase):
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.source = cls.lab.node("node1")
        cls.zone.create()

    def setUp(self):
        self.assertEqual(self.zone.state(), ("running", ""))
        self.console = self.enterContext(self.zone.console())
        fresh_prompt(self.console)

    def in_the_middle(self, link, some):
        move = Command(self.source, ["zoneadm", "-z", "ant1", "migrate", "node2"])
        before = link.sent()
        move.wait_said("Starting migration")
        wait_until(lambda: link.sent() >= before + some, "memory on the wire")
        self.assertTrue(move.running(), move.said)
        return move

    def target_is_clean(self):
        wait_until(lambda: nothing_left(self.zone, "node2"), "end of the zone's processes on node2")
        wait_until(lambda: self.zone.state("node2")[0] in ("unknown", "configured"), "the zone as it was on node2")

    def moves_there_and_back(self):
        for here, there in (("node1", "node2"), ("node2", "node1")):
            self.zone.zoneadm("migrate", there, node=here)

    def test_monitor(self):
        """The machine goes on without it; the next command brings a new one, and all is as before."""
        work = Workload(self.console, "kz-memload -x -m 32 -r 4")
        machine = qemu_of(self.zone)
        with SlowLink(self.source, SLOW) as link:
            for some in (0, 2 << 20, 8 << 20, 12 << 20):
                with self.subTest(sent=some):
                    move = self.in_the_middle(link, some)
                    shown = ticks_of(work.lines())[-1].sequence
                    monitor_of(self.zone).kill()
                    self.assertEqual(move.wait()[0], 1, move.said)
                    self.target_is_clean()
                    self.assertTrue(machine.alive())
                    self.zone.wait_state("running")
                    done = self.zone.zoneadm("boot", check=False)
                    self.assertIn("boot operation is invalid for running zones.", done.stderr)
                    self.zone.wait_state("running", "")
                    self.assertEqual(qemu_of(self.zone), machine)
                    self.goes_on(work, shown)
        self.moves_there_and_back()

    def goes_on(self, work, shown):
        """What the guest prints while nobody takes it is lost. But it has not stood still nor gone back."""
        wait_until(lambda: ticks_of(work.lines())[-1].sequence > shown + 100, "the clock")
        numbers = [tick.sequence for tick in ticks_of(work.lines())]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.console.expect(r"memload pass \d+ pages \d+ ok")
        work.check_memory()

    def test_machine(self):
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link, 4 << 20)
            qemu_of(self.zone).kill()
            self.assertEqual(move.wait()[0], 1, move.said)
        self.target_is_clean()
        self.zone.wait_state("installed")
        self.assertIn("killed by signal 9", self.source.path("var/log/zones/ant1.log").read_text())
        self.zone.zoneadm("boot")
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.console.wait_prompt()
        self.moves_there_and_back()


if __name__ == "__main__":
    unittest.main()
