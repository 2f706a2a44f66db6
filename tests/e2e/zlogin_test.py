#!/usr/bin/python3
"""Logins and commands in a zone through its agent, and what the agent does for its host: clock, shutdown, addresses,
file systems that stand still."""
import concurrent.futures
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
import unittest

from harness import LabCase, Zone, wait_until
from processes import monitor_of

PROMPT = r"ant1:[^ ]*# "
NO_AGENT = "zlogin: no agent answers in the zone; use its console: zlogin -C ant1\n"
# Under TCG, on a host that others work on too.
MAX_SKEW = 0.3  # seconds; 0.05 to 0.06 where the machine has nothing else to do


class GuestClock:
    """A command in the zone that tells the guest's wall clock when it is asked."""

    def __init__(self, zone, node):
        self.process = zone.node(node).popen(["zlogin", zone.name, "while read line; do echo $EPOCHREALTIME; done"],
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)

    def ask(self):
        """(guest's clock less the host's, how far off that may be)"""
        before = time.time()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        guest = float(self.process.stdout.readline())
        after = time.time()
        return guest - (before + after) / 2, (after - before) / 2

    def skew(self):
        """By the best of some questions."""
        return min((self.ask() for _ in range(10)), key=lambda answer: answer[1])


class ZloginCase(LabCase):
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.configure()
        cls.zone.install()
        cls.zone.zoneadm("boot", "--wait")

    def zlogin(self, *words, input=None, check=True, node=None, timeout=60):
        return self.zone.node(node).run(["zlogin", *words], input=input, check=check, timeout=timeout)

    def start(self, *words, node=None):
        return self.zone.node(node).popen(["zlogin", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE)

    def monitor_says(self, request):
        """An operation of the zone's monitor, on its control socket (src/monitor/control.h)."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(60)
            folder = os.open(self.zone.node().path("run/zones/ant1"), os.O_PATH)
            try:
                control.connect(f"/proc/self/fd/{folder}/control.sock")
            finally:
                os.close(folder)
            text = json.dumps(request).encode()
            control.sendall(struct.pack("<I", len(text)) + text)
            size = struct.unpack("<I", control.recv(4, socket.MSG_WAITALL))[0]
            return json.loads(control.recv(size, socket.MSG_WAITALL))


class Commands(ZloginCase):
    def test_streams_and_status(self):
        done = self.zlogin("ant1", "cat; echo wrong >&2; exit 7", input="what goes in\n", check=False)
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("what goes in\n", "wrong\n", 7))
        self.assertEqual(self.zlogin("ant1", "kill -TERM $$", check=False).returncode, 128 + 15)
        self.assertEqual(self.zlogin("ant1", "echo", "a  b", "$((1 + 2))").stdout, "a b 3\n")
        self.assertEqual(self.zlogin("ant1", "nosuchprogram", check=False).returncode, 127)

    def test_users_and_environment(self):
        self.assertEqual(self.zlogin("ant1", "id -u; pwd; echo $HOME $USER").stdout, "0\n/root\n/root root\n")
        done = self.zlogin("-l", "nosuchuser", "ant1", "id", check=False)
        self.assertEqual((done.returncode, done.stderr), (1, "zlogin: no user 'nosuchuser' in the zone\n"))
        self.assertEqual(self.zlogin("-S", "ant1", "echo $0").stdout, "sh\n")
        self.assertEqual(self.zlogin("-l", "nobody", "ant1", "id", check=False).returncode, 1)

    def test_large_streams_are_the_same(self):
        data = os.urandom(1 << 20) * 24
        for command in ("cat", "sha256sum | cut -c1-64"):
            begun = time.monotonic()
            process = self.start("ant1", command)
            out, err = process.communicate(data, timeout=600)
            print(f"24 MB into '{command}': {time.monotonic() - begun:.1f} s")
            self.assertEqual((process.returncode, err), (0, b""))
            digest = hashlib.sha256(data).hexdigest()
            self.assertEqual(hashlib.sha256(out).hexdigest() if command == "cat" else out.decode().strip(), digest)

    def test_hundred_megabytes_out(self):
        begun = time.monotonic()
        done = self.zone.node().run(["sh", "-c", "zlogin ant1 'head -c 100000000 /dev/zero' | md5sum"], timeout=900)
        print(f"100 MB out: {time.monotonic() - begun:.1f} s")
        self.assertEqual(done.stdout.split()[0], hashlib.md5(bytes(100_000_000)).hexdigest())

    def test_signals_go_to_the_command(self):
        process = self.start("ant1", "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
        self.assertEqual(process.stdout.readline(), b"ready\n")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        self.assertEqual((out, process.returncode), (b"caught\n", 9))

    def test_many_at_once(self):
        def one(number):
            return self.zlogin("ant1", f"sleep 0.{number % 10}; echo {number}; exit {number}", check=False, timeout=120)
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            for number, done in enumerate(pool.map(one, range(12))):
                self.assertEqual((done.stdout, done.returncode), (f"{number}\n", number))

    def test_reader_that_stops_stalls_itself_alone(self):
        lazy = self.start("ant1", "cat /dev/zero")
        try:
            self.assertEqual(lazy.stdout.read(1), b"\0")
            for _ in range(3):
                self.assertEqual(len(self.zlogin("ant1", "head -c 500000 /dev/zero").stdout), 500000)
            self.assertIsNone(lazy.poll())
        finally:
            lazy.kill()
            lazy.communicate()
        wait_until(lambda: "cat /dev/zero" not in self.zlogin("ant1", "ps").stdout, "the end of what nobody reads")

    def test_reader_that_goes_ends_it(self):
        done = self.zone.node().run(["sh", "-c", "zlogin ant1 yes | head -n 1"], timeout=30)
        self.assertEqual(done.stdout, "y\n")

    def test_usable_and_addresses_are_listed(self):
        listed = json.loads(self.zone.zoneadm("list", "--json").stdout)[0]
        self.assertTrue(listed["guest"]["usable"])
        self.assertRegex(listed["guest"]["agent"], r"^kz-agent \d")
        wanted = {"interface": "eth0", "address": f"{self.zone.address}/24"}
        self.assertIn(wanted, listed["guest"]["addresses"])
        self.assertIn(f"{self.zone.address}/24", self.zone.zoneadm("list", "-v", "--long").stdout)
        self.zlogin("ant1", "ip addr add 192.0.2.77/32 dev eth0")
        wait_until(lambda: "192.0.2.77/32" in self.zone.zoneadm("list", "-v", "--long").stdout, "the new address")
        self.zlogin("ant1", "ip addr del 192.0.2.77/32 dev eth0")

    def test_file_systems_stand_still_and_thaw(self):
        self.assertEqual(self.monitor_says({"op": "freeze", "at_most": 60}), {"ok": {"file_systems": 1}})
        writer = self.start("ant1", "echo x > /var/frozen; echo written")
        time.sleep(1)
        self.assertIsNone(writer.poll())
        self.assertEqual(self.monitor_says({"op": "thaw"}), {"ok": {"file_systems": 1}})
        self.assertEqual(writer.communicate(timeout=30)[0], b"written\n")
        # By itself, when nobody says so.
        self.assertEqual(self.monitor_says({"op": "freeze", "at_most": 1}), {"ok": {"file_systems": 1}})
        self.zlogin("ant1", "echo x > /var/frozen", timeout=30)
        self.assertEqual(self.monitor_says({"op": "thaw"}), {"ok": {"file_systems": 0}})


class Logins(ZloginCase):
    def login(self, *options, rows=31, columns=97):
        terminal = self.zone.node().terminal(["zlogin", *options, "ant1"], rows=rows, columns=columns)
        terminal.expect(r"\[Connected to zone 'ant1' pts/\d+\]")
        terminal.expect(PROMPT)
        return terminal

    def test_login_has_a_terminal_of_its_own(self):
        with self.login() as terminal:
            terminal.send_line("stty size; tty; echo $TERM")
            terminal.expect(r"31 97\r+\n/dev/pts/\d+\r+\ndumb")
            terminal.send_line("exit")
            terminal.expect(r"\n\[Connection to zone 'ant1' pts/\d+ closed\]")
            self.assertEqual(terminal.wait(), 0)

    def test_size_changes_reach_it(self):
        with self.login() as terminal:
            terminal.send_line("trap 'stty size' WINCH; echo re''ady")
            terminal.expect(r"\nready\r*\n")
            terminal.resize(50, 120)
            terminal.send_line("")
            terminal.expect("50 120")

    def test_escape(self):
        with self.login() as terminal:
            terminal.send("\r~.")
            terminal.expect(r"closed\]")
            self.assertEqual(terminal.wait(), 0)
        with self.login("-e", "%") as terminal:
            terminal.send("\r~.\r%.")
            terminal.expect(r"closed\]")

    def test_keys_are_characters(self):
        with self.login() as terminal:
            # What is typed while the shell's own line editor has the terminal is not seen by others as it was typed.
            terminal.send_line("echo 'on'e; cat")
            terminal.expect(r"\none\r*\n")
            terminal.send_line("it runs")
            terminal.expect(r"it runs\r*\nit runs\r*\n")
            terminal.send("\x03")
            terminal.expect(PROMPT)

    def test_failsafe_login(self):
        terminal = self.zone.node().terminal(["zlogin", "-S", "ant1"])
        with terminal:
            terminal.expect(r"\[Connected to zone 'ant1' pts/\d+\]")
            terminal.send_line("echo $0 $((40 + 2))")
            terminal.expect("sh 42")

    def test_agent_that_is_killed_is_there_again(self):
        with self.login() as terminal:
            terminal.send_line("(sleep 0.3; killall -9 kz-agent) &")
            terminal.expect(r"closed\]")
            self.assertEqual(terminal.wait(), 1)
            self.assertIn("zlogin: the agent in the zone has ended", terminal.text)
        # busybox's init starts it again within a second or two.
        wait_until(lambda: self.zlogin("ant1", "true", check=False).returncode == 0, "the agent")

    def test_monitor_that_is_replaced(self):
        with self.login() as terminal:
            monitor_of(self.zone).kill()
            terminal.expect(r"closed\]")
        wait_until(lambda: self.zlogin("ant1", "echo back", check=False).stdout == "back\n", "the next monitor")

    def test_no_agent(self):
        """Everything goes on without, and says so."""
        with self.zone.console() as console:
            console.wait_prompt()
            console.run("mv /usr/sbin/kz-agent /tmp/kz-agent; killall kz-agent")
            wait_until(lambda: "guest" not in json.loads(self.zone.zoneadm("list", "--json").stdout)[0], "its end")
            done = self.zlogin("ant1", "true", check=False)
            self.assertEqual((done.returncode, done.stderr), (1, NO_AGENT))
            self.assertIn("error", self.monitor_says({"op": "freeze", "at_most": 5}))
            begun = time.monotonic()
            self.zone.zoneadm("suspend")
            self.zone.zoneadm("boot")
            self.assertLess(time.monotonic() - begun, 60)
            console.terminal.send_line("")
            console.wait_prompt()
            console.run("mv /tmp/kz-agent /usr/sbin/kz-agent")
        wait_until(lambda: self.zlogin("ant1", "true", check=False).returncode == 0, "the agent")

    def test_zone_that_halts_ends_the_session(self):
        with self.login() as terminal:
            self.zone.zoneadm("shutdown")
            terminal.expect(r"closed\]")
        begun = time.monotonic()
        self.zone.zoneadm("boot", "--wait=120")
        print(f"boot --wait: {time.monotonic() - begun:.1f} s")
        self.assertEqual(self.zlogin("ant1", "echo up").stdout, "up\n")
        with self.login() as terminal:
            self.zone.zoneadm("halt")
            terminal.expect(r"closed\]")
            self.assertIn("zlogin: the zone has halted", terminal.text)
        done = self.zone.zoneadm("boot", "--wait", "0", check=False)
        self.assertEqual((done.returncode, done.stderr), (
            1, "zoneadm: zone 'ant1': waited 0 seconds: no agent in the zone has said that it is up\n"))
        self.zone.zoneadm("halt")
        self.zone.zoneadm("boot", "--wait")


class Clock(ZloginCase):
    nodes = ("node1", "node2")
    services = True

    def check_clock(self, node, what, tolerance=0.0):
        with GuestClock(self.zone, node) as clock:
            skew, off = clock.skew()
        print(f"{what}: the guest's clock is {skew * 1000:+.1f} ms off, within {off * 1000:.1f} ms")
        self.assertLess(abs(skew), MAX_SKEW + off + tolerance)

    def test_clock_after_suspend_and_migration(self):
        self.check_clock("node1", "boot", 1)  # the kernel takes it from a clock that counts seconds
        self.zone.zoneadm("suspend")
        time.sleep(5)
        self.zone.zoneadm("boot")
        self.check_clock("node1", "resume")
        with self.zone.node().terminal(["zlogin", "ant1"]) as terminal:
            terminal.expect(PROMPT)
            self.zone.zoneadm("migrate", "node2")
            terminal.expect(r"\[Connection to zone 'ant1' pts/\d+ closed\]\r*\nzlogin: the zone has moved to node2")
            self.assertEqual(terminal.wait(), 1)
        self.zone.home = "node2"
        self.check_clock("node2", "migration")
        # What ran in the session was ended.
        self.assertNotRegex(self.zlogin("ant1", "ps").stdout, r"pts/0")
        log = self.zone.node().path("var/log/zones/ant1.log").read_text()
        self.assertTrue(re.search(r"the guest's clock was set, within \d+ ms", log), log)


if __name__ == "__main__":
    unittest.main()
