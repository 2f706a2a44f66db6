#!/usr/bin/python3
"""The services of a host: what they say when they cannot start, and what a migration says when they are not there.

What a running zone does then is in e2e.live_migration; here nothing runs, so that the messages come at once."""
import socket
import unittest

from harness import LabCase, Zone
from processes import processes_in

SERVICES = (("kz-radd", 12302), ("kz-migrd", 8102))


class Services(LabCase):
    nodes = ("node1", "node2")
    services = True
    packages = False

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab, memory="64M")
        with open(cls.zone.disk, "wb") as disk:
            disk.truncate(8 << 20)
        cls.zone.configure()
        cls.zone.zoneadm("attach", "-x", "initialize-hostdata")

    def stop(self, name):
        for process in processes_in(self.lab.node("node2"), name):
            process.kill()

    def start(self, name):
        self.lab.node("node2").run([name, "--daemon"], timeout=30)

    def refused(self, *words, destination="node2"):
        done = self.zone.zoneadm("migrate", *words, destination, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("zoneadm: zone 'ant1': "), done.stderr)
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.assertEqual(self.zone.state("node2")[0], "unknown")
        return done.stderr

    def test_port_in_use(self):
        for name, port in SERVICES:
            self.stop(name)
            self.addCleanup(self.start, name)
            for options in ([], ["--daemon"]):
                with self.subTest(name=name, options=options):
                    with self.lab.node("node2").socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
                        other.bind(("::", port))
                        other.listen()
                        done = self.lab.node("node2").run([name, *options], check=False, timeout=30)
                    self.assertEqual(done.returncode, 1)
                    self.assertEqual(done.stdout, "")
                    self.assertRegex(done.stderr.splitlines()[-1], rf"^{name}: port {port} is already in use$")
                    self.assertEqual(processes_in(self.lab.node("node2"), name), [])

    def test_second_instance(self):
        for name, _ in SERVICES:
            with self.subTest(name=name):
                running = processes_in(self.lab.node("node2"), name)
                done = self.lab.node("node2").run([name, "--daemon"], check=False, timeout=30)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf"^{name}: .*already")
                self.assertEqual(processes_in(self.lab.node("node2"), name), running)

    def test_no_remote_administration(self):
        self.stop("kz-radd")
        self.addCleanup(self.start, "kz-radd")
        self.assertRegex(self.refused(), "node2.*12302.*Connection refused")

    def test_no_memory_gateway(self):
        """A running zone needs it, and goes on without."""
        self.zone.zoneadm("boot")
        self.addCleanup(self.zone.zoneadm, "halt")
        self.stop("kz-migrd")
        self.addCleanup(self.start, "kz-migrd")
        done = self.zone.zoneadm("migrate", "node2", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("kz-migrd", done.stderr)
        self.assertTrue(done.stderr.endswith("the zone goes on running on this host\n"), done.stderr)
        self.assertEqual(self.zone.state(), ("running", ""))
        self.assertEqual(self.zone.state("node2")[0], "unknown")

    def test_destination_that_cannot_be_reached(self):
        self.assertRegex(self.refused(destination="nowhere"), "nowhere")
        self.lab.node("node1").run(["ip", "route", "add", "unreachable", "192.0.2.1"])
        self.assertRegex(self.refused(destination="192.0.2.1"), "192.0.2.1.*(unreachable|No route to host)")


if __name__ == "__main__":
    unittest.main()
