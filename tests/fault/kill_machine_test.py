#!/usr/bin/python3
"""The machine itself dies: the zone is down and says why, and boots again."""
import re
import unittest
import uuid

from harness import LabCase, Zone, wait_until
from processes import monitor_of, nothing_left, qemu_of

BOOTING = "[NOTICE: Zone booting up]"
REASON = "the zone's machine ended unexpectedly: "


class KillMachine(LabCase):
    """Each test finds the zone running, with its shell at the prompt, and leaves it so."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()

    def setUp(self):
        self.console = self.enterContext(self.zone.console())
        word = f"now-{uuid.uuid4().hex[:8]}-"
        self.console.terminal.send_line(f"echo {word}$((6*7))")
        self.console.expect(word + "42\r*\n")  # past all history: the guest answers now
        self.console.wait_prompt()

    def log(self):
        return self.zone.node().path("var/log/zones/ant1.log").read_text()

    def kill_machine(self):
        before = len(self.log())
        qemu_of(self.zone).kill()
        self.console.expect(r"\[NOTICE: Zone halted\]")
        self.zone.wait_state("installed", "")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the monitor")
        return self.log()[before:]

    def boot(self):
        self.zone.zoneadm("boot")
        self.console.expect(re.escape(BOOTING))
        self.console.wait_prompt()
        self.assertEqual(self.zone.state(), ("running", ""))

    def test_reason_is_told_and_the_zone_boots_again(self):
        self.assertEqual(self.console.run("echo precious >/root/work; sync && echo kept").split(), ["kept"])
        said = self.kill_machine()
        self.assertIn(REASON + "killed by signal 9", said)
        self.assertIn("var/log/zones/ant1.qemu.log", said)
        self.boot()
        self.assertEqual(self.console.run("cat /root/work").split(), ["precious"])

    def test_machine_and_monitor_at_once(self):
        """Nobody was there to see it: the next command finds the zone down."""
        monitor, machine = monitor_of(self.zone), qemu_of(self.zone)
        monitor.kill()
        machine.kill()
        self.assertEqual(self.zone.state()[0], "installed")
        self.assertEqual(self.zone.zoneadm("halt", check=False).stderr, "zoneadm: zone 'ant1': not running\n")
        boots = self.console.terminal.text.count(BOOTING)
        self.console.close()
        self.zone.zoneadm("boot")
        with self.zone.console() as console:
            wait_until(lambda: console.terminal.text.count(BOOTING) > boots, "the notice of the boot")
            for _ in range(boots + 1):
                console.expect(re.escape(BOOTING))
            console.wait_prompt()
        self.assertEqual(self.zone.state(), ("running", ""))


if __name__ == "__main__":
    unittest.main()
