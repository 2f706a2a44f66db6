#!/usr/bin/python3
"""Volumes on a real iSCSI target (tgtd): names, logins, durable blocks, and what happens when the target does not
answer, changes or goes away."""
import contextlib
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kzlab import Lab  # noqa: E402
from kzlab.target import Target  # noqa: E402
from volume_host import Later, Refused, VolumeHost, refused  # noqa: E402

MIB = 1024 * 1024
NAA = "600144f068d1cd00000053ecd3d2000"
ZONES = "iqn.2026-11.org.kzones.lab:zones"
OTHER = "iqn.2026-11.org.kzones.lab:other"
BLOCK = 4096


class WithTarget(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.node = cls.lab.node("node1")
        cls.storage = cls.lab.node("node2")

    def setUp(self):
        self.target = self.start_target("tgt")
        self.host = self.start_host("host1")

    def start_target(self, name, **options):
        target = Target(self.storage, self.lab.folder / f"{self.id()}-{name}", **options)
        self.addCleanup(target.end)
        return target.start()

    def start_host(self, name, node=None, **options):
        return self.enterContext(VolumeHost(node or self.node, self.lab.folder / f"{self.id()}-{name}", **options))

    def refused(self, code, *words):
        return refused(self, code, *words)


class Names(WithTarget):
    def test_all_forms_reach_the_same_disk(self):
        lun = self.target.add_lun(naa=NAA + "1", serial="S1")
        self.host.portals.write_text("# the storage host\n\n  node2:3260\n")
        data = os.urandom(BLOCK)
        self.host.open(f"iscsi://node2/luname.naa.{NAA}1", "writer")
        self.host.write(8 * BLOCK, data, "writer")
        for suri in (f"iscsi://node2/luname.naa.{NAA.upper()}1", f"iscsi://node2:3260/luname.naa.{NAA}1",
                     f"iscsi://{self.storage.address}/luname.naa.{NAA}1", f"iscsi:///luname.naa.{NAA}1",
                     f"iscsi://node2/target.{ZONES},lun.1", f"iscsi:///target.{ZONES.upper()},lun.1"):
            with self.subTest(suri=suri):
                self.assertEqual(self.host.open(suri)["size"], 64 * MIB)
                self.assertEqual(self.host.read(8 * BLOCK, BLOCK), data)
                self.assertTrue(self.host.ask("exists", suri=suri)["exists"])
        self.assertEqual(lun.read(8 * BLOCK, BLOCK), data)

    def test_by_ipv6(self):
        self.target.add_lun(naa=NAA + "1")
        local = self.start_host("local", node=self.storage)
        for suri in (f"iscsi://[::1]/luname.naa.{NAA}1", f"iscsi://[::1]:3260/target.{ZONES},lun.1"):
            self.assertEqual(local.open(suri)["size"], 64 * MIB)
            self.assertEqual(local.ask("backing", name="v")["portal"], "[::1]:3260")

    def test_discovery_and_all_names_of_a_lun(self):
        self.target.add_lun(naa=NAA + "1", serial="S1")
        self.target.add_lun(size=32 * MIB, target=OTHER, naa=NAA + "2", serial="S2", block=4096)
        found = {each["name"]: each for each in self.host.discover("node2")}
        self.assertEqual(set(found), {f"naa.{NAA}1", f"naa.{NAA}2"})
        first, second = found[f"naa.{NAA}1"], found[f"naa.{NAA}2"]
        self.assertEqual((first["size"], first["block"], first["vendor"], first["product"], first["serial"],
                          first["target"], first["problem"]), (64 * MIB, 512, "IET", "VIRTUAL-DISK", "S1", ZONES, ""))
        self.assertEqual((second["size"], second["block"], second["target"]), (32 * MIB, 4096, OTHER))
        self.assertEqual(first["suris"][0], f"iscsi://node2/luname.naa.{NAA}1")
        self.assertEqual(first["suris"][-1], f"iscsi://node2/target.{ZONES},lun.1")
        for suri in first["suris"]:
            self.assertEqual(self.host.ask("names", suri=suri)["names"], first["suris"])
        self.assertEqual(self.host.discover("iscsi://node2:3260/"), self.host.discover("node2"))
        with self.refused("invalid_argument", "node2:none"):
            self.host.discover("node2:none")

    def test_what_is_not_there(self):
        self.target.add_lun(naa=NAA + "1")
        with self.refused("not_found", f"luname.naa.{NAA}9", "none of the 1 targets"):
            self.host.open(f"iscsi://node2/luname.naa.{NAA}9")
        with self.refused("not_found", f"target {ZONES}, LUN 7", "no such LUN"):
            self.host.open(f"iscsi://node2/target.{ZONES},lun.7")
        with self.refused("not_found", "target iqn.2026-11.org.kzones.lab:none", "no such target"):
            self.host.open("iscsi://node2/target.iqn.2026-11.org.kzones.lab:none,lun.1")
        with self.refused("unsupported", "LUN 0", "no disk"):
            self.host.open(f"iscsi://node2/target.{ZONES},lun.0")
        with self.refused("unavailable", f"portal {self.storage.address}:3999", "Connection refused"):
            self.host.open(f"iscsi://node2:3999/luname.naa.{NAA}1")
        with self.refused("unavailable", "nowhere", "address cannot be found"):
            self.host.open(f"iscsi://nowhere/luname.naa.{NAA}1")
        with self.refused("not_found", str(self.host.portals), "host[:port]"):
            self.host.open(f"iscsi:///luname.naa.{NAA}1")
        self.assertFalse(self.host.ask("exists", suri=f"iscsi://node2/luname.naa.{NAA}9")["exists"])

    def test_two_luns_with_one_name(self):
        self.target.add_lun(naa=NAA + "1", serial="S1")
        self.target.add_lun(naa=NAA + "1", serial="S2", target=OTHER)
        with self.refused("wrong_state", "two logical units", f"naa.{NAA}1", f"{ZONES}, LUN 1", "serial S1",
                          f"{OTHER}, LUN 1", "serial S2"):
            self.host.open(f"iscsi://node2/luname.naa.{NAA}1")
        for volume in self.host.discover("node2"):
            self.assertNotIn(f"iscsi://node2/luname.naa.{NAA}1", volume["suris"])
            self.assertIn(f"naa.{NAA}1", volume["problem"])
        # By target and LUN each of them can be used.
        self.host.open(f"iscsi://node2/target.{ZONES},lun.1")

    def test_portals_of_the_file_are_tried_in_order(self):
        self.target.add_lun(naa=NAA + "1")
        self.host.portals.write_text("node2:3999\nnode2\n")
        self.host.open(f"iscsi:///luname.naa.{NAA}1")
        self.host.open(f"iscsi:///target.{ZONES},lun.1")
        self.host.portals.write_text("node2\nnode2:0\n")
        with self.refused("invalid_argument", f"{self.host.portals}: line 2"):
            self.host.open(f"iscsi:///luname.naa.{NAA}1")


class Logins(WithTarget):
    PASSWORD = "k3eps4fe,really"

    def setUp(self):
        super().setUp()
        self.target.add_target(ZONES, account=("node1", self.PASSWORD))
        self.target.add_lun(naa=NAA + "1")
        self.by_name = f"iscsi://node2/luname.naa.{NAA}1"
        self.by_target = f"iscsi://node2/target.{ZONES},lun.1"

    def test_the_right_password_by_each_scope(self):
        for scope in (ZONES, "node2", "*"):
            self.host.set_chap(f"# logins\n{scope} node1 {self.PASSWORD}\n")
            for suri in (self.by_name, self.by_target):
                self.host.open(suri)
                self.host.write(0, b"x" * BLOCK)
        backing = self.host.ask("backing", name="v")
        self.assertEqual((backing["user"], backing["password"]), ("node1", self.PASSWORD))
        self.assertNotIn(self.PASSWORD.encode(), pathlib.Path(f"/proc/{self.host.pid}/cmdline").read_bytes())

    def test_a_login_for_the_host_that_the_file_of_portals_names(self):
        self.host.set_chap(f"node2 node1 {self.PASSWORD}\n")
        self.host.portals.write_text("node2\n")
        self.host.open(f"iscsi:///luname.naa.{NAA}1")
        self.assertEqual(self.host.ask("backing", name="v")["user"], "node1")

    def test_the_most_specific_entry_counts(self):
        self.host.set_chap(f"* node1 wrong-password-1\n{ZONES} node1 {self.PASSWORD}\nnode2 node1 wrong-password-2\n")
        self.host.open(self.by_target)

    def test_a_wrong_password_is_told_and_not_shown(self):
        self.host.set_chap(f"{ZONES} node1 not-the-password\n")
        with self.refused("permission", ZONES, "user node1", str(self.host.chap)) as _:
            self.host.open(self.by_target)
        with self.assertRaises(Refused) as caught:
            self.host.open(self.by_name)
        self.assertIn("refused the CHAP login of user node1", caught.exception.message)
        self.assertNotIn("not-the-password", caught.exception.message)

    def test_a_missing_login(self):
        with self.refused("permission", ZONES, "demands a CHAP login", str(self.host.chap)):
            self.host.open(self.by_target)
        listed = self.host.discover("node2")
        self.assertEqual([each["target"] for each in listed], [ZONES])
        self.assertIn("demands a CHAP login", listed[0]["problem"])

    def test_a_file_that_others_may_read_is_not_used(self):
        self.host.set_chap(f"{ZONES} node1 {self.PASSWORD}\n", mode=0o640)
        with self.refused("permission", str(self.host.chap), "chmod 600"):
            self.host.open(self.by_target)

    def test_a_malformed_file(self):
        self.host.set_chap(f"* node1 {self.PASSWORD}\n{ZONES} node1 {self.PASSWORD} more\n")
        with self.assertRaises(Refused) as caught:
            self.host.open(self.by_target)
        self.assertIn(f"{self.host.chap}: line 2", caught.exception.message)
        self.assertNotIn(self.PASSWORD, caught.exception.message)

    def test_a_target_that_lets_only_others_in(self):
        self.target.add_target(OTHER, initiators=(), initiator_names=("iqn.2026-11.org.kzones:somebody",))
        self.target.add_lun(target=OTHER, naa=NAA + "2")
        with self.assertRaises(Refused) as caught:
            self.host.open(f"iscsi://node2/target.{OTHER},lun.1")
        self.assertIn("iqn.2026-11.org.kzones:test", caught.exception.message)
        admitted = self.start_host("admitted", initiator="iqn.2026-11.org.kzones:somebody")
        admitted.open(f"iscsi://node2/target.{OTHER},lun.1")


class Blocks(WithTarget):
    def test_reads_and_writes_of_every_alignment(self):
        for number, block in enumerate((512, 4096)):
            lun = self.target.add_lun(naa=f"{NAA}{number}", block=block)
            self.host.open(f"iscsi://node2/luname.naa.{NAA}{number}")
            data = os.urandom(2 * MIB)  # several transfers
            self.host.write(MIB, data)
            self.assertEqual(lun.read(MIB, len(data)), data)
            for start, size in ((0, BLOCK), (1, 1), (511, 2), (4095, 4098), (100, MIB), (0, len(data))):
                self.assertEqual(self.host.read(MIB + start, size), data[start:start + size], (block, start, size))
            self.host.ask("write", name="v", offset=0, data=data[:BLOCK].hex())
            self.assertEqual(lun.read(0, BLOCK), data[:BLOCK])
            end = 64 * MIB
            self.host.write(end - BLOCK, data[:BLOCK])
            self.assertEqual(self.host.read(end - 10, 10), data[BLOCK - 10:BLOCK])
            for offset, size in ((end, 1), (end - 1, 2), (2 ** 63, 1)):
                with self.refused("invalid_argument"):
                    self.host.read(offset, size)
            for offset, size in ((512, BLOCK), (0, 512), (end, BLOCK)):
                with self.refused("invalid_argument"):
                    self.host.write(offset, b"x" * size)
            self.assertEqual(lun.read(0, BLOCK), data[:BLOCK])

    def test_a_write_protected_lun(self):
        lun = self.target.add_lun(naa=NAA + "1", read_only=True)
        self.host.open(f"iscsi://node2/luname.naa.{NAA}1")
        self.assertEqual(self.host.read(0, BLOCK), bytes(BLOCK))
        with self.refused("permission", "write-protected", f"naa.{NAA}1"):
            self.host.write(0, b"x" * BLOCK)
        self.assertEqual(lun.read(0, BLOCK), bytes(BLOCK))

    def test_compare_and_write_is_not_believed_to_tgt(self):
        # tgt 1.0.85 announces it in its block limits and its list of operations, and refuses it.
        self.target.add_lun(naa=NAA + "1")
        self.assertEqual(self.host.open(f"iscsi://node2/luname.naa.{NAA}1")["limit"], 0)
        with self.refused("unsupported", "COMPARE AND WRITE"):
            self.host.compare_and_write(0, bytes(512), b"x" * 512)


class Troubles(WithTarget):
    TIMEOUT = 1500

    def setUp(self):
        super().setUp()
        self.lun = self.target.add_lun(naa=NAA + "1", serial="S1")
        self.suri = f"iscsi://node2/luname.naa.{NAA}1"
        self.host = self.start_host("short", timeout=self.TIMEOUT)
        self.host.open(self.suri)
        self.old = os.urandom(BLOCK)
        self.host.write(0, self.old)

    def test_what_was_not_answered_in_time_never_lands(self):
        other = self.start_host("other", initiator="iqn.2026-11.org.kzones:other")
        other.open(self.suri)
        for size in (BLOCK, MIB):
            self.target.stop()
            begun = time.monotonic()
            with self.refused("timeout", self.suri, "reset"):
                self.host.write(0, b"late" * (size // 4))
            took = time.monotonic() - begun
            self.assertGreaterEqual(took, self.TIMEOUT / 1000)
            self.assertLess(took, self.TIMEOUT / 1000 + 2)
            self.target.go_on()
            # tgtd takes what waits on its sockets before it answers a new connection.
            fresh = self.start_host(f"fresh-{size}", initiator="iqn.2026-11.org.kzones:fresh")
            fresh.open(self.suri)
            self.assertEqual(fresh.read(0, BLOCK), self.old)
            self.assertEqual(other.read(0, BLOCK), self.old)
            self.assertEqual(self.lun.read(0, BLOCK), self.old)
            # The next operation connects again.
            self.assertEqual(self.host.read(0, BLOCK), self.old)
            self.assertEqual(self.lun.read(0, BLOCK), self.old)

    def test_the_connection_and_the_login_have_the_deadline_too(self):
        self.target.stop()
        begun = time.monotonic()
        fresh = self.start_host("fresh", timeout=self.TIMEOUT)
        with self.refused("timeout", f"portal {self.storage.address}:3260"):
            fresh.open(self.suri)
        self.assertLess(time.monotonic() - begun, self.TIMEOUT / 1000 + 2)
        self.target.go_on()
        fresh.open(self.suri)

    def test_a_pause_shorter_than_the_deadline_is_only_a_pause(self):
        self.target.stop()
        write = Later(lambda: self.host.write(0, b"slow" * (BLOCK // 4)))
        write.join(timeout=self.TIMEOUT / 1000 / 3)
        self.assertTrue(write.is_alive())
        self.target.go_on()
        write.get()
        self.assertEqual(self.lun.read(0, 4), b"slow")

    def test_a_target_that_was_restarted_is_found_again(self):
        self.target.end()
        with self.refused("unavailable", "Connection refused"):
            self.host.read(0, BLOCK)
        self.target.start()
        self.target.add_lun(naa=NAA + "1", serial="S1", path=self.lun.path)
        self.assertEqual(self.host.read(0, BLOCK), self.old)

    def test_a_lun_that_is_removed_and_comes_back_under_another_number(self):
        self.target.remove_lun(self.lun)
        with self.refused("not_found", self.suri):
            self.host.write(0, b"x" * BLOCK)
        with self.refused("not_found", f"naa.{NAA}1"):
            self.host.read(0, BLOCK)
        self.target.add_lun(number=5, naa=NAA + "1", serial="S1", path=self.lun.path)
        self.assertEqual(self.host.read(0, BLOCK), self.old)
        self.assertEqual(self.host.ask("backing", name="v")["lun"], 5)

    def read_until_refused(self):
        deadline = time.monotonic() + 10
        with contextlib.suppress(Refused):
            while time.monotonic() < deadline:
                self.host.read(0, BLOCK)
            self.fail("nothing was noticed")

    def test_another_lun_in_its_place_is_not_written(self):
        self.host.open(f"iscsi://node2/target.{ZONES},lun.1")
        self.target.remove_lun(self.lun)
        stranger = self.target.add_lun(number=1, naa=NAA + "2", serial="S2")
        self.read_until_refused()
        with self.refused("wrong_state", "another logical unit", f"naa.{NAA}2", f"naa.{NAA}1"):
            self.host.write(0, b"x" * BLOCK)
        self.assertEqual(stranger.read(0, BLOCK), bytes(BLOCK))

    def test_a_size_that_changes_while_it_is_open(self):
        self.target.remove_lun(self.lun)
        with open(self.lun.path, "r+b") as file:
            file.truncate(96 * MIB)
        self.target.add_lun(number=1, naa=NAA + "1", serial="S1", path=self.lun.path)
        self.read_until_refused()
        with self.refused("wrong_state", "size changed", str(64 * MIB), str(96 * MIB)):
            self.host.write(0, b"x" * BLOCK)
        self.assertEqual(self.lun.read(0, BLOCK), self.old)
        self.assertEqual(self.host.open(self.suri)["size"], 96 * MIB)

    def test_no_descriptor_and_no_connection_is_left_behind(self):
        before = len(os.listdir(f"/proc/{self.host.pid}/fd"))
        for _ in range(5):
            self.host.open(self.suri)
            with self.assertRaises(Refused):
                self.host.open(f"iscsi://node2/luname.naa.{NAA}9", "missing")
        self.assertEqual(len(os.listdir(f"/proc/{self.host.pid}/fd")), before)


if __name__ == "__main__":
    unittest.main()
