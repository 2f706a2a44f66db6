#!/usr/bin/python3
"""Something goes wrong while a zone is being suspended or resumed: it runs, or it is suspended, and never both."""
import pathlib
import signal
import time
import unittest

from harness import LabCase, Zone, ticks_of, wait_until
from moving import Command
from processes import monitor_of, nothing_left, qemu_of
from workload import Workload

FOLDER = "/system/zones/ant1"
SOME = 4 << 20
EAGER = ("-x", "eager")  # e2e/lazy_resume_test.py has the other way


class Suspend(LabCase):
    """The image is written to a folder that only the node sees. Each test finds the zone running with its workload,
    whose memory takes a moment to write, and leaves it so."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab, memory="512M", suspend=f"{FOLDER}/suspend")
        cls.node = cls.lab.node("node1")
        cls.node.run(["mkdir", "-p", FOLDER])
        cls.folder = cls.lab.folder / ".lab/node1" / FOLDER.lstrip("/")
        cls.zone.create()
        cls.console = cls.enterClassContext(cls.zone.console())
        cls.console.wait_prompt()
        cls.start_work()

    @classmethod
    def start_work(cls):
        cls.work = Workload(cls.console, "kz-memload -x -m 300 -r 8")

    def setUp(self):
        self.assertEqual(self.zone.state(), ("running", ""))
        self.machine = qemu_of(self.zone)

    def goes_on(self, machine=None):
        self.zone.wait_state("running", "")
        self.assertEqual(qemu_of(self.zone), machine or self.machine)
        self.work.wait_ticks(50)

    def suspends_and_resumes(self):
        self.zone.zoneadm("suspend")
        self.zone.wait_state("installed", "suspended")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["suspend"])
        self.zone.zoneadm("boot", *EAGER)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.work.wait_ticks(50)

    def test_full_disk(self):
        self.node.run(["mount", "-t", "tmpfs", "-o", "size=16m", "small", FOLDER])
        try:
            done = self.zone.zoneadm("suspend", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("suspend failed: ", done.stderr)
            self.assertIn(f"{FOLDER}/suspend", done.stderr)
            self.assertIn("No space left on device", done.stderr)
            self.assertIn("the zone goes on running", done.stderr)
            self.assertEqual(self.node.run(["ls", "-A", FOLDER]).stdout, "")
            self.goes_on()
            self.node.run(["mount", "-o", "remount,size=1g", FOLDER])
            self.zone.zoneadm("suspend")
            self.zone.zoneadm("boot", *EAGER)
        finally:
            self.node.run(["umount", "-l", FOLDER])
        self.work.wait_ticks(50)

    def test_folder_that_cannot_be_written(self):
        self.node.run(["mount", "-t", "tmpfs", "-o", "size=16m,ro", "closed", FOLDER])
        try:
            done = self.zone.zoneadm("suspend", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("Read-only file system", done.stderr)
            self.goes_on()
        finally:
            self.node.run(["umount", FOLDER])
        self.suspends_and_resumes()

    def in_the_middle(self):
        """A suspend whose image is being written."""
        command = Command(self.node, ["zoneadm", "-z", "ant1", "suspend"])
        wait_until(lambda: self.written() > SOME or not command.running(), "an image that is being written")
        self.assertTrue(command.running(), command.said)
        return command

    def written(self):
        sizes = [0]
        for path in self.folder.iterdir():
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue
        return max(sizes)

    def test_interrupt(self):
        command = self.in_the_middle()
        command.signal(signal.SIGINT)
        status, said = command.wait()
        self.assertEqual(status, 1, said)
        self.assertIn("the zone goes on running", said)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.goes_on()
        self.suspends_and_resumes()

    def test_kill_of_the_monitor(self):
        command = self.in_the_middle()
        monitor_of(self.zone).kill()
        self.assertEqual(command.wait()[0], 1, command.said)
        # The next command finds the machine stopped in the middle, and lets it go on.
        self.zone.zoneadm("boot", *EAGER, check=False)
        self.zone.wait_state("running", "")
        self.assertEqual(qemu_of(self.zone), self.machine)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.goes_on_after_a_gap()
        self.suspends_and_resumes_after_a_gap()

    def goes_on_after_a_gap(self):
        shown = ticks_of(self.work.lines())[-1].sequence
        wait_until(lambda: ticks_of(self.work.lines())[-1].sequence > shown + 50, "the clock")
        numbers = [tick.sequence for tick in ticks_of(self.work.lines())]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.work.check_memory()

    def suspends_and_resumes_after_a_gap(self):
        self.zone.zoneadm("suspend")
        self.zone.zoneadm("boot", *EAGER)
        self.goes_on_after_a_gap()
        # The count of ticks begins anew for the tests that follow.
        self.console.terminal.send("\x03")
        self.console.terminal.send_line("kill %1")
        self.console.wait_prompt()
        self.zone.zoneadm("reboot")
        self.console.expect(r"\[NOTICE: Zone rebooting\]")
        self.console.wait_prompt()
        self.start_work()

    def test_kill_of_the_machine(self):
        command = self.in_the_middle()
        self.machine.kill()
        self.assertEqual(command.wait()[0], 1, command.said)
        self.zone.wait_state("installed", "")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.assertEqual(list(self.folder.iterdir()), [])
        self.boots_afresh()

    def boots_afresh(self):
        self.zone.zoneadm("boot", *EAGER)
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.console.wait_prompt()
        type(self).start_work()

    def test_kill_of_monitor_and_machine(self):
        command = self.in_the_middle()
        monitor_of(self.zone).kill()
        self.machine.kill()
        self.assertEqual(command.wait()[0], 1, command.said)
        self.zone.wait_state("installed", "")
        self.boots_afresh()
        self.suspends_and_resumes()

    def test_kill_while_it_resumes(self):
        """The image is there until all of it is in: what was killed on the way is suspended as before."""
        for victim in (monitor_of, qemu_of):
            for moment in (0, 0.01, 0.02, 0.04, 0.08):
                with self.subTest(victim=victim.__name__, moment=moment):
                    self.kill_after(victim, moment)

    def kill_after(self, victim, seconds):
        self.zone.zoneadm("suspend")
        command = Command(self.node, ["zoneadm", "-z", "ant1", "boot", *EAGER])
        found = wait_until(lambda: victim(self.zone) or not command.running(), "a machine that is being filled")
        moment = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= moment or not command.running(), "the moment")
        if command.running():  # a fast machine is through by now
            found.kill()
            self.assertEqual(command.wait()[0], 1, command.said)
            # A machine whose monitor died before it had a guard never ran; the next command ends it.
            self.zone.zoneadm("halt", check=False)
            wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
            self.zone.wait_state("installed", "suspended")
            self.assertEqual([path.name for path in self.folder.iterdir()], ["suspend"])
            self.zone.zoneadm("boot", *EAGER)
        self.work.wait_ticks(50)

    def test_memory_image_on_a_path_that_is_gone(self):
        folder = pathlib.Path(self.folder)
        folder.rmdir()
        self.suspends_and_resumes()


if __name__ == "__main__":
    unittest.main()
