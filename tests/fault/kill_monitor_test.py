#!/usr/bin/python3
"""A zone's monitor is killed: its guest does not notice, and the next command takes the machine over."""
import re
import subprocess
import unittest

from harness import LabCase, Zone, ticks_of, wait_until
from harness.clock import check_increasing
from processes import monitor_of, nothing_left, qemu_of

WORK = "kz-clock -i 100 & kz-memload -m 24 -r 20"


def ticks_since_boot(lines):
    boots = [index for index, (_, text) in enumerate(lines) if "[NOTICE: Zone booting up]" in text]
    return ticks_of(lines[boots[-1]:] if boots else lines)


class KillMonitor(LabCase):
    """Each test finds the zone running with its clock on the console, and leaves it so."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.boots = 1
        cls.start_work()

    @classmethod
    def start_work(cls):
        """In the guest that has just booted; the console still shows what the earlier ones said."""
        with cls.zone.console() as console:
            for _ in range(cls.boots):
                console.expect(r"\[NOTICE: Zone booting up\]")
            console.wait_prompt()
            console.start(WORK)
            console.expect(r"memload pass \d+ pages \d+ ok")

    def new_ticks(self, count=10):
        """Connects a console, and returns all ticks on it once so many have come that are not history."""
        with self.zone.console() as console:
            terminal = console.terminal
            wait_until(lambda: ticks_since_boot(terminal.lines()), "a tick")
            before = ticks_since_boot(terminal.lines())[-1].sequence
            wait_until(lambda: ticks_since_boot(terminal.lines())[-1].sequence >= before + count, f"{count} ticks")
            ticks = ticks_since_boot(terminal.lines())
            check_increasing(ticks)
            self.assertNotIn("MEMLOAD FAILED", terminal.text)
            return ticks

    def kill_monitor(self):
        """Returns the last tick that was on the console before. The machine and the zone's state are as before."""
        last = self.new_ticks()[-1]
        machine = qemu_of(self.zone)
        monitor_of(self.zone).kill()
        self.assertTrue(machine.alive())
        self.assertEqual(self.zone.state(), ("running", ""))
        return last

    def boot_again(self):
        self.zone.zoneadm("boot")
        type(self).boots += 1
        self.start_work()

    def check_nothing_runs(self):
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")

    def test_suspend_takes_over(self):
        last = self.kill_monitor()
        self.zone.zoneadm("suspend")
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        self.check_nothing_runs()
        self.zone.zoneadm("boot")
        self.assertGreater(self.new_ticks()[-1].sequence, last.sequence)

    def test_the_guest_goes_on_and_the_console_keeps_its_history(self):
        last = self.kill_monitor()
        machine = qemu_of(self.zone)
        # Refused, but not before somebody has taken over.
        done = self.zone.zoneadm("boot", check=False)
        self.assertEqual(done.stderr, "zoneadm: zone 'ant1': boot operation is invalid for running zones.\n")
        self.assertTrue(monitor_of(self.zone).alive())
        self.assertEqual(qemu_of(self.zone), machine)
        ticks = self.new_ticks()
        self.assertIn(last.sequence, [tick.sequence for tick in ticks])
        # Its clock went on while nobody watched.
        first, newest = ticks[0], ticks[-1]
        seconds = newest.guest_time - first.guest_time
        self.assertAlmostEqual(newest.sequence - first.sequence, seconds / 0.1, delta=3 + seconds)

    def test_halt_takes_over(self):
        self.kill_monitor()
        self.zone.zoneadm("halt")
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.check_nothing_runs()
        self.boot_again()

    def test_shutdown_takes_over(self):
        self.kill_monitor()
        self.zone.zoneadm("shutdown")
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.check_nothing_runs()
        self.boot_again()

    def test_killed_while_it_suspends(self):
        last = self.new_ticks()[-1]
        console = self.enterContext(self.zone.console())
        console.expect(rf"tick {last.sequence + 1} ")  # past all history
        command = self.zone.node().popen(["zoneadm", "-z", "ant1", "suspend"], text=True, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        console.expect(r"\[NOTICE: Zone suspending\]")
        monitor_of(self.zone).kill()
        stderr = command.communicate(timeout=30)[1]
        self.assertEqual(command.returncode, 1)
        self.assertRegex(stderr, r"^zoneadm: zone 'ant1': lost the zone's monitor")
        # Whatever the next command is, it finds a running zone.
        done = self.zone.zoneadm("boot", check=False)
        self.assertEqual(done.stderr, "zoneadm: zone 'ant1': boot operation is invalid for running zones.\n")
        self.assertGreater(self.new_ticks()[-1].sequence, last.sequence)
        self.zone.zoneadm("suspend")
        self.assertEqual([file.name for file in self.image_parts()], ["ant1.suspend"])
        self.zone.zoneadm("boot")
        self.assertEqual(self.zone.state(), ("running", ""))
        self.assertEqual(self.image_parts(), [])
        self.new_ticks()

    def image_parts(self):
        return [file for file in self.lab.shared.iterdir() if re.search("suspend", file.name) and file.stat().st_size]


if __name__ == "__main__":
    unittest.main()
