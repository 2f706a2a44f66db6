#!/usr/bin/python3
"""Two hosts with one zone on one disk: one of them at most may run it."""
import re
import shutil
import unittest

from harness import LabCase, Zone, wait_until
from processes import nothing_left


class Ownership(LabCase):
    """node1 owns the disk; node2 has the same configuration, the key included."""
    nodes = ("node1", "node2")
    packages = False

    def setUp(self):
        self.zone = Zone(self.lab, memory="64M")
        with open(self.zone.disk, "wb") as disk:
            disk.truncate(8 << 20)
        self.zone.configure()
        self.zone.zoneadm("attach", "-x", "initialize-hostdata")
        exported = self.zone.zonecfg("export").stdout
        self.assertIn("add keysource", exported)
        self.lab.node("node2").run(["zonecfg", "-z", "ant1", "-f", "/dev/stdin"], input=exported)
        for node in self.lab.names:
            self.addCleanup(self.remove, node)

    def remove(self, node):
        self.zone.zoneadm("halt", node=node, check=False)
        self.zone.zoneadm("mark", "incomplete", node=node, check=False)
        self.zone.zoneadm("uninstall", "-F", node=node, check=False)
        self.zone.zonecfg("delete", "-F", node=node)

    def zoneadm(self, node, *words):
        done = self.zone.zoneadm(*words, node=node, check=False)
        return done.returncode, done.stderr

    def check_in_use(self, said, state):
        text = re.sub(r"(?m)^zoneadm: zone 'ant1': ", "", said)
        self.assertRegex(text, r"ERROR: zone ant1 is in use by host with hostid [0-9a-f-]{36}\n"
                               rf"      last known state: {state}\n"
                               r"              hostname: node1\n"
                               r"      last update time: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*\n"
                               r"           owned since: \S+\n"
                               r"To fix, detach the zone from the other host then attach it to this host\n"
                               r"If the zone is not active on another host, attach it with\n"
                               r"   zoneadm -z ant1 attach -x force-takeover\n")

    def test_attach_of_a_zone_in_use_is_refused(self):
        self.zone.zoneadm("boot")
        status, said = self.zoneadm("node2", "attach")
        self.assertEqual(status, 1)
        self.check_in_use(said, "running")
        self.assertIn(self.zone.state("node2")[0], ("configured", "unavailable"))
        status, said = self.zoneadm("node2", "boot")
        self.assertEqual(status, 1)
        self.zone.wait_state("running", "", "node1")

    def test_boot_of_a_zone_that_was_taken_away(self):
        """node2 took it while it was down on node1, whose record still says installed."""
        self.zone.zoneadm("detach")
        self.zone.zoneadm("attach", node="node2")
        self.zone.zoneadm("detach", node="node2")
        self.zone.zoneadm("attach")
        # Both records say installed, one host owns it.
        record = self.lab.node("node2").path("var/lib/zones/ant1")
        shutil.copytree(self.lab.node("node1").path("var/lib/zones/ant1"), record, dirs_exist_ok=True)
        self.zone.wait_state("installed", node="node2")
        self.zone.zoneadm("boot")
        status, said = self.zoneadm("node2", "boot")
        self.assertEqual(status, 1)
        self.check_in_use(said, "running")
        self.zone.wait_state("unavailable", node="node2")
        wait_until(lambda: nothing_left(self.zone, "node2"), "end of the zone's processes")
        status, said = self.zoneadm("node2", "boot")
        self.assertEqual(status, 1)
        self.assertIn("boot operation is invalid for unavailable zones.", said)
        self.check_in_use(said.split("zones.\n", 1)[1], "running")
        self.zone.wait_state("running", "", "node1")

    def test_detach_here_and_attach_there(self):
        self.zone.zoneadm("detach")
        self.zone.wait_state("configured", "", "node1")
        self.assertEqual(self.zoneadm("node2", "attach"), (0, ""))
        self.zone.wait_state("installed", "", "node2")
        status, said = self.zoneadm("node1", "attach")
        self.assertEqual(status, 1)
        self.assertIn("hostname: node2", said)
        self.zone.zoneadm("boot", node="node2")
        self.zone.wait_state("running", "", "node2")

    def test_suspended_zone_is_carried_by_its_disk(self):
        self.zone.zoneadm("boot")
        self.zone.zoneadm("suspend")
        self.zone.zoneadm("detach")
        self.zone.zoneadm("attach", node="node2")
        self.zone.wait_state("installed", "suspended", "node2")
        self.zone.zoneadm("boot", node="node2")
        self.zone.wait_state("running", "", "node2")

    def test_takeover_by_force(self):
        """node1 is halted, and knows nothing of it when node2 takes the zone."""
        self.zone.zoneadm("boot")
        self.zone.zoneadm("halt")
        status, said = self.zoneadm("node2", "attach")
        self.assertEqual(status, 1)
        self.check_in_use(said, "installed")
        status, said = self.zoneadm("node2", "attach", "-x", "force-takeover")
        self.assertEqual(status, 0, said)
        self.zone.zoneadm("boot", node="node2")
        status, said = self.zoneadm("node1", "boot")
        self.assertEqual(status, 1)
        self.assertIn("hostname: node2", said)
        self.zone.wait_state("unavailable", node="node1")
        # Back, in good order.
        self.zone.zoneadm("halt", node="node2")
        self.zone.zoneadm("detach", node="node2")
        self.zone.zoneadm("attach", node="node1")
        self.zone.zoneadm("boot", node="node1")
        self.zone.wait_state("running", "", "node1")

    def test_disk_that_lost_its_host_data(self):
        with open(self.zone.disk, "r+b") as disk:
            disk.seek(7 << 20)
            disk.write(bytes(1 << 20))
        status, said = self.zoneadm("node1", "boot")
        self.assertEqual(status, 1)
        self.assertIn("no host data", said)
        self.zone.wait_state("unavailable", node="node1")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.zone.zoneadm("attach", "-x", "initialize-hostdata")
        self.zone.zoneadm("boot")

    def test_disk_that_is_gone(self):
        hidden = self.zone.disk.with_name("hidden")
        self.zone.disk.rename(hidden)
        status, said = self.zoneadm("node1", "boot")
        self.assertEqual(status, 1)
        self.assertIn(str(self.zone.disk), said)
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        hidden.rename(self.zone.disk)
        if self.zone.state("node1")[0] == "unavailable":
            self.zone.zoneadm("attach")
        self.zone.zoneadm("boot")
        self.zone.wait_state("running", "", "node1")


if __name__ == "__main__":
    unittest.main()
