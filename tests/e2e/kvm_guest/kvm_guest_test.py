#!/usr/bin/python3
"""The boot-sector guest on its own: it counts, and it notices a cell of its memory that is not what it wrote."""
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest

IMAGE = pathlib.Path(os.environ["KZ_BIN"]).parent / "share/kzones-test/kvm-guest.img"
TIMEOUT = 60
# The double word that the guest keeps in the last place of the fourth of its pages.
CELL = 0x10000 + 3 * 0x1000 + 0xffc


def connect(path):
    deadline = time.monotonic() + TIMEOUT
    while True:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(TIMEOUT)
        try:
            peer.connect(str(path))
            return peer
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Machine:
    def __init__(self, accelerator, cpu):
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        disk = folder / "disk"
        disk.write_bytes(IMAGE.read_bytes().ljust(1 << 20, b"\0"))
        self.debugger_path = folder / "gdb"
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", accelerator, "-M", "q35", "-cpu", cpu,
             "-m", "32", "-drive", f"file={disk},format=raw,if=virtio",
             "-serial", f"unix:{folder}/serial,server=on,wait=on", "-gdb", f"unix:{self.debugger_path},server=on,wait=off"],
            stderr=subprocess.DEVNULL)
        self.text = ""
        self.serial = connect(folder / "serial")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.serial.close()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def expect(self, pattern):
        while not (match := re.search(pattern, self.text)):
            piece = self.serial.recv(4096)
            if not piece:
                raise AssertionError(f"the guest ended; it said: {self.text!r}")
            self.text += piece.decode()
        return match

    def overwrite(self, address, value):
        """Changes the guest's memory behind its back, by QEMU's debugger port."""
        with connect(self.debugger_path) as debugger:
            for command in (f"M{address:x},4:{value.to_bytes(4, 'little').hex()}", "D"):
                debugger.sendall(f"${command}#{sum(command.encode()) % 256:02x}".encode())
                answer = b""
                while b"$OK#9a" not in answer:
                    piece = debugger.recv(4096)
                    if not piece:
                        raise AssertionError(f"{command}: {answer!r}")
                    answer += piece
                debugger.sendall(b"+")


class BootSectorGuest(unittest.TestCase):
    def check(self, accelerator, cpu):
        with Machine(accelerator, cpu) as machine:
            machine.expect(r"kz-kvm-guest: up\r\ncount 1\r\ncount 2\r\ncount 3\r\n")
            machine.overwrite(CELL, 0x7fffffff)
            match = machine.expect(r"STALE page 03 found 7fffffff expected ([0-9a-f]{8})\r\n")
            # A line needs a round at least; a KVM that emulates makes few more.
            self.assertGreaterEqual(int(match[1], 16), 3)

    def test_under_tcg(self):
        self.check("tcg", "Nehalem")

    @unittest.skipUnless(os.access("/dev/kvm", os.R_OK | os.W_OK), "this machine has no /dev/kvm")
    def test_under_kvm(self):
        self.check("kvm", "host")


if __name__ == "__main__":
    unittest.main()
