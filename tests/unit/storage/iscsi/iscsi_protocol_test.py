#!/usr/bin/python3
"""Volumes on a scripted target: COMPARE AND WRITE, FUA and caches, every refusal, and targets that lie."""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from scripted_target import (BUSY, CONFLICT, INVALID_FIELD, INVALID_OPERATION, NAA, NAME, Answer, Disk,  # noqa: E402
                             ScriptedTarget, page, sense)
from volume_host import Later, Refused, VolumeHost, refused  # noqa: E402

BLOCK = 4096
READ, WRITE, FLUSH, COMPARE_AND_WRITE = 0x28, 0x2a, 0x35, 0x89
FUA = 0x08
POWER_ON, CAPACITY_CHANGED = sense(6, 0x2900), sense(6, 0x2a09)


class Here:
    """This host, where a lab's node is expected."""

    def popen(self, argv, **options):
        return subprocess.Popen([str(each) for each in argv], **options)


class Scripted(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.use(Disk())

    def use(self, disk, **others):
        self.disk = disk
        self.target = self.enterContext(ScriptedTarget({1: disk} | others))
        self.suri = f"iscsi://{self.target.portal}/luname.naa.{NAA}"
        self.host = self.start_host("host")

    def start_host(self, name, timeout=5000):
        return self.enterContext(VolumeHost(Here(), self.folder / name, timeout=timeout))

    def refused(self, code, *words):
        return refused(self, code, *words)

    def seen(self, operation):
        return [cdb for cdb in self.disk.seen if cdb[0] == operation]


class CompareAndWrite(Scripted):
    def test_it_is_one_step(self):
        self.assertEqual(self.host.open(self.suri)["limit"], 8 * 512)
        one, two, three = b"1" * 1024, b"2" * 1024, b"3" * 1024
        self.host.write(0, one * 4)
        self.assertTrue(self.host.compare_and_write(1024, one, two))
        self.assertFalse(self.host.compare_and_write(1024, one, three))
        self.assertEqual(self.host.read(0, BLOCK), one + two + one + one)
        self.assertTrue(all(cdb[1] & FUA for cdb in self.seen(COMPARE_AND_WRITE) if cdb[13]))
        for offset, expected, data in ((1, one, two), (0, one, two + two), (0, b"", b""), (0, b"1" * 100, b"2" * 100),
                                       (0, bytes(8192), bytes(8192)), (1 << 20, one, two)):
            with self.refused("invalid_argument"):
                self.host.compare_and_write(offset, expected, data)

    def test_of_two_initiators_exactly_one_wins(self):
        hosts = [self.start_host(f"racer{i}") for i in range(2)]
        for host in hosts:
            host.open(self.suri)
        current = bytes(512)
        for turn in range(60):
            wanted = [bytes((turn + 1, i)) * 256 for i in range(2)]
            calls = [Later(lambda host=host, data=data: host.compare_and_write(0, current, data))
                     for host, data in zip(hosts, wanted)]
            won = [call.get() for call in calls]
            self.assertEqual(sorted(won), [False, True])
            current = wanted[won.index(True)]
            self.assertEqual(self.disk.data[:512], current)

    def test_sectors_of_a_lun_with_large_blocks(self):
        self.use(Disk(block=4096))
        self.host.open(self.suri)
        self.host.write(0, b"a" * 512 + b"b" * 512 + b"c" * 3072)
        self.assertTrue(self.host.compare_and_write(512, b"b" * 512, b"B" * 512))
        self.assertFalse(self.host.compare_and_write(512, b"b" * 512, b"x" * 512))
        self.assertEqual(self.disk.data[:4096], b"a" * 512 + b"B" * 512 + b"c" * 3072)
        # A neighbour that writes the same block at the wrong moment makes it start again, not fail.
        self.disk.script[COMPARE_AND_WRITE] = [sense(0xe, 0x1d00)]
        self.assertTrue(self.host.compare_and_write(512, b"B" * 512, b"D" * 512))
        self.assertEqual(self.disk.data[:4096], b"a" * 512 + b"D" * 512 + b"c" * 3072)

    def test_it_is_used_only_where_it_works(self):
        for change in (lambda disk: disk.operations.update({0x89: b"\0\1\0\0"}),
                       lambda disk: disk.pages.update({0xb0: page(0xb0, bytes(60))}),
                       lambda disk: disk.pages.pop(0xb0),
                       lambda disk: disk.script[COMPARE_AND_WRITE].append(INVALID_OPERATION)):
            disk = Disk()
            change(disk)
            self.use(disk)
            self.assertEqual(self.host.open(self.suri)["limit"], 0)
        disk = Disk()
        del disk.operations[0x89]  # it does not say what it supports, but its limits do
        self.use(disk)
        self.assertEqual(self.host.open(self.suri)["limit"], 4096)


class Durability(Scripted):
    def test_with_fua(self):
        self.host.open(self.suri)
        self.host.write(0, b"x" * (1 << 20))
        self.assertTrue(self.seen(WRITE))
        self.assertTrue(all(cdb[1] & FUA for cdb in self.seen(WRITE)))
        self.host.read(0, BLOCK)
        self.assertTrue(all(cdb[1] & FUA for cdb in self.seen(READ)))
        self.assertFalse(self.seen(FLUSH))

    def test_without_fua_the_cache_is_emptied(self):
        self.use(Disk(fua=False))
        self.host.open(self.suri)
        self.host.write(0, b"x" * (1 << 20))
        self.assertFalse(any(cdb[1] & FUA for cdb in self.disk.seen if cdb[0] in (READ, WRITE)))
        self.assertEqual(self.disk.seen[-1][0], FLUSH)
        self.assertEqual(self.disk.data, b"x" * (1 << 20))

    def test_fua_that_is_announced_and_refused(self):
        self.host.open(self.suri)
        self.disk.script[WRITE] = [INVALID_FIELD]
        self.host.write(0, b"x" * BLOCK)
        self.assertEqual(self.disk.seen[-1][0], FLUSH)
        self.assertEqual(self.disk.data[:BLOCK], b"x" * BLOCK)
        self.disk.script[WRITE] = [INVALID_FIELD]
        with self.refused("io", "5/2400"):
            self.host.write(0, b"y" * BLOCK)

    def test_neither_fua_nor_flush(self):
        self.use(Disk(fua=False))
        self.disk.script[FLUSH] = [INVALID_OPERATION]
        self.host.open(self.suri)
        with self.refused("unsupported", "write cache"):
            self.host.write(0, b"x" * BLOCK)
        self.use(Disk(fua=False, write_cache=False))
        self.disk.script[FLUSH] = [INVALID_OPERATION]
        self.host.open(self.suri)
        self.host.write(0, b"x" * BLOCK)

    def test_transfers_are_no_longer_than_the_unit_takes(self):
        disk = Disk()
        disk.pages[0xb0] = page(0xb0, bytes(4) + struct.pack(">I", 16) + bytes(52))
        self.use(disk)
        self.host.open(self.suri)
        self.host.write(0, os.urandom(32768))
        self.assertEqual({struct.unpack(">H", cdb[7:9])[0] for cdb in self.seen(WRITE)}, {16})


class Refusals(Scripted):
    def test_each_has_its_own_message(self):
        self.host.open(self.suri)
        for answer, code, words in (
                (Answer(CONFLICT), "busy", ("reservation",)),
                (sense(7, 0x2700), "permission", ("write-protected",)),
                (sense(7, 0x2707), "no_space", ("full",)),
                (sense(3, 0x0c00), "io", ("disk itself failed",)),
                (sense(5, 0x2100), "io", ("smaller",)),
                (sense(0xb, 0x4b00), "io", ("b/4b00",)),
                (sense(5, 0x2500), "not_found", ("no such LUN",))):
            self.disk.script[WRITE] = [answer]
            with self.subTest(answer=answer), self.refused(code, NAME, "LUN 1", self.target.portal, *words):
                self.host.write(0, b"x" * BLOCK)
            self.assertEqual(self.disk.data[:BLOCK], bytes(BLOCK))

    def test_unit_attentions_and_busy_are_waited_out(self):
        self.disk.script[0x00] = [POWER_ON, POWER_ON, sense(6, 0x3f0e), CAPACITY_CHANGED, sense(2, 0x0401)]
        self.host.open(self.suri)
        self.disk.script[WRITE] = [POWER_ON, Answer(BUSY), CAPACITY_CHANGED]
        self.host.write(0, b"x" * BLOCK)
        self.assertEqual(self.disk.data[:BLOCK], b"x" * BLOCK)

    def test_a_change_that_is_one(self):
        self.host.open(self.suri)
        self.disk.script[WRITE] = [CAPACITY_CHANGED]
        self.disk.data.extend(bytes(1 << 20))
        with self.refused("wrong_state", "size changed", str(1 << 20), str(2 << 20)):
            self.host.write(0, b"x" * BLOCK)
        self.assertEqual(self.disk.data[:BLOCK], bytes(BLOCK))

    def test_busy_for_ever_ends_at_the_deadline(self):
        host = self.start_host("short", timeout=700)
        host.open(self.suri)
        self.disk.script[WRITE] = [Answer(BUSY)] * 1000
        with self.refused("timeout", "busy"):
            host.write(0, b"x" * BLOCK)

    def test_attentions_for_ever(self):
        self.host.open(self.suri)
        self.disk.script[READ] = [POWER_ON] * 1000
        with self.refused("protocol", "unit attentions"):
            self.host.read(0, BLOCK)

    def test_a_connection_that_the_target_closed_while_idle_is_made_again(self):
        self.host.open(self.suri)
        self.host.write(0, b"x" * BLOCK)
        before = self.target.logins
        self.target.disconnect_all()
        self.host.write(0, b"y" * BLOCK)
        self.assertEqual(self.disk.data[:BLOCK], b"y" * BLOCK)
        self.assertEqual(self.target.logins, before + 1)


class Portals(Scripted):
    def setUp(self):
        super().setUp()
        # The one that is asked lists a portal that takes connections and says nothing, and one that works.
        self.silent = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.second = self.enterContext(ScriptedTarget({1: self.disk}))
        self.target.text = (f"TargetName={NAME}\0TargetAddress=127.0.0.1:{self.silent.getsockname()[1]},1\0"
                            f"TargetAddress={self.second.portal},2\0").encode()

    def test_those_listed_are_tried_until_one_works(self):
        self.host.open(self.suri)
        self.assertEqual(self.host.ask("backing", name="v")["portal"], self.second.portal)
        self.host.write(0, b"x" * BLOCK)
        self.assertEqual(self.disk.data[:BLOCK], b"x" * BLOCK)
        self.assertEqual(self.target.logins, 1)  # its discovery

    def test_a_target_that_is_not_where_the_suri_says_is_looked_for(self):
        self.target.refusal = (2, 3)
        self.host.open(f"iscsi://{self.target.portal}/target.{NAME},lun.1")
        self.assertEqual(self.host.ask("backing", name="v")["portal"], self.second.portal)

    def test_each_way_of_refusing_a_login(self):
        for status, code, words in (((2, 1), "permission", "demands a CHAP login"),
                                    ((2, 2), "permission", "does not let this host in"),
                                    ((3, 1), "unavailable", "the login failed"),
                                    ((2, 0), "unavailable", "the login failed")):
            self.target.refusal = status
            with self.subTest(status=status), self.refused(code, NAME, self.target.portal, words):
                self.host.open(f"iscsi://{self.target.portal}/target.{NAME},lun.1")


class Lies(Scripted):
    def refused_at_open(self, code, *words):
        with self.refused(code, *words):
            self.host.open(f"iscsi://{self.target.portal}/target.{NAME},lun.1")

    def test_malformed_answers(self):
        for number in (0x00, 0x80, 0x83):
            self.disk.script[0x12] = [Answer(data=Disk()._inquiry(bytes(16), b"").data)]
            pages = {0x00: page(0, bytes((0, *self.disk.pages))), **self.disk.pages}
            for each in (0x00, 0x80, 0x83):
                broken = pages[each][:2] + b"\xff\xff" + pages[each][4:]
                self.disk.script[0x12].append(Answer(data=broken if each == number else pages[each]))
            self.refused_at_open("protocol", f"page {number:02x}", "malformed")
            self.disk.script.clear()
        for opcode, data in ((0x12, b"\0" * 5), (0x9e, b"\0" * 8), (0x9e, b"\xff" * 32)):
            self.disk.script[opcode] = [Answer(data=data)]
            self.refused_at_open("unsupported" if data[:1] == b"\xff" else "protocol")
            self.disk.script.clear()

    def test_data_that_is_too_short(self):
        self.host.open(self.suri)
        self.disk.script[READ] = [Answer(data=b"x" * 100)]
        with self.refused("io", "100 bytes came instead of 4096"):
            self.host.read(0, BLOCK)

    def test_more_luns_than_can_be(self):
        self.target.luns = struct.pack(">II", 8 * 20000, 0)
        with self.refused("not_found", "20000 LUNs"):
            self.host.open(self.suri)
        self.target.luns = struct.pack(">II", 8 * 1000, 0) + b"".join(
            bytes((0x40 | each >> 8, each & 0xff)) + bytes(6) for each in range(1000))
        self.host.open(self.suri)  # of which one is there

    def test_a_list_of_targets_in_disorder(self):
        for text in (b"TargetAddress=127.0.0.1:1,1\0", b"TargetName=\0TargetAddress=\0", b"nonsense\0", b"\0" * 100,
                     b"TargetName=" + b"x" * 5000):
            with self.subTest(text=text[:40]):
                self.target.text = text
                with self.assertRaises(Refused):
                    self.host.open(self.suri)
        # An address that is none is no reason not to use the one that was asked.
        self.target.text = b"TargetName=" + NAME.encode() + b"\0TargetAddress=[\0"
        self.host.open(self.suri)

    def test_sense_data_that_is_none(self):
        self.host.open(self.suri)
        for data in (b"", b"\0", b"\0\0", b"\0\1\x70", b"\xff\xff\x70\0"):
            with self.subTest(data=data):
                self.target.sense_data = data
                self.disk.script[WRITE] = [POWER_ON]
                with self.refused("io", "0/0000"):
                    self.host.write(0, b"x" * BLOCK)
        self.target.sense_data = None
        self.host.write(0, b"x" * BLOCK)

    def test_names_of_targets_that_no_suri_can_hold(self):
        self.target.targets = [NAME, "not a name\x07"]
        self.assertEqual([volume["target"] for volume in self.host.discover(self.target.portal)], [NAME])


if __name__ == "__main__":
    unittest.main()
