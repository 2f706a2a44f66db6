#!/usr/bin/python3
"""Suspend and resume: nothing is lost, nothing runs twice, and no image but the right one is taken."""
import pathlib
import re
import shutil
import unittest

from harness import LabCase, Zone, wait_until
from processes import monitor_of, nothing_left, qemu_of
from workload import Workload, memory_pattern

SUSPENDING = r"\[NOTICE: Zone suspending\]"
HALTED = r"\[NOTICE: Zone halted\]"
RESUMING = r"\[NOTICE: Zone resuming\]"
AFRESH = "To boot afresh and lose what was in memory: zoneadm -z ant1 boot -x discard-image"


class Suspend(LabCase):
    """Each test finds the zone running with its clock on the console, and leaves it so."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.image = pathlib.Path(cls.zone.suspend_path)
        cls.zone.create()
        cls.console = cls.enterClassContext(cls.zone.console())
        cls.console.wait_prompt()
        cls.work = Workload(cls.console)

    def setUp(self):
        self.work.wait_ticks(20)

    def suspend(self):
        self.zone.zoneadm("suspend")
        self.console.expect(SUSPENDING)
        self.console.expect(HALTED)
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")

    def resume(self):
        self.zone.zoneadm("boot")
        self.console.expect(RESUMING)
        self.assertEqual(self.zone.state(), ("running", ""))
        self.work.wait_ticks(50)

    def boot_is_refused(self, *texts, options=()):
        done = self.zone.zoneadm("boot", *options, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")

    def test_nothing_is_lost_or_repeated(self):
        for _ in range(3):
            self.suspend()
            self.assertTrue(self.image.exists())
            self.assertEqual(self.image.stat().st_mode & 0o777, 0o600)
            self.resume()
            wait_until(lambda: not self.image.exists(), "the image to go")
        moves = [entry["move"] for entry in self.zone.history()]
        self.assertEqual(moves[-6:], ["suspend", "resume"] * 3)
        self.assertEqual({entry["cipher"] for entry in self.zone.history()}, {"aes-128-ccm"})
        self.assertTrue(all(entry["bytes"] > 1 << 20 for entry in self.zone.history()))

    def test_suspended_zone_waits_for_boot(self):
        self.suspend()
        for command in ("suspend", "halt", "shutdown"):
            self.assertEqual(self.zone.zoneadm(command, check=False).stderr, "zoneadm: zone 'ant1': not running\n")
        self.assertEqual(self.zone.zoneadm("ready", check=False).stderr,
                         "zoneadm: zone 'ant1': the zone is suspended: boot resumes it\n")
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        self.resume()

    def test_no_image_is_resumed_twice(self):
        self.suspend()
        used = self.lab.folder / "used"
        shutil.copyfile(self.image, used)
        self.resume()
        self.suspend()
        right = self.lab.folder / "right"
        self.image.rename(right)
        self.boot_is_refused(str(self.image), "No such file or directory")
        shutil.copyfile(used, self.image)
        self.boot_is_refused("it is not the image that host data records", AFRESH)
        right.rename(self.image)
        self.resume()

    def test_image_of_another_zone(self):
        other = Zone(self.lab, "bee1", 2, memory="64M")
        with open(other.disk, "wb") as disk:
            disk.truncate(8 << 20)
        other.configure()
        keys = self.lab.node("node1").path("etc/zones/keys")
        for key in (None, keys / "ant1"):
            if key:
                shutil.copyfile(key, keys / "bee1")
            other.zoneadm("attach", "-x", "initialize-hostdata")
            other.zoneadm("boot")
            other.zoneadm("suspend")
            with self.subTest(same_key=key is not None):
                self.suspend()
                right = self.lab.folder / "right"
                self.image.rename(right)
                shutil.copyfile(other.suspend_path, self.image)
                self.boot_is_refused("it is an image of another zone (bee1)" if key else "cannot be read", "discard-image")
                right.rename(self.image)
                self.resume()
            other.zoneadm("uninstall", "-F")
        self.assertFalse(pathlib.Path(other.suspend_path).exists())
        other.zonecfg("delete", "-F")

    def test_damaged_image(self):
        self.suspend()
        whole = self.lab.folder / "whole"
        self.image.rename(whole)
        size = whole.stat().st_size
        for length in (0, 100, size // 2, size - 1):
            with self.subTest(length=length):
                shutil.copyfile(whole, self.image)
                with open(self.image, "r+b") as image:
                    image.truncate(length)
                self.boot_is_refused(str(self.image))
        for position in (20, size // 3, size - 10):
            with self.subTest(flipped=position):
                shutil.copyfile(whole, self.image)
                with open(self.image, "r+b") as image:
                    image.seek(position)
                    byte = image.read(1)[0]
                    image.seek(position)
                    image.write(bytes([byte ^ 1]))
                # Else damage is found only when the memory in question is wanted: lazy_resume_test.py.
                self.boot_is_refused("suspend image", options=("-x", "eager"))
        whole.rename(self.image)
        self.resume()

    def test_changed_configuration(self):
        self.suspend()
        for change, back, why in (
                ("select capped-memory; set physical=320M; end", "select capped-memory; set physical=256M; end",
                 "it has 256M of memory, the zone is configured with 320M"),
                ("select virtual-cpu; set ncpus=2; end", "select virtual-cpu; set ncpus=1; end",
                 "it has 1 CPUs, the zone is configured with 2"),
                ("remove anet", f"add anet; set allowed-address={self.zone.address}/24; end",
                 "it was made with other devices")):
            with self.subTest(change=change):
                self.zone.zonecfg(change)
                self.boot_is_refused(why, AFRESH)
                self.zone.zonecfg(back)
        self.resume()

    def test_discarding_the_image_boots_afresh(self):
        self.suspend()
        done = self.zone.zoneadm("boot", "-x", "discard-image")
        self.assertEqual(done.stderr, "zoneadm: zone 'ant1': discarding the suspend image; the zone boots afresh.\n")
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.assertEqual(self.zone.state(), ("running", ""))
        self.assertFalse(self.image.exists())
        self.console.wait_prompt()
        type(self).work = Workload(self.console)

    def test_no_place_for_the_image(self):
        self.zone.zonecfg("remove suspend")
        try:
            # Read when the zone starts; the monitor has the configuration of then.
            other = Zone(self.lab, "cow1", 3, memory="64M", suspend="none")
            with open(other.disk, "wb") as disk:
                disk.truncate(8 << 20)
            other.configure()
            other.zoneadm("attach", "-x", "initialize-hostdata")
            other.zoneadm("boot")
            done = other.zoneadm("suspend", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("zoneadm: zone 'cow1': the zone has no suspend resource; add one with\n", done.stderr)
            command = re.search(r"zonecfg -z cow1 '([^']*)'", done.stderr)[1]
            self.assertEqual(other.state(), ("running", ""))
            other.zonecfg(command.replace("/absolute/path", str(self.lab.shared / "cow1.suspend")))
            other.zoneadm("suspend")
            self.assertEqual(other.state(), ("installed", "suspended"))
            other.zoneadm("uninstall", "-F")
            other.zonecfg("delete", "-F")
        finally:
            self.zone.zonecfg(f"add suspend; set path={self.image}; end")

    def test_image_shows_nothing_of_the_memory(self):
        other = self.work
        self.console.terminal.send("\x03")
        self.console.expect(r"\^C")
        self.console.terminal.send_line("kz-memload -x -m 24 -r 1")
        other.wait_ticks(100)
        # The last pages are rewritten only after 24 seconds, so pass 0 stands there.
        patterns = [memory_pattern(page, 0) for page in range(6000, 6144, 8)]
        in_memory = self.memory_of(qemu_of(self.zone).pid)
        self.assertTrue(any(pattern in in_memory for pattern in patterns), "the patterns are not in the guest's memory")
        self.suspend()
        image = self.image.read_bytes()
        self.assertGreater(len(image), 24 << 20)
        self.assertFalse(any(pattern in image for pattern in patterns))
        self.resume()

    def memory_of(self, pid):
        """The zone's memory as its machine has it: 256 MiB less what ADR 0005 leaves out."""
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if 255 << 20 < end - begin <= 256 << 20:
                with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                    memory.seek(begin)
                    parts = []
                    while sum(map(len, parts)) < end - begin:
                        parts.append(memory.read(16 << 20))
                    return b"".join(parts)
        self.fail("no mapping of 256 MiB")

    def test_monitor_ends_with_the_suspend(self):
        monitor, machine = monitor_of(self.zone), qemu_of(self.zone)
        self.suspend()
        self.assertFalse(monitor.alive() or machine.alive())
        self.resume()


if __name__ == "__main__":
    unittest.main()
