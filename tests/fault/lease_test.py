#!/usr/bin/python3
"""The processes that hold a zone's lease die or stand still: the machine goes on with new ones, or ends before another
host may have its disk."""
import time
import unittest

from harness import wait_until
from processes import guard_of, monitor_of, nothing_left, qemu_of, with_option
from stored import FENCE, HALTED, PATIENCE, Clock, StorageCase, StoredZone, go_on, stop
from workload import fresh_prompt

STARTED = "the zone's monitor is gone; starting another one"
FENCED = "the lease on the storage has run out: ending the zone's machine"


class Lease(StorageCase):
    """The zone runs on node1 with a clock on its console; each test leaves it so."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.zone = StoredZone(cls.lab)
        cls.zone.create()
        cls.zone.share_with("node2")

    def setUp(self):
        self.zone.recover()
        self.console = self.enterContext(self.zone.console("node1"))
        fresh_prompt(self.console)
        self.clock = Clock(self.console, 20)
        self.machine, self.monitor = qemu_of(self.zone), monitor_of(self.zone)
        self.guard = guard_of(self.zone)

    def heartbeat(self):
        """What changes with each renewal: the disk's last MiB, as it lies there."""
        return self.zone.boot_disk.read(self.zone.boot_disk.path.stat().st_size - (1 << 20), 1 << 20)

    def lease_goes_on(self):
        """The disk tells so, for longer than it would without anybody."""
        end = time.monotonic() + FENCE
        while time.monotonic() < end:
            before = self.heartbeat()
            wait_until(lambda: self.heartbeat() != before, "a renewal", PATIENCE)
        self.assertTrue(self.machine.alive())
        self.zone.wait_state("running", "")

    def guest_goes_on(self):
        """What it printed while nobody took it may be lost; it has not stood still, nor gone back."""
        self.clock.wait_for_more(50)
        numbers = [tick.sequence for tick in self.clock.ticks()]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(qemu_of(self.zone), self.machine)

    def new_monitor(self):
        return wait_until(lambda: (found := monitor_of(self.zone)) and found != self.monitor and found.alive() and found,
                          "another monitor", PATIENCE)

    def ends_the_clock(self):
        self.console.interrupt()

    def test_monitor_is_killed(self):
        self.monitor.kill()
        self.new_monitor()
        self.lease_goes_on()
        self.guest_goes_on()
        self.assertIn(STARTED, self.zone.log("node1"))
        self.assertEqual(guard_of(self.zone), self.guard)
        self.ends_the_clock()

    def test_monitor_is_killed_again_and_again(self):
        for _ in range(4):
            self.monitor.kill()
            self.monitor = self.new_monitor()
        self.lease_goes_on()
        self.guest_goes_on()
        self.assertEqual(guard_of(self.zone), self.guard)
        self.ends_the_clock()

    def test_guard_is_killed(self):
        self.guard.kill()
        wait_until(lambda: guard_of(self.zone), "another guard", PATIENCE)
        self.lease_goes_on()
        self.guest_goes_on()
        self.assertEqual(monitor_of(self.zone), self.monitor)
        # The new one has been told of the lease: it ends the machine of a monitor that stands still.
        self.monitor_stands_still()

    def monitor_stands_still(self):
        """And its machine ends in time, by the guard alone."""
        at = len(self.zone.log("node1"))
        stop(self.monitor)
        wait_until(lambda: not self.machine.alive(), "end of the machine", PATIENCE)
        self.assertIn(FENCED, self.zone.log("node1")[at:])
        go_on(self.monitor)
        wait_until(lambda: not self.monitor.alive(), "end of the monitor", PATIENCE)
        self.assertRegex(self.zone.log("node1")[at:], r"zoneadmd\[\d+\]: error: the zone's machine was ended: .*storage")
        self.console.expect(HALTED)
        self.zone.wait_state("unavailable", "")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.zone.zoneadm("attach")
        self.zone.boot()

    def test_monitor_stands_still(self):
        self.monitor_stands_still()

    def test_new_monitor_cannot_take_over(self):
        """It is started, and then stands still before it has done anything."""
        at = len(self.zone.log("node1"))
        stop(self.guard)
        self.monitor.kill()
        go_on(self.guard)
        successor = wait_until(lambda: with_option(self.zone, "--adopt"), "another monitor", PATIENCE)[0]
        stop(successor)
        self.addCleanup(go_on, successor)
        wait_until(lambda: not self.machine.alive(), "end of the machine", PATIENCE)
        self.assertIn(FENCED, self.zone.log("node1")[at:])
        go_on(successor)
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes", PATIENCE)
        self.assertIn(self.zone.state()[0], ("installed", "unavailable"))
        if self.zone.state()[0] == "unavailable":
            self.zone.zoneadm("attach")
        self.zone.boot()

    def test_monitor_and_guard_are_killed(self):
        """Two faults at once: the next command finds the machine, and holds the lease on."""
        stop(self.monitor)
        stop(self.guard)
        self.guard.kill()
        self.monitor.kill()
        self.assertTrue(self.machine.alive())
        status, said = self.zone.said("boot", node="node1")
        self.assertEqual(status, 1)
        self.assertIn("boot operation is invalid for running zones.", said)
        self.new_monitor()
        self.assertTrue(guard_of(self.zone))
        self.lease_goes_on()
        self.guest_goes_on()
        self.ends_the_clock()

    def test_host_sleeps(self):
        """All of the zone's processes stand still for longer than a takeover takes, and then go on at once. What the
        machine may still do before its guard is scheduled is told in docs/PROTOCOL.md, section 8: limits."""
        at = len(self.zone.log("node1"))
        shown = self.sleeping(self.taken_over)
        wait_until(lambda: not self.machine.alive(), "end of a machine that has slept", PATIENCE)
        self.assertIn(FENCED, self.zone.log("node1")[at:])
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes on node1", PATIENCE)
        self.zone.wait_state("unavailable", "", "node1")
        self.assertLess(self.clock.shown() - shown, 50, "it ran on")
        status, said = self.zone.said("attach", node="node1")
        self.assertEqual(status, 1)
        self.check_in_use(said, self.zone, "node2")
        self.zone.wait_state("running", "", "node2")
        self.zone.zoneadm("halt", node="node2")
        self.zone.zoneadm("detach", node="node2")
        self.zone.zoneadm("attach", node="node1")
        self.zone.boot(node="node1")

    def sleeping(self, meanwhile):
        """Returns the last tick before."""
        processes = (self.machine, self.monitor, self.guard)
        for process in processes:
            stop(process)
        shown = self.clock.shown()
        try:
            meanwhile()
        finally:
            for process in processes:
                go_on(process)
        return shown

    def taken_over(self):
        status, said = self.zone.said("attach", "-x", "force-takeover", node="node2")
        self.assertEqual(status, 0, said)
        self.zone.boot(node="node2")


if __name__ == "__main__":
    unittest.main()
