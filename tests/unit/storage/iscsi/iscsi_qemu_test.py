#!/usr/bin/python3
"""A machine's QEMU reaches a LUN by its own initiator: as an unprivileged user, in its sandbox, with a CHAP password
that it inherits in memory."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kzlab import Lab  # noqa: E402
from kzlab.target import DEFAULT_NAME, Target  # noqa: E402

ARGUMENTS = os.environ["KZ_QEMU_ARGUMENTS"]
MIB = 1024 * 1024
PASSWORD = "k3eps4fe,really"
UNPRIVILEGED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]


class Machine:
    """QEMU on a node, told what to do over QMP; a context manager."""

    def __init__(self, node, folder, portal, lun, size, password=None):
        self._socket_path = folder / "qmp"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._socket_path))
        self._listener.listen()
        passed = [self._listener.fileno()]
        argv = [ARGUMENTS, portal, lun.target, str(lun.number), str(size), str(passed[0])]
        self._memory = os.memfd_create("chap")
        os.write(self._memory, (password or "").encode())
        os.lseek(self._memory, 0, os.SEEK_SET)
        if password is not None:
            passed.append(self._memory)
            argv += ["node1", str(self._memory)]
        self.argv = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
        self._process = node.popen(UNPRIVILEGED + self.argv, pass_fds=passed, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self):
        self._qmp = socket.socket(socket.AF_UNIX)
        self._qmp.settimeout(30)
        self._qmp.connect(str(self._socket_path))
        self._lines = self._qmp.makefile("r")
        # A QEMU that ended without a word has closed the listener: there is no end to wait for but the process'.
        self._listener.close()
        self._lines.readline()
        self.ask("qmp_capabilities")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self.output()
        self._qmp.close()

    def output(self):
        self._listener.close()
        text = self._process.communicate(timeout=30)[0]
        os.close(self._memory)
        return text

    def ask(self, command, **arguments):
        self._qmp.sendall((json.dumps({"execute": command, "arguments": arguments}) + "\n").encode())
        while True:
            line = self._lines.readline()
            if not line:
                raise AssertionError(f"QEMU ended: {self.output()}")
            answer = json.loads(line)
            if "event" not in answer:
                return answer

    def disk(self, command):
        """A command of qemu-io, through the guest's own device."""
        path = "/machine/peripheral/disk0/virtio-backend"
        return self.ask("human-monitor-command", **{"command-line": f'qemu-io -d {path} "{command}"'})["return"]


class ByItsOwnInitiator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())

    def setUp(self):
        self.folder = self.lab.folder / self.id()
        self.target = Target(self.lab.node("node2"), self.folder / "tgt")
        self.addCleanup(self.target.end)
        self.target.start()

    def write_and_compare(self, portal, lun, password=None, node="node1"):
        with Machine(self.lab.node(node), self.folder, portal, lun, 63 * MIB, password) as machine:
            self.assertNotIn(PASSWORD, " ".join(machine.argv))
            size = machine.ask("query-block")["return"][0]["inserted"]["image"]["virtual-size"]
            self.assertEqual(size, 63 * MIB)
            # QEMU prints what qemu-io says on its standard output, and answers with what went wrong.
            self.assertEqual(machine.disk("write -P 7 1536 3072"), "")
            self.assertEqual(machine.disk("flush"), "")
            self.assertEqual(lun.read(1536, 3072), b"\7" * 3072)
            self.assertEqual(lun.read(0, 1536), bytes(1536))
            # The last MiB is not the guest's.
            machine.disk(f"write -P 8 {63 * MIB} 4096")
            self.assertEqual(lun.read(63 * MIB, 4096), bytes(4096))

    def test_without_a_login(self):
        for block in (512, 4096):
            with self.subTest(block=block):
                self.write_and_compare(self.target.portal, self.target.add_lun(block=block))
                (self.folder / "qmp").unlink()

    def test_by_ipv6(self):
        self.write_and_compare("[::1]:3260", self.target.add_lun(), node="node2")

    def test_with_a_login(self):
        self.target.add_target(DEFAULT_NAME, account=("node1", PASSWORD))
        self.write_and_compare(self.target.portal, self.target.add_lun(), PASSWORD)

    def test_a_wrong_password(self):
        self.target.add_target(DEFAULT_NAME, account=("node1", PASSWORD))
        machine = Machine(self.lab.node("node1"), self.folder, self.target.portal, self.target.add_lun(), 63 * MIB,
                          "not-the-password")
        text = machine.output()
        self.assertIn("Authentication failure", text)
        self.assertNotIn("not-the-password", text)


if __name__ == "__main__":
    unittest.main()
