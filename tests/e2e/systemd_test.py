#!/usr/bin/python3
"""Hosts that systemd manages: what runs for a zone is units of its own, whatever becomes of the services; and the
confinement of the services lets them do all that they are for.

node2 is booted: a real systemd is its PID 1, and kzones is installed in it with its units (tests/lab/kzlab/booted.py).
Where the machine has no systemd, or a kernel without what that needs, this is skipped, and says so."""
import http.client
import json
import pathlib
import socket
import sys
import unittest

from harness import LabCase, Zone, wait_until
from kzlab import booted
from processes import ZoneProcess, runtime_record

PASSWORD = "correct horse"


class Systemd(LabCase):
    nodes = ("node1", "node2")

    @classmethod
    def setUpClass(cls):
        if problem := booted.why_not():
            print(f"NOT TESTED: zones under systemd: {problem}", file=sys.stderr)
            raise unittest.SkipTest(problem)
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.host = cls.lab.boot("node2")
        cls.lab.trust()
        for daemon in ("kz-radd", "kz-migrd"):
            cls.lab.node("node1").run([daemon, "--daemon"], timeout=30)
        cls.host.systemctl("start", "kz-radd.socket", "kz-migrd.service")
        cls.zone = Zone(cls.lab, memory="128M", node="node2")
        cls.zone.configure()
        cls.zone.install()

    def tearDown(self):
        for node in self.nodes:
            self.zone.zoneadm("halt", node=node, check=False)
        if self.state("node1") == "installed":
            self.zone.zoneadm("migrate", "node2", node="node1")
        self.assertEqual(self.state("node2"), "installed")

    # What is seen of it

    def is_active(self, unit):
        return self.host.systemctl("is-active", unit, check=False).strip() == "active"

    def units(self):
        listed = self.host.systemctl("list-units", "--plain", "--no-legend", "--all", "kzone-*", "kzguard-*", "kzmachine-*")
        return sorted(line.split()[0] for line in listed.splitlines())

    def cgroup_of(self, process):
        """As the host sees it."""
        shown = self.host.run(["cat", f"/proc/{self.host.inside(process.pid)}/cgroup"]).stdout
        return next(line for line in shown.splitlines() if line.startswith("0::"))[3:]

    def process(self, pid):
        outside = pid and self.host.outside(pid)
        return ZoneProcess(outside) if outside else None

    def main_process(self, unit):
        return self.process(int(self.host.systemctl("show", "-P", "MainPID", unit)))

    def machine(self):
        return self.process(runtime_record(self.zone, "node2")["qemu"]["pid"])

    def ask_radd(self, method, path, body):
        """Over its unix socket, as root of the host."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.host.path("run/zones/rad.sock")))
            asked = http.client.HTTPConnection("localhost", timeout=120)
            asked.sock = connection
            asked.request(method, f"/api/1{path}", json.dumps(body), {"Content-Type": "application/json"})
            answer = asked.getresponse()
            return answer.status, answer.read().decode()

    def state(self, node):
        return self.zone.state(node)[0]

    # The tests

    def test_a_zone_of_the_command_line_is_units_of_its_own(self):
        self.zone.zoneadm("boot")
        units = self.units()
        self.assertIn("kzone-ant1.service", units)
        self.assertEqual([unit.split("-")[0] for unit in units], ["kzguard", "kzmachine", "kzone"], units)
        machine = self.machine()
        self.assertTrue(self.cgroup_of(machine).startswith("/kzones.slice/kzmachine-ant1-"))
        monitor = self.main_process("kzone-ant1.service")
        self.assertEqual(self.cgroup_of(monitor), "/kzones.slice/kzones-monitors.slice/kzone-ant1.service")
        self.zone.zoneadm("halt")
        wait_until(lambda: self.units() == [], "the end of the units")
        self.zone.zoneadm("boot")  # at once, under the same name
        self.zone.zoneadm("reboot")
        self.assertNotEqual(self.machine(), machine)
        self.assertEqual(len(self.units()), 3)

    def test_a_boot_that_fails_says_why(self):
        """The monitor's own words, though it is nobody's child and has no descriptor of ours."""
        self.zone.zonecfg("select anet 0; set lower-link=nosuch0; end")
        failed = self.zone.zoneadm("boot", check=False)
        self.zone.zonecfg("select anet 0; set lower-link=auto; end")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("lower-link 'nosuch0' does not exist on this host", failed.stderr)
        wait_until(lambda: self.units() == [], "the end of the units")

    def test_a_monitor_that_dies_is_replaced_and_the_machine_lives(self):
        self.zone.zoneadm("boot")
        machine = self.machine()
        first = self.main_process("kzone-ant1.service")
        first.kill()
        wait_until(lambda: (now := self.main_process("kzone-ant1.service")) and now != first,
                   "another monitor, in a unit of that name")
        wait_until(lambda: self.state("node2") == "running", "the zone")
        self.assertTrue(machine.alive())
        self.assertEqual(self.machine(), machine)

    def test_restarting_the_services_touches_no_zone(self):
        """Of a zone that kz-radd has booted, by its first request: systemd has waited with it until then."""
        self.host.systemctl("stop", "kz-radd.service")
        self.assertEqual(self.ask_radd("POST", "/zones/ant1/state", {"action": "boot"})[0], 200)
        self.assertTrue(self.is_active("kz-radd.service"))
        self.assertEqual(self.state("node2"), "running")
        machine, monitor = self.machine(), self.main_process("kzone-ant1.service")
        with self.zone.console("node2") as console:
            console.wait_prompt()
            for verb in ("restart", "kill --signal=SIGKILL", "stop"):
                self.host.systemctl(*verb.split(), "kz-radd.service", "kz-migrd.service")
                self.assertTrue(machine.alive() and monitor.alive(), verb)
                self.assertIn("Linux", console.run("uname"))
        self.host.systemctl("start", "kz-migrd.service")

    def test_zones_move_here_and_away(self):
        """The confinement of both services is one in which a zone can come and go, live, warm and cold."""
        self.zone.zoneadm("boot")
        with self.zone.console("node2") as console:
            console.wait_prompt()
        self.zone.zoneadm("migrate", "node1", node="node2", timeout=180)
        self.assertEqual(self.state("node1"), "running")
        wait_until(lambda: self.units() == [], "the end of the units")
        self.zone.zoneadm("migrate", "node2", node="node1", timeout=180)
        self.assertEqual(self.state("node2"), "running")
        self.assertEqual(len(self.units()), 3)
        self.zone.zoneadm("migrate", "-t", "warm", "node1", node="node2", timeout=180)
        self.zone.zoneadm("migrate", "-t", "warm", "node2", node="node1", timeout=180)
        self.assertEqual(self.state("node2"), "running")
        self.zone.zoneadm("halt", node="node2")
        self.zone.zoneadm("migrate", "node1", node="node2")
        self.zone.zoneadm("migrate", "node2", node="node1")
        self.assertEqual(self.state("node2"), "installed")

    def test_a_password_is_asked_of_pam(self):
        self.host.run(["chpasswd"], input=f"root:{PASSWORD}\n")
        other = Zone(self.lab, "bee1", 2, node="node1")
        other.configure()
        with self.lab.node("node1").terminal(["zoneadm", "-z", "bee1", "migrate", "-c", "list", "root@node2"]) as terminal:
            for typed in ("wrong", PASSWORD):
                terminal.expect("Password: ", 60)
                terminal.send_line(typed)
            terminal.expect("destination ciphers: aes-128-ccm", 60)
            self.assertEqual(terminal.wait(60), 0)

class GoingDown(LabCase):
    """A host that is shut down, and its zones."""
    nodes = ("node2",)

    @classmethod
    def setUpClass(cls):
        if problem := booted.why_not():
            raise unittest.SkipTest(problem)
        super().setUpClass()

    def test_zones_end_as_they_want_to_before_their_monitors_are_stopped(self):
        host = self.lab.boot("node2")
        saved = Zone(self.lab, "saved1", 1, memory="128M", node="node2", extra="set autoboot=true\nset autoshutdown=suspend")
        shut = Zone(self.lab, "shut1", 2, memory="128M", node="node2")
        for zone in (saved, shut):
            zone.configure()
            zone.install()
        host.systemctl("start", "kz-zones.service")
        self.assertEqual([saved.state(), shut.state()], [("running", ""), ("installed", "")])
        shut.boot()
        with shut.console() as console:
            console.wait_prompt()
            host.systemctl("poweroff", check=False)
            console.expect("kz-mini: going down for poweroff", 120)
        wait_until(lambda: not host.alive(), "the end of the host", 120)
        self.assertTrue(pathlib.Path(saved.suspend_path).exists())


if __name__ == "__main__":
    unittest.main()
