#!/usr/bin/python3
"""What becomes of zones when their host starts and when it goes down: autoboot, boot-priority, autoshutdown."""
import subprocess
import unittest

from harness import LabCase, Zone, wait_until
from processes import nothing_left
from workload import Workload, fresh_prompt


class HostZones(LabCase):
    @classmethod
    def prepare(cls):
        cls.saved = Zone(cls.lab, "saved1", 1, memory="128M", extra="set autoboot=true\nset autoshutdown=suspend")
        cls.shut = Zone(cls.lab, "shut1", 2, memory="128M", extra="set autoboot=true\nset boot-priority=high")
        cls.manual = Zone(cls.lab, "manual1", 3, memory="128M", extra="set autoshutdown=halt")
        cls.zones = (cls.saved, cls.shut, cls.manual)
        for zone in cls.zones:
            zone.configure()
            zone.install()

    def states(self):
        return [zone.state() for zone in self.zones]

    def kz_zones(self, *words, check=True):
        return self.lab.node("node1").run(["kz-zones", *words], check=check, timeout=120)

    def prompt(self, zone):
        """Its console, with the shell's prompt of this boot."""
        wait_until(lambda: zone.node().run(["zlogin", zone.name, "true"], check=False).returncode == 0, "the zone's agent", 90)
        console = self.enterContext(zone.console())
        fresh_prompt(console)
        return console

    def test_a_host_starts_and_goes_down_and_starts_again(self):
        self.kz_zones("start")
        self.assertEqual(self.states(), [("running", ""), ("running", ""), ("installed", "")])
        self.manual.boot()
        work = Workload(self.prompt(self.saved))
        shut = self.prompt(self.shut)
        self.kz_zones("stop")
        shut.expect("kz-mini: going down for poweroff")
        self.assertEqual(self.states(), [("installed", "suspended"), ("installed", ""), ("installed", "")])
        for zone in self.zones:
            wait_until(lambda: nothing_left(zone, "node1"), "the end of the zone's processes")
        self.kz_zones("start")
        self.assertEqual(self.states(), [("running", ""), ("running", ""), ("installed", "")])
        work.wait_ticks(50)

    def test_storage_that_comes_late_is_waited_for(self):
        self.kz_zones("-t", "5", "stop")
        away = self.saved.disk.with_suffix(".away")
        self.saved.disk.rename(away)
        command = ["kz-zones", "-t", "60", "start"]
        with self.lab.node("node1").popen(command, stderr=subprocess.PIPE, text=True) as starting:
            self.assertRegex(starting.stderr.readline(), r"^kz-zones: zone 'saved1': it waits for its storage: device 0: ")
            self.shut.wait_state("running")
            self.assertEqual(self.saved.state()[0], "installed")
            away.rename(self.saved.disk)
            self.assertEqual(starting.wait(60), 0)
        self.assertEqual(self.saved.state(), ("running", ""))

    def test_what_cannot_be_suspended_is_shut_down_and_what_does_not_shut_down_is_halted(self):
        self.kz_zones("start")
        self.prompt(self.shut).run("killall acpid kz-agent")
        saved = self.enterContext(self.saved.console())
        self.saved.zonecfg("remove -F suspend")
        done = self.kz_zones("-t", "5", "stop")
        self.assertIn("kz-zones: zone 'saved1': it cannot be suspended and is shut down: ", done.stderr)
        self.assertIn("kz-zones: zone 'shut1': it does not shut down and is halted: ", done.stderr)
        saved.expect("kz-mini: going down for poweroff")
        self.saved.zonecfg(f"add suspend; set path={self.saved.suspend_path}; end")
        self.assertEqual(self.states()[:2], [("installed", ""), ("installed", "")])


if __name__ == "__main__":
    unittest.main()
