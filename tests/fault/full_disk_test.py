#!/usr/bin/python3
"""The place for the suspend image runs full: the zone goes on running, and nothing of the image is left."""
import pathlib
import unittest

from harness import LabCase, Zone
from workload import Workload

SMALL = "8m"  # less than the guest's memory in use


class FullDisk(LabCase):
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.console = cls.enterClassContext(cls.zone.console())
        cls.console.wait_prompt()
        cls.work = Workload(cls.console)

    def in_node(self, *words):
        return self.zone.node().run(words).stdout

    def test_suspend(self):
        folder = self.lab.shared / "small"
        folder.mkdir()
        self.in_node("mount", "-t", "tmpfs", "-o", f"size={SMALL}", "small", folder)
        self.addCleanup(self.in_node, "umount", folder)
        self.use_path(folder / "image")
        for _ in range(2):
            done = self.zone.zoneadm("suspend", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("zoneadm: zone 'ant1': suspend failed: ", done.stderr)
            self.assertIn("No space left on device", done.stderr)
            self.assertTrue(done.stderr.endswith("the zone goes on running\n"), done.stderr)
            self.assertEqual(self.zone.state(), ("running", ""))
            self.assertEqual(self.in_node("ls", "-A", folder), "")
            self.console.expect(r"\[NOTICE: Zone suspending\]")
            self.work.wait_ticks(50)
        self.use_path(self.zone.suspend_path)
        self.zone.zoneadm("suspend")
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        self.assertTrue(pathlib.Path(self.zone.suspend_path).exists())
        self.zone.zoneadm("boot")
        self.work.wait_ticks(50)

    def use_path(self, path):
        self.zone.zonecfg(f"select suspend; set path={path}; end")


if __name__ == "__main__":
    unittest.main()
