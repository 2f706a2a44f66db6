#!/usr/bin/python3
"""A running zone loses its machine or its monitor, or lacks what it needs to start."""
import pathlib
import unittest

from harness import LabCase, Zone, ticks_of, wait_until
from processes import guard_of, kill_together, monitor_of, nothing_left, qemu_of
from workload import Workload, fresh_prompt

BOOTING = r"\[NOTICE: Zone booting up\]"
HALTED = r"\[NOTICE: Zone halted\]"


class Running(LabCase):
    """Each test finds the zone running with its shell at the prompt, and leaves it so."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()

    def setUp(self):
        self.assertEqual(self.zone.state(), ("running", ""))
        self.console = self.enterContext(self.zone.console())
        fresh_prompt(self.console)

    def boots_again(self):
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.console.wait_prompt()

    def test_kill_of_the_machine(self):
        self.console.run("echo before-$((6*7))")
        monitor, machine = monitor_of(self.zone), qemu_of(self.zone)
        machine.kill()
        self.console.expect(HALTED)
        self.zone.wait_state("installed", "")
        wait_until(lambda: not monitor.alive(), "end of the monitor")
        log = self.zone.node().path("var/log/zones/ant1.log").read_text().splitlines()[-1]
        self.assertIn("error: the zone's machine ended unexpectedly: killed by signal 9 (Killed); see ", log)
        self.assertTrue(pathlib.Path(log.split("; see ")[1]).exists())
        self.boots_again()
        with self.zone.console() as later:
            later.expect("before-42")
            later.expect(HALTED)
            later.expect(BOOTING)

    def test_kill_of_the_machine_and_the_monitor(self):
        """As when the host itself goes down: nobody is left to write anything."""
        kill_together(guard_of(self.zone), monitor_of(self.zone), qemu_of(self.zone))
        self.zone.wait_state("installed", "")
        self.boots_again()

    def killed_monitor(self):
        """A new prompt after the monitor was killed, and the machine that did not mind."""
        self.console.run("echo before-$((6*7))")
        machine = qemu_of(self.zone)
        monitor_of(self.zone).kill()
        self.zone.wait_state("running", "")
        self.assertTrue(machine.alive())
        return machine

    def test_kill_of_the_monitor_before_any_command(self):
        """Whatever is asked next brings a monitor; the console goes on where it was, for who stayed there too."""
        machine = self.killed_monitor()
        done = self.zone.zoneadm("boot", check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "zoneadm: zone 'ant1': boot operation is invalid for running zones.\n"))
        self.zone.wait_state("running", "")
        self.assertEqual(qemu_of(self.zone), machine)
        self.assertTrue(monitor_of(self.zone).alive())
        with self.zone.console() as later:
            later.expect("before-42")
            later.wait_prompt()
            later.run("echo after-$((6*7))")
        self.console.expect("after-42")
        self.console.wait_prompt()

    def test_kill_of_the_monitor_before_halt(self):
        machine = self.killed_monitor()
        self.zone.zoneadm("halt")
        self.zone.wait_state("installed", "")
        self.assertFalse(machine.alive())
        self.console.expect(HALTED)
        self.boots_again()

    def test_kill_of_the_monitor_before_shutdown(self):
        self.killed_monitor()
        self.zone.zoneadm("shutdown")
        self.zone.wait_state("installed", "")
        self.console.expect("kz-mini: going down for poweroff")
        self.console.expect(HALTED)
        self.boots_again()

    def test_kill_of_the_monitor_before_suspend(self):
        work = Workload(self.console)
        shown = ticks_of(work.lines())[-1].sequence
        monitor_of(self.zone).kill()
        self.zone.zoneadm("suspend")
        self.zone.wait_state("installed", "suspended")
        self.zone.zoneadm("boot")
        self.console.expect(r"\[NOTICE: Zone resuming\]")
        wait_until(lambda: ticks_of(work.lines())[-1].sequence > shown + 100, "the clock")
        numbers = [tick.sequence for tick in ticks_of(work.lines())]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.console.expect(r"memload pass \d+ pages \d+ ok")
        work.check_memory()
        self.console.terminal.send("\x03")
        self.console.terminal.send_line("kill %1")
        self.console.wait_prompt()
        self.console.run("echo quiet")

    def test_guest_that_ends_while_there_is_no_monitor(self):
        """The machine waits for one, in the state in which its guest left it. Its guard would have brought one."""
        self.console.start("sleep 3 && poweroff")
        guard_of(self.zone).kill()
        monitor_of(self.zone).kill()
        machine = qemu_of(self.zone)
        wait_until(lambda: not self.guest_answers(), "the guest's end", 60)
        self.assertTrue(machine.alive())
        self.zone.zoneadm("halt", check=False)
        self.zone.wait_state("installed", "")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.boots_again()

    def test_guest_that_ends_while_its_monitor_is_replaced(self):
        self.console.start("sleep 1 && poweroff")
        monitor_of(self.zone).kill()
        self.zone.wait_state("installed", "", timeout=60)
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.boots_again()

    def guest_answers(self):
        return self.lab.client.run(["ping", "-c", "1", "-W", "1", self.zone.address], check=False).returncode == 0

    def test_terminated_monitor_halts_the_zone(self):
        """As at the shutdown of the host."""
        monitor_of(self.zone).kill(15)
        self.console.expect(HALTED)
        self.zone.wait_state("installed", "")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.boots_again()

    def test_qemu_is_missing(self):
        self.zone.zoneadm("halt")
        programs = self.lab.folder / "programs"
        programs.mkdir()
        for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            for program in pathlib.Path(folder).iterdir():
                if not program.name.startswith("qemu-system") and not (programs / program.name).exists():
                    (programs / program.name).symlink_to(program)
        node = self.zone.node()
        binaries = node.environment()["PATH"].split(":")[0]
        done = node.run(["zoneadm", "-z", "ant1", "boot"], env={"PATH": f"{binaries}:{programs}"}, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("qemu-system-x86", done.stderr)
        self.assertIn("install", done.stderr)
        self.zone.wait_state("installed", "")
        self.boots_again()


if __name__ == "__main__":
    unittest.main()
