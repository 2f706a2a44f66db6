#!/usr/bin/python3
"""The KVM path, from boot to live migration, with a guest that runs in the KVM of machines that have little of it.

Where /dev/kvm cannot be used this fails, unless KZ_ALLOW_NO_KVM=1 says that nothing else is to be expected."""
import os
import pathlib
import re
import sys
import unittest

from harness import LabCase, Zone, wait_until
from kzlab.lab import DEFAULT_BINARIES
from processes import nothing_left, qemu_of

BOOT_SECTOR = pathlib.Path(DEFAULT_BINARIES).parent / "share/kzones-test/kvm-guest.img"
DISK_BYTES = 4 << 20
COUNT = re.compile(r"count (\d+)")


def kvm_problem():
    """Why the guests here cannot have KVM; None when they can."""
    try:
        status = os.stat("/dev/kvm")
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    if status.st_gid == 0 and not status.st_mode & 0o006 == 0o006:
        return "/dev/kvm belongs to root alone; tools/setup test gives it to group kvm"
    return None


class Kvm(LabCase):
    nodes = ("node1", "node2")
    services = True
    packages = False

    @classmethod
    def setUpClass(cls):
        problem = kvm_problem()
        if problem and os.environ.get("KZ_ALLOW_NO_KVM") == "1":
            print(f"NOT TESTED: the KVM path: {problem}", file=sys.stderr)
            raise unittest.SkipTest(problem)
        if problem:
            raise AssertionError(f"{problem} (KZ_ALLOW_NO_KVM=1 leaves the KVM path untested)")
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab, memory="64M", extra="set accel=kvm\nset cpu-arch=host")
        with open(cls.zone.disk, "wb") as disk:
            disk.write(BOOT_SECTOR.read_bytes())
            disk.truncate(DISK_BYTES)
        cls.zone.configure()
        cls.zone.zoneadm("attach", "-x", "initialize-hostdata")

    def counts(self, console):
        return [int(number) for number in COUNT.findall(console.terminal.text)]

    def wait_counts(self, console, more):
        first = (self.counts(console) or [0])[-1]
        wait_until(lambda: (self.counts(console) or [0])[-1] >= first + more, "counts on the console")
        counts = self.counts(console)
        self.assertEqual(counts, list(range(counts[0], counts[-1] + 1)))
        self.assertNotIn("STALE", console.terminal.text)
        return counts[-1]

    def test_boot_suspend_resume_and_moves(self):
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.zone.zoneadm("boot")
        command_line = pathlib.Path(f"/proc/{qemu_of(self.zone).pid}/cmdline").read_bytes().split(b"\0")
        self.assertTrue(any(word.startswith(b"kvm") for word in command_line), command_line)
        with self.zone.console() as console:
            console.expect("kz-kvm-guest: up")
            self.wait_counts(console, 3)
            self.zone.zoneadm("suspend")
            self.zone.zoneadm("boot")
            last = self.wait_counts(console, 3)
        for here, there in (("node1", "node2"), ("node2", "node1")):
            self.zone.zoneadm("migrate", there, node=here)
            self.assertEqual(self.zone.state(there), ("running", ""))
            wait_until(lambda: nothing_left(self.zone, here), "end of the zone's processes")
            with self.zone.console(there) as console:
                # Its history goes along, so that the line before the move and those after it follow each other.
                console.expect(f"count {last}\r*\n")
                last = self.wait_counts(console, 3)
        self.zone.zoneadm("halt")
        self.assertEqual(self.zone.state(), ("installed", ""))


if __name__ == "__main__":
    unittest.main()
