#!/usr/bin/python3
"""The services that migrations need cannot start, or start twice."""
import unittest

from harness import LabCase, wait_until
from processes import processes_in

SERVICES = {"kz-radd": 12302, "kz-migrd": 8102}


class Services(LabCase):
    nodes = ("node1",)
    packages = False

    @classmethod
    def prepare(cls):
        cls.node = cls.lab.node("node1")

    def end(self, service):
        for process in processes_in(self.node, service):
            process.kill()

    def listening(self, port):
        return f":{port} " in self.node.run(["ss", "-Hltn"]).stdout

    def test_port_in_use(self):
        for service, port in SERVICES.items():
            with self.subTest(service=service):
                holder = self.node.popen(["/usr/bin/python3", "-c", "import socket, time; s = socket.socket(); "
                                          f"s.bind(('0.0.0.0', {port})); s.listen(); time.sleep(600)"])
                try:
                    wait_until(lambda: self.listening(port), "the port in use")
                    for option in ([], ["--daemon"]):
                        done = self.node.run([service, *option], check=False, timeout=30)
                        self.assertEqual((done.returncode, done.stderr), (1, f"{service}: port {port} is already in use\n"))
                finally:
                    holder.kill()
                    holder.wait()
                wait_until(lambda: not processes_in(self.node, service), "the second one's end")
                self.node.run([service, "--daemon"])
                self.assertTrue(self.listening(port))
                self.end(service)

    def test_started_twice(self):
        for service in SERVICES:
            with self.subTest(service=service):
                self.node.run([service, "--daemon"])
                first = processes_in(self.node, service)
                self.assertEqual(len(first), 1)
                done = self.node.run([service, "--daemon"], check=False, timeout=30)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf"^{service}: ")
                wait_until(lambda: processes_in(self.node, service) == first, "the second one's end")
                self.end(service)

    def test_killed_and_started_again(self):
        """Nothing that a killed one left is in the way: sockets, locks, files with pids."""
        for service, port in SERVICES.items():
            with self.subTest(service=service):
                for _ in range(2):
                    self.node.run([service, "--daemon"])
                    self.assertTrue(self.listening(port))
                    self.end(service)


if __name__ == "__main__":
    unittest.main()
