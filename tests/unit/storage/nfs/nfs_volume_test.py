#!/usr/bin/python3
"""Volumes on a real NFS server: every operation, what each thing that can be wrong is answered with, a server that
stalls, and QEMU on the same file. One lab for all cases; each has a folder of its own."""
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

from kzlab import Lab  # noqa: E402
from kzlab.ganesha import export  # noqa: E402

TOOL = os.environ.get("KZ_VOLUME_TOOL", "volume_tool")
MIB = 1024 * 1024
NOBODY = "65534"
RELAY = pathlib.Path(__file__).with_name("relay.py")
NONSENSE = pathlib.Path(__file__).with_name("many_exports.py")
READ, WRITE, CREATE = "6", "7", "8"


class Tool:
    """volume_tool on a node: call it with the words of a command."""

    def __init__(self, case, node, timeout_ms=5000):
        self._case = case
        self._process = node.popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self._end)
        self("timeout", timeout_ms)

    def _end(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def answer(self, *words):
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def __call__(self, *words):
        answer = self.answer(*words)
        self._case.assertTrue(answer.startswith("ok "), f"{words}: {answer}")
        return answer.removeprefix("ok ")

    def refuses(self, code, pattern, *words):
        self._case.assertRegex(self.answer(*words), f"^error {code}: .*{pattern}")


class NfsVolume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(storage=True, aliases={"storage1": ["kzx-05"]}))
        cls.storage = cls.lab.storage
        cls.nfs = cls.storage.nfs

    def setUp(self):
        self.folder = f"/zones/{self.id().rpartition('.')[2]}"
        self.tool = Tool(self, self.lab.node("node1"))

    def suri(self, name="disk0", account="1000:1000", host="storage1"):
        return f"nfs://{account}@{host}{self.folder}/{name}"

    def on_server(self, name="disk0"):
        return self.storage.path(f"{self.folder}/{name}")

    def serve(self, exports):
        """Until the end of the test."""
        before = list(self.nfs.exports)
        self.nfs.exports = exports
        self.nfs.restart()

        def back():
            self.nfs.exports = before
            self.nfs.restart()
        self.addCleanup(back)

    def make(self, size=MIB, name="disk0"):
        self.tool("create", self.suri(name), size)
        self.assertEqual(self.tool("open", self.suri(name)), str(size))

    RELAYED = "storage1:2051"

    def relay(self, *words):
        """See relay.py."""
        relay = self.lab.node("storage1").popen(["/usr/bin/python3", RELAY, *words], stdout=subprocess.PIPE)
        self.addCleanup(lambda: (relay.kill(), relay.wait(), relay.stdout.close()))
        self.assertEqual(relay.stdout.readline(), b"listening\n")

    # What works

    def test_a_volume_is_made_sparse_with_its_folders_and_rights(self):
        self.assertEqual(self.tool("exists", self.suri("a/b/disk0")), "no")
        self.tool("create", self.suri("a/b/disk0"), 512 * MIB)
        made = self.on_server("a/b/disk0").stat()
        self.assertEqual((made.st_size, made.st_uid, made.st_gid, made.st_mode & 0o777), (512 * MIB, 1000, 1000, 0o600))
        self.assertLess(made.st_blocks * 512, MIB)
        self.assertEqual(self.on_server("a").stat().st_uid, 1000)
        self.assertLess(abs(made.st_mtime - time.time()), 600)
        self.assertEqual(self.tool("exists", self.suri("a/b/disk0")), "yes")

    def test_creation_never_touches_what_is_there(self):
        self.make()
        self.tool("fill", 0, MIB, 7)
        self.tool.refuses("already_exists", "exists already", "create", self.suri(), 4096)
        self.assertEqual(self.on_server().read_bytes(), b"\7" * MIB)

    def test_a_failed_creation_leaves_nothing(self):
        self.make()
        self.tool.refuses("invalid_argument", "larger than the server can store", "create", self.suri("b/c/disk1"),
                          (1 << 63) - 1)
        self.assertFalse(self.on_server("b").exists())
        self.tool.refuses("invalid_argument", "cannot have 0 bytes", "create", self.suri("disk1"), 0)
        self.assertFalse(self.on_server("disk1").exists())

    def test_what_is_written_is_on_the_server_and_another_host_reads_it(self):
        self.make(4 * MIB)
        other = Tool(self, self.lab.node("node2"))
        other("open", self.suri(host="kzx-05"))
        self.assertEqual(other("look", 0, 4 * MIB), "0")
        self.tool("fill", 8192, 3 * MIB, 5)
        stored = self.on_server().read_bytes()
        self.assertEqual(stored, bytes(8192) + b"\5" * (3 * MIB) + bytes(MIB - 8192))
        self.assertEqual(other("look", 8192, 3 * MIB), "5")
        self.assertEqual(other("look", 8191, 2), "mixed")
        other("fill", 8192, 4096, 6)
        self.assertEqual(self.tool("look", 8192, 4096), "6")

    def test_what_is_not_within_the_volume_or_not_whole_blocks_is_refused(self):
        self.make()
        for words in (("fill", MIB, 4096, 1), ("fill", MIB - 4096, 8192, 1), ("look", MIB - 1, 2)):
            self.tool.refuses("invalid_argument", "beyond its end", *words)
        self.tool.refuses("invalid_argument", "whole blocks", "fill", 1, 4096, 1)

    def test_writes_on_the_wire_are_for_stable_storage(self):
        self.make()
        capture = self.lab.node("storage1").popen(
            ["tcpdump", "-i", "storage", "-U", "-w", "-", "-s", "300", "--immediate-mode", "tcp", "dst", "port", "2049"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (capture.stdout.close(), capture.stderr.close(), capture.wait()))
        while b"listening on" not in capture.stderr.readline():
            pass
        self.tool("fill", 8192, 4096, 0xAB)
        # offset, count, stable = FILE_SYNC (2), length, data
        begin = (8192).to_bytes(8, "big") + (4096).to_bytes(4, "big")
        write = begin + (2).to_bytes(4, "big") + (4096).to_bytes(4, "big") + b"\xab" * 16
        seen = b""
        deadline = time.monotonic() + 10
        os.set_blocking(capture.stdout.fileno(), False)
        while write not in seen and time.monotonic() < deadline:
            seen += capture.stdout.read() or b""
            time.sleep(0.01)
        capture.terminate()
        self.assertIn(write, seen)
        self.assertEqual(seen.count(begin), 1)

    def test_a_volume_is_destroyed(self):
        self.make()
        self.tool("destroy", self.suri())
        self.assertFalse(self.on_server().exists())
        self.tool.refuses("not_found", "no such file", "destroy", self.suri())

    def test_discovery_lists_exports_and_files(self):
        self.make(3 * 4096)
        exports = json.loads(self.tool("discover", "nfs://1000:1000@storage1"))
        self.assertEqual([each["path"] for each in exports], ["/zones", "/suspend"])
        self.assertEqual([each["problem"] for each in exports], ["", ""])
        self.assertEqual(exports[0]["files"][self.suri()], 3 * 4096)
        self.assertEqual(exports[1]["files"], {})
        self.tool.refuses("invalid_argument", "position", "discover", "nfs://storage1")

    # What does not

    def test_each_wrong_name_is_answered_with_what_is_wrong(self):
        self.make()
        for code, pattern, suri in (
                ("unavailable", "cannot resolve host 'nohost'", self.suri(host="nohost")),
                ("unavailable", r"portmapper \(rpcbind\).*refused", self.suri(host="node2")),
                ("unavailable", "storage1.*2050.*refused", self.suri(host="storage1:2050")),
                ("not_found", "user 'nosuchuser' does not exist", self.suri(account="nosuchuser:1000")),
                ("not_found", "group 'nosuchgroup' does not exist", self.suri(account="1000:nosuchgroup")),
                ("not_found", "storage1 does not export /nothing; it exports /zones, /suspend",
                 "nfs://1000:1000@storage1/nothing/disk0"),
                ("not_found", "disk1: no such file or folder", self.suri("disk1")),
                ("not_found", "a: no such file or folder", self.suri("a/disk0")),
                ("not_found", "disk0: not a folder", self.suri("disk0/a")),
                ("invalid_argument", "not a regular file", self.suri().rpartition("/")[0])):
            with self.subTest(suri):
                self.tool.refuses(code, pattern, "open", suri)

    def test_who_may_not_is_told_who_he_is(self):
        self.make()
        self.tool.refuses("permission", r"denies it to 1001:1001 \(uid 1001, gid 1001\)", "open",
                          self.suri(account="1001:1001"))
        self.tool.refuses("permission", r"denies it to root:root \(uid 0, gid 0\); .*root_squash", "open",
                          self.suri(account="root:root"))
        self.tool.refuses("permission", "root_squash", "create", self.suri("disk1", account="0:0"), 4096)
        self.tool.refuses("permission", "denies it to 1001", "destroy", self.suri(account="1001:1001"))
        self.assertEqual(self.on_server().stat().st_size, MIB)

    def test_a_share_for_reading_only(self):
        self.make()
        self.tool("fill", 0, 4096, 1)
        self.serve([export("/zones", access="RO"), export("/suspend")])
        self.assertEqual(self.tool("look", 0, 4096), "1")
        self.tool.refuses("permission", "reading only", "fill", 0, 4096, 2)
        self.tool.refuses("permission", "reading only", "open", self.suri())
        self.tool.refuses("permission", "reading only", "create", self.suri("disk1"), 4096)
        self.tool.refuses("permission", "reading only", "destroy", self.suri())

    def test_a_share_that_demands_reserved_ports(self):
        self.make()
        self.serve([export("/zones", reserved_ports=True), export("/suspend")])
        self.tool.refuses("permission", "reserved source ports.*insecure", "open", self.suri())

    def test_an_export_that_is_gone(self):
        self.make()
        self.serve([export("/suspend")])
        self.tool.refuses("(not_found|io)", "", "look", 0, 4096)
        self.tool.refuses("not_found", "does not export .*; it exports /suspend", "open", self.suri())

    def test_no_space(self):
        storage1 = self.lab.node("storage1")
        storage1.run(["sh", "-c", "mkdir /small && mount -t tmpfs -o size=256k,mode=1777 small /small"])
        self.addCleanup(storage1.run, ["sh", "-c", "umount -l /small && rmdir /small"])
        self.serve([*self.nfs.exports, export("/small")])
        suri = "nfs://1000:1000@storage1/small/disk0"
        self.tool("create", suri, MIB)
        self.tool("open", suri)
        self.tool("fill", 0, 65536, 1)
        self.tool.refuses("no_space", "no space left on the server", "fill", 0, MIB, 2)
        self.tool("close")

    def test_another_file_of_that_name_is_noticed(self):
        self.make()
        other = Tool(self, self.lab.node("node2"))
        other("destroy", self.suri())
        other("create", self.suri(), MIB)
        self.tool.refuses("wrong_state", "replaced by another file", "backing")

    def test_another_size_is_noticed_after_the_connection_broke(self):
        self.make()
        self.nfs.restart()
        self.assertEqual(self.tool("look", 0, 4096), "0")
        os.truncate(self.on_server(), 2 * MIB)
        self.nfs.restart()
        for _ in range(2):
            self.tool.refuses("wrong_state", "another size", "fill", 0, 4096, 1)
        self.assertEqual(self.on_server().read_bytes(), bytes(2 * MIB))

    # Time

    def stalled(self, break_off, restore):
        """A small and a large write, and a read, that time out; how the volume is afterwards."""
        self.make(4 * MIB)
        self.tool("fill", 0, 4 * MIB, 1)
        self.tool("timeout", 400)
        self.tool("open", self.suri())
        descriptors = self.tool("descriptors")
        break_off()
        try:
            for words in (("fill", 0, 4096, 2), ("look", 0, 4096), ("fill", 4096, 2 * MIB, 3)):
                begin = time.monotonic()
                self.tool.refuses("timeout", "", *words)
                self.assertLess(time.monotonic() - begin, 2)
        finally:
            restore()
        # The next operation connects anew. What the server still had of the others, it has done by its answer.
        self.tool("timeout", 5000)
        self.tool("open", self.suri())
        self.assertEqual(self.tool("look", 0, 4 * MIB), "1")
        time.sleep(0.5)
        self.assertEqual(self.on_server().read_bytes(), b"\1" * (4 * MIB))
        self.assertEqual(self.tool("descriptors"), descriptors)
        self.tool("fill", 0, 4096, 4)
        self.assertEqual(self.tool("look", 0, 4096), "4")

    def test_a_write_that_timed_out_at_a_stalled_server_does_not_land_later(self):
        self.stalled(self.storage.pause, self.storage.resume)

    def test_a_write_that_timed_out_on_a_cut_link_does_not_land_later(self):
        self.stalled(lambda: self.storage.cut("node1"), lambda: self.storage.restore("node1"))

    def test_a_write_under_way_when_the_link_is_cut_ends_in_time_and_stays_a_prefix(self):
        self.make(64 * MIB)
        self.tool("timeout", 700)
        self.tool("open", self.suri())
        cutter = threading.Timer(0.1, self.storage.cut, ["node1"])
        cutter.start()
        answer = "ok"
        begin = time.monotonic()
        while answer.startswith("ok") and time.monotonic() - begin < 10:
            answer = self.tool.answer("fill", 0, 16 * MIB, 9)
        cutter.join()
        at_timeout = self.on_server().read_bytes()
        self.storage.restore("node1")
        self.assertRegex(answer, "^error timeout")
        self.assertEqual(self.tool("look", 16 * MIB, 48 * MIB), "0")
        time.sleep(0.5)
        self.assertEqual(self.on_server().read_bytes(), at_timeout)

    def test_a_creation_that_timed_out_leaves_nothing(self):
        self.make()
        self.tool("timeout", 500)
        self.storage.pause()
        self.addCleanup(self.storage.resume)
        self.tool.refuses("timeout", "", "create", self.suri("new/disk1"), MIB)
        self.storage.resume()
        self.tool("timeout", 5000)
        self.assertEqual(self.tool("exists", self.suri("new/disk1")), "no")
        self.assertFalse(self.on_server("new").exists())

    def test_a_creation_whose_answer_is_lost_is_undone(self):
        self.relay("lose", CREATE)
        self.tool("timeout", 1000)
        self.tool.refuses("timeout", "no answer in time$", "create", self.suri("new/disk0", host=self.RELAYED), MIB)
        self.assertFalse(self.on_server("new").exists())

    def test_a_lost_answer_to_creation_does_not_remove_the_file_of_another(self):
        self.make()
        self.relay("lose", CREATE)
        self.tool("timeout", 1000)
        self.tool.refuses("timeout", "no answer in time$", "create", self.suri(host=self.RELAYED), 2 * MIB)
        self.assertEqual(self.on_server().stat().st_size, MIB)

    def test_a_lost_answer_to_a_write_is_an_error_and_the_next_write_counts(self):
        self.make()
        self.relay("lose", WRITE)
        self.tool("timeout", 1000)
        self.tool("open", self.suri(host=self.RELAYED))
        self.tool.refuses("timeout", "no answer in time", "fill", 0, 4096, 1)
        self.tool("fill", 0, 4096, 2)
        self.assertEqual(self.on_server().read_bytes()[:4096], b"\2" * 4096)

    # A server that answers nonsense

    def check_nonsense(self, code, pattern, words, *tampering):
        self.relay("patch", *tampering)
        self.tool("open", self.suri(host=self.RELAYED))
        self.tool.refuses(code, pattern, *words)
        self.tool(*words)

    def test_a_read_of_another_length_than_announced(self):
        self.make()
        self.check_nonsense("protocol", "another length", ("look", 0, 4096), READ, str(-4096 - 12), "00000800")

    def test_a_read_of_more_than_was_asked_for(self):
        self.make()
        self.check_nonsense("(io|protocol)", "", ("look", 0, 4096), READ, str(-4096 - 4), "7fffffff")

    def test_a_read_of_nothing(self):
        self.make()
        self.check_nonsense("io", "shorter than it was", ("look", 0, 4096), READ, str(-4096 - 12),
                            "00000000" "00000001" "00000000")

    def test_a_write_that_is_not_durable(self):
        self.make()
        self.check_nonsense("protocol", "not write to stable storage", ("fill", 0, 4096, 1), WRITE, "-12", "00000000")

    def test_a_write_of_more_than_was_sent(self):
        self.make()
        self.check_nonsense("protocol", "wrote 8192 of 4096 bytes", ("fill", 0, 4096, 1), WRITE, "-16", "00002000")

    def test_a_record_longer_than_any_answer(self):
        self.make()
        self.check_nonsense("protocol", "answer of 2147483647 bytes", ("look", 0, 4096), READ, "0", "ffffffff")

    def test_a_list_of_exports_that_would_exhaust_the_stack(self):
        server = self.lab.node("node2").popen(["/usr/bin/python3", NONSENSE, str(60_000)], stdout=subprocess.PIPE)
        self.addCleanup(lambda: (server.kill(), server.wait(), server.stdout.close()))
        self.assertEqual(server.stdout.readline(), b"listening\n")
        self.tool.refuses("protocol", "answer of 720028 bytes", "discover", "nfs://1000:1000@node2")

    # QEMU

    def qemu(self, commands, tool=None, node="node1"):
        """What QEMU's monitor command qemu-io prints, as QEMU runs for zones: not root, in its sandbox, with the
        options that src/qemu/machine.cc renders for an NfsDisk."""
        host, path, uid, gid = (tool or self.tool)("backing").split()
        options = {"driver": "raw", "node-name": "disk0",
                   "file": {"driver": "nfs", "server": {"type": "inet", "host": host}, "path": path,
                            "user": int(uid), "group": int(gid)}}
        lines = [json.dumps({"execute": "qmp_capabilities"})]
        lines += [json.dumps({"execute": "human-monitor-command",
                              "arguments": {"command-line": f'qemu-io disk0 "{each}"'}}) for each in commands]
        lines += [json.dumps({"execute": "quit"})]
        done = self.lab.node(node).run(
            ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs",
             "qemu-system-x86_64", "-M", "none", "-nodefaults", "-display", "none", "-S",
             "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
             "-blockdev", json.dumps(options), "-qmp", "stdio"], input="\n".join(lines) + "\n", timeout=30)
        output = done.stdout.splitlines()
        self.assertEqual([line for line in output if line.startswith('{"error"')], [], done.stdout)
        return "\n".join(line for line in output if not line.startswith("{"))

    def test_qemu_reads_and_writes_the_same_volume(self):
        self.make()
        self.tool("fill", 0, 65536, 0x11)
        output = self.qemu(["read -P 0x11 0 64k", "write -P 0x22 64k 64k", "flush", "read -P 0 128k 64k"])
        for line in ("read 65536/65536 bytes at offset 0", "wrote 65536/65536 bytes at offset 65536",
                     "read 65536/65536 bytes at offset 131072"):
            self.assertIn(line, output)
        self.assertNotIn("failed", output)
        self.assertEqual(self.tool("look", 0, 65536), str(0x11))
        self.assertEqual(self.tool("look", 65536, 65536), str(0x22))

    def test_all_of_it_by_ipv6(self):
        tool = Tool(self, self.lab.node("storage1"))
        suri = self.suri(host="[::1]")
        tool("create", suri, MIB)
        tool("open", suri)
        tool("fill", 0, 65536, 3)
        output = self.qemu(["read -P 3 0 64k"], tool, "storage1")
        self.assertIn("read 65536/65536 bytes", output)
        self.assertNotIn("failed", output)
        self.assertIn(suri, json.loads(tool("discover", "nfs://1000:1000@[::1]"))[0]["files"])

    def test_qemu_finds_a_port_that_the_portmapper_tells(self):
        self.make()
        self.nfs.port = 2050
        self.addCleanup(setattr, self.nfs, "port", 2049)
        self.serve(self.nfs.exports)
        self.tool("open", self.suri())
        output = self.qemu(["read -P 0 0 64k"])
        self.assertIn("read 65536/65536 bytes", output)
        self.assertNotIn("failed", output)
        self.nfs.port = 2049

    def test_a_port_that_qemu_cannot_be_told_is_refused(self):
        self.make()
        self.relay()
        self.tool("open", self.suri(host=self.RELAYED))
        self.assertEqual(self.tool("look", 0, 4096), "0")
        self.tool.refuses("unsupported", "portmapper tells, 2049, and cannot be told port 2051", "backing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
