#!/usr/bin/python3
"""The lab itself: hosts that reach each other, probes that measure, and nothing left behind, whatever is killed."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kzlab import Lab, LabError, Pinger, TcpEcho, TerminalClosed, TerminalTimeout, namespaces  # noqa: E402
from kzlab import lab as lab_module  # noqa: E402

OWNER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from kzlab import Lab
with Lab(sys.argv[2], nodes=("node1",)) as lab:
    # One that does not carry the lab's mark, as QEMU under its own user may not.
    lab.node("node1").popen(["env", "-i", "sleep", "1000"])
    print("up", lab._reaper.pid, flush=True)
    time.sleep(1000)
"""
ECHO = """
import socket
server = socket.create_server(("", 7))
print("listening", flush=True)
connection, _ = server.accept()
while data := connection.recv(65536):
    connection.sendall(data)
"""


def wait_until(condition, what, timeout=15):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not in {timeout} s")
        time.sleep(0.02)


def kzlab_processes(folder):
    return [pid for pid in namespaces.all_processes() if namespaces._is_marked(pid, folder)]


class TwoNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())

    def test_hosts_have_names_addresses_roots_and_reach_each_other(self):
        node1 = self.lab.node("node1")
        self.assertEqual(node1.run(["hostname"]).stdout, "node1\n")
        self.assertEqual(node1.run(["sh", "-c", "echo $KZONES_ROOT"]).stdout, f"{self.lab.folder}/node1\n")
        for source, target in (("node1", "node2"), ("node2", "client"), ("client", "node1")):
            self.lab.node(source).run(["ping", "-c", "1", "-W", "2", target])

    def test_a_node_has_a_system_folder_of_its_own(self):
        self.lab.node("node1").run(["touch", "/system/here"])
        self.assertEqual(self.lab.node("node1").run(["ls", "/system"]).stdout, "here\n")
        self.assertEqual(self.lab.node("node2").run(["ls", "/system"]).stdout, "")

    def test_disks_of_templates_are_a_node_s_own(self):
        self.lab.node("node1").run(["touch", "/var/lib/zones/disk0"])
        self.assertTrue(self.lab.node("node1").path("var/lib/zones/disk0").exists())
        self.assertEqual(self.lab.node("node2").run(["ls", "/var/lib/zones"]).stdout, "")

    def test_a_node_sees_its_own_interfaces_only(self):
        names = self.lab.node("node1").run(["ls", "/sys/class/net"]).stdout.split()
        self.assertLessEqual({"kzbr0", "lo", "uplink"}, set(names))
        self.assertNotIn("port-node1", names)

    def test_a_failing_command_shows_what_it_printed(self):
        with self.assertRaisesRegex(LabError, "(?s)node1# sh -c .*status 3\nout\nerr"):
            self.lab.node("node1").run(["sh", "-c", "echo out; echo err >&2; exit 3"])

    def test_a_terminal_waits_for_output_and_types(self):
        with self.lab.node("node2").terminal(["bash", "--norc"]) as terminal:
            terminal.expect("node2# ")
            terminal.send_line("tty; read -r word; echo got $word")
            terminal.expect(r"/dev/pts/\d+")
            terminal.send_line("fish")
            terminal.expect("got fish\r\n")
            with self.assertRaises(TerminalTimeout):
                terminal.expect("bird", timeout=0.2)
            terminal.send_line("exit 4")
            with self.assertRaises(TerminalClosed):
                terminal.expect("bird")
            self.assertEqual(terminal.wait(), 4)
            self.assertIn("got fish", [line for _, line in terminal.lines()])

    def test_the_pinger_measures_an_outage(self):
        node2 = self.lab.node("node2")
        with Pinger(self.lab.client, node2.address) as pinger:
            wait_until(lambda: len(pinger.answers) > 20, "answers")
            begin = time.monotonic()
            node2.run(["ip", "link", "set", "uplink", "down"])
            down = time.monotonic()
            time.sleep(0.3)
            up = time.monotonic()
            node2.run(["ip", "link", "set", "uplink", "up"])
            end = time.monotonic()
            answered = len(pinger.answers)
            wait_until(lambda: len(pinger.answers) > answered + 20, "answers again")
        outage = pinger.outage_ms(begin, end)
        self.assertGreater(outage, (up - down) * 1000 - 40)
        self.assertLess(outage, (end - begin) * 1000 + 1500)
        self.assertGreater(pinger.lost(), 10)

    def test_the_tcp_echo_checks_what_comes_back(self):
        server = self.lab.node("node1").popen(["/usr/bin/python3", "-c", ECHO], stdout=subprocess.PIPE)
        with server.stdout:
            server.stdout.readline()
            with TcpEcho(self.lab.client, self.lab.node("node1").address, interval=0.005) as echo:
                wait_until(lambda: echo.lines() > 50, "lines")
                echo.wait_for_all()
                self.assertLess(echo.longest_round_trip_ms(), 5000)
                server.kill()
                wait_until(lambda: echo.error is not None, "the end of the connection")
            server.wait()
        with self.assertRaisesRegex(LabError, "broke"):
            echo.wait_for_all()


class Storage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(storage=True, aliases={"storage1": ["kzx-05"]}))

    def reaches(self, source, target):
        return self.lab.node(source).run(["ping", "-c", "1", "-W", "1", target], check=False).returncode == 0

    def test_every_node_finds_its_exports_by_name_and_alias(self):
        for node, name in (("node1", "storage1"), ("node2", "kzx-05")):
            listed = self.lab.node(node).run(["rpcinfo", "-p", name]).stdout
            self.assertRegex(listed, r"100003 +3 +tcp +2049 +nfs")
            self.assertRegex(listed, r"100005 +3 +tcp +\d+ +mountd")

    def test_files_written_by_a_client_are_in_the_lab_s_folder(self):
        self.lab.node("node1").run(["qemu-img", "create", "nfs://storage1/zones/disk?uid=1000&gid=1000", "1M"])
        made = self.lab.storage.path("/zones/disk").stat()
        self.assertEqual((made.st_size, made.st_uid, made.st_gid), (1024 * 1024, 1000, 1000))

    def test_one_node_is_cut_from_storage_and_nothing_else(self):
        self.lab.storage.cut("node1")
        self.addCleanup(self.lab.storage.restore, "node1")
        self.assertFalse(self.reaches("node1", "storage1"))
        self.assertEqual(self.lab.node("node1").run(["cat", "/sys/class/net/storage/carrier"]).stdout, "1\n")
        self.assertTrue(self.reaches("node1", "node2"))
        self.assertTrue(self.reaches("node2", "storage1"))
        self.lab.storage.restore("node1")
        self.assertTrue(self.reaches("node1", "storage1"))

    def test_servers_stop_and_go_on(self):
        def null_call(timeout):
            return ["timeout", str(timeout), "rpcinfo", "-n", "2049", "-T", "tcp", "10.78.0.10", "100003", "3"]

        node = self.lab.node("node2")
        self.lab.storage.pause()
        self.addCleanup(self.lab.storage.resume)
        self.assertEqual(node.run(null_call(0.5), check=False).returncode, 124)
        self.assertTrue(self.reaches("node2", "storage1"))
        self.lab.storage.resume()
        node.run(null_call(10))

    def test_its_target_offers_luns(self):
        lun = self.lab.storage.iscsi.add_lun(size=1024 * 1024)
        node = self.lab.node("node1")
        listed = node.run(["iscsi-ls", "-s", "iscsi://storage1"]).stdout
        self.assertIn(lun.target, listed)
        self.assertIn(f"Lun:{lun.number} ", listed)

    def test_a_lab_without_a_storage_host_says_so(self):
        with Lab(nodes=("node1",)) as other, self.assertRaisesRegex(LabError, "lab up --storage"):
            self.assertIsNotNone(other.storage)


class Remains(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kzlab-"))
        self.addCleanup(lambda: Lab(self.folder).down())

    def start_owner(self):
        owner = subprocess.Popen([sys.executable, "-B", "-c", OWNER, str(pathlib.Path(__file__).parent), self.folder],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (owner.kill(), owner.wait()))
        with owner.stdout:
            word, reaper = owner.stdout.readline().split()
        self.assertEqual(word, "up")
        wait_until(self.unmarked, "the unmarked program's start")
        return owner, int(reaper)

    def members(self):
        lab = Lab.existing(self.folder)
        return namespaces.find_members(self.folder, lab._cookies())

    def unmarked(self):
        return [pid for pid in self.members() if not namespaces._is_marked(pid, self.folder)]

    def test_a_killed_owner_takes_its_lab_along(self):
        owner, _ = self.start_owner()
        members = self.members()
        self.assertGreaterEqual(len(members), 4)  # three holders and the unmarked one
        owner.kill()
        owner.wait()
        wait_until(lambda: not self.folder.exists(), "the folder's removal")
        for pid in members:
            wait_until(lambda pid=pid: namespaces.network_inode(pid) is None, f"the end of process {pid}")

    def test_a_new_lab_clears_what_is_left_when_everything_was_killed(self):
        owner, reaper = self.start_owner()
        members = self.members()
        unmarked = self.unmarked()
        self.assertEqual(len(unmarked), 1)
        for pid in (reaper, owner.pid, *(pid for pid in members if pid not in unmarked)):
            os.kill(pid, signal.SIGKILL)
        owner.wait()
        self.assertIsNotNone(namespaces.network_inode(unmarked[0]))
        with Lab(self.folder, nodes=("node1",)) as lab:
            wait_until(lambda: namespaces.network_inode(unmarked[0]) is None, "the end of the unmarked one")
            self.assertEqual(lab.node("node1").run(["hostname"]).stdout, "node1\n")
        self.assertFalse(self.folder.exists())
        self.assertEqual(kzlab_processes(self.folder), [])

    def test_processes_of_others_are_not_ours(self):
        with Lab(nodes=("node1",)) as other:
            theirs = namespaces.find_members(other.folder, other._cookies())
            self.assertGreaterEqual(len(theirs), 3)
            self.assertEqual(namespaces.find_members(self.folder, {1, 2, 3}), [])

    def test_down_leaves_no_process_cgroup_or_mount(self):
        lab = Lab(self.folder, nodes=("node1", "node2"))
        lab.up()
        node = lab.node("node1")
        program = node.popen(["sh", "-c", "trap '' HUP TERM; mount -t tmpfs t /system; sleep 1000 & wait"])
        wait_until(lambda: lab.status()[0][3] >= 2, "the processes' start")
        lab.down()
        self.assertEqual(program.wait(), -signal.SIGKILL)
        self.assertFalse(self.folder.exists())
        self.assertEqual(kzlab_processes(self.folder), [])
        self.assertNotIn(str(self.folder), pathlib.Path("/proc/self/mounts").read_text())
        cgroup = lab_module._cgroup_folder(self.folder)
        self.assertFalse(cgroup is not None and cgroup.exists())

    def test_a_kept_lab_outlives_its_maker(self):
        with Lab(self.folder, nodes=("node1",)) as lab:
            lab.keep()
        self.assertEqual(Lab.existing(self.folder).node("node1").run(["hostname"]).stdout, "node1\n")

    def test_a_folder_with_other_files_is_refused_and_kept(self):
        (self.folder / "letter").write_text("dear all")
        for attempt in (Lab(self.folder).up, Lab(self.folder).down):
            with self.assertRaisesRegex(LabError, "holds files and no lab"):
                attempt()
        self.assertEqual((self.folder / "letter").read_text(), "dear all")
        (self.folder / "letter").unlink()

    def test_the_command_line(self):
        def lab(*words):
            return subprocess.run([pathlib.Path(__file__).parent / "lab", "--dir", self.folder, *words],
                                  capture_output=True, text=True, check=False)

        self.assertIn("there is no lab", lab("status").stderr)
        table = lab("up", "--nodes", "node1,node2").stdout
        self.assertRegex(table, re.compile(r"^node2 +10\.77\.0\.12 +up +0$", re.MULTILINE))
        self.assertEqual(lab("node2", "hostname").stdout, "node2\n")
        self.assertEqual(lab("node2", "sh", "-c", "exit 7").returncode, 7)
        self.assertIn("has no node3; it has node1, node2, client", lab("node3", "true").stderr)
        self.assertIn("has no storage host", lab("storage", "pause").stderr)
        self.assertEqual(lab("down").returncode, 0)
        self.assertFalse(self.folder.exists())
        self.assertEqual(lab("down").returncode, 0)

    def test_the_command_line_with_storage(self):
        def lab(*words):
            return subprocess.run([pathlib.Path(__file__).parent / "lab", "--dir", self.folder, *words],
                                  capture_output=True, text=True, check=False)

        self.assertRegex(lab("up", "--nodes", "node1", "--storage").stdout,
                         re.compile(r"^storage1 +10\.78\.0\.10 +up +\d+$", re.MULTILINE))
        ping = ("node1", "ping", "-c", "1", "-W", "1", "storage1")
        self.assertEqual(lab(*ping).returncode, 0)
        self.assertEqual(lab("storage", "cut", "node1").returncode, 0)
        self.assertEqual(lab(*ping).returncode, 1)
        self.assertEqual(lab("storage", "restore", "node1").returncode, 0)
        self.assertEqual(lab(*ping).returncode, 0)
        self.assertIn("has no node2", lab("storage", "cut", "node2").stderr)
        for action in ("pause", "resume"):
            self.assertEqual(lab("storage", action).returncode, 0)
        self.assertEqual(lab("down").returncode, 0)
        self.assertEqual(kzlab_processes(self.folder), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
