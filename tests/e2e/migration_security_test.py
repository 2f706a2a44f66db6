#!/usr/bin/python3
"""What somebody on the network sees of a migration, and what he can do to one: nothing. The zones go on, whatever is
said to the two ports, and moves work meanwhile."""
import json
import os
import pathlib
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import unittest

from harness import Consoles, LabCase, Zone, wait_until
from processes import nothing_left, processes_in
from workload import memory_pattern

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from moving import Command, SlowLink  # noqa: E402

PREFIX = "zoneadm: zone 'ant1': "
GOES_ON = "the zone goes on running on this host"
RAD, MEMORY = 12302, 8102
IDLE = 10_000
PAGES = (0, 1, 77, 300, 901, 1500)  # of the memory load: looked for on the wire
PASSWORD = "open sesame 42"
SLOW = 40  # megabits per second

FLOOD = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
held = []
for _ in range(int(sys.argv[3])):
    held.append(socket.create_connection((sys.argv[1], int(sys.argv[2])), 30))
print("open", flush=True)
sys.stdin.read()
"""


class Capture:
    """All that goes over a host's wire."""

    def __init__(self, node, file):
        self._file = file
        self._process = node.popen(["tcpdump", "-i", "uplink", "-s", "0", "-B", "65536", "-Z", "root", "-U", "-w", file],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self._process.stderr.readline()
        if "listening on" not in said:
            self._process.wait()
            raise AssertionError(f"tcpdump: {said}")

    def so_far(self):
        return self._file.read_bytes()

    def end(self):
        self._process.send_signal(signal.SIGINT)
        said = self._process.communicate(timeout=30)[1]
        data = self._file.read_bytes()
        self._file.unlink()
        if not re.search(r"^0 packets dropped by kernel", said, re.MULTILINE):
            raise AssertionError(f"the capture has holes: {said}")
        return data

    def abandon(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Impostor:
    """Stands on a host in the way to another one, with a certificate of his own."""

    def __init__(self, node, folder):
        key, certificate = folder / "impostor.key", folder / "impostor.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=node2", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = node.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("", RAD))
        self._listener.listen()
        self.heard = []  # of each connection, what was said to him
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self.heard.append(secured.recv(65536))
            except OSError:
                self.heard.append(b"")

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)


@unittest.skipUnless(os.access("/usr/bin/tcpdump", os.X_OK), "needs tcpdump")
class Security(LabCase):
    nodes = ("node1", "node2")

    @classmethod
    def prepare(cls):
        for name in cls.nodes:
            cls.accept_password(cls.lab.node(name))
        cls.lab.trust()
        cls.lab.services()
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.consoles = cls.enterClassContext(Consoles(cls.zone, cls.nodes))
        terminal = cls.consoles.wait_session("node1")
        terminal.expect("ant1:[^ ]*# ", 60)
        terminal.send_line("kz-clock -i 10 & kz-memload -x -m 8 -r 1")
        terminal.expect(r"memload pass \d+ pages \d+ ok", 60)
        cls.client = cls.lab.client

    @staticmethod
    def accept_password(node):
        """By a real PAM stack, which kz-radd looks for when it starts."""
        check = node.path("check-password")
        check.write_text(f"#!/bin/sh\n[ \"$(tr -d '\\000')\" = '{PASSWORD}' ]\n")
        check.chmod(0o755)
        service = node.path("etc/pam.d/kzones")
        service.parent.mkdir(parents=True, exist_ok=True)
        service.write_text(f"auth [success=1 default=ignore] pam_exec.so quiet expose_authtok {check}\n"
                           "auth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n")

    def setUp(self):
        self.here = self.running_on()
        self.there = next(node for node in self.nodes if node != self.here)
        self.zone.home = self.here
        self.source, self.target = self.lab.node(self.here), self.lab.node(self.there)
        self.daemons = self.all_daemons()
        self.assertEqual(len(self.daemons), 4)

    def tearDown(self):
        """Nobody has died, the guest has missed nothing, and nothing is left on the other host."""
        self.assertEqual(self.all_daemons(), self.daemons)
        self.consoles.wait_ticks(50)
        for session in self.consoles.sessions():
            self.assertNotIn("MEMLOAD FAILED", session.text)
        other = next(node for node in self.nodes if node != self.running_on())
        wait_until(lambda: nothing_left(self.zone, other), f"end of the zone's processes on {other}")

    def all_daemons(self):
        return {process for name in self.nodes for program in ("kz-radd", "kz-migrd")
                for process in processes_in(self.lab.node(name), program)}

    def running_on(self):
        running = [node for node in self.nodes if self.zone.state(node) == ("running", "")]
        self.assertEqual(len(running), 1)
        return running[0]

    def begin(self, *options, to=None):
        return Command(self.source, ["zoneadm", "-z", "ant1", "migrate", *options, to or self.there])

    def moves(self, *options):
        status, said = self.begin(*options).wait()
        self.assertEqual(status, 0, said)
        self.assertEqual(self.running_on(), self.there)
        return said

    def is_refused(self, move):
        status, said = move.wait()
        self.assertEqual(status, 1, said)
        self.assertEqual(self.running_on(), self.here)
        return said

    def capture(self):
        capture = Capture(self.source, self.lab.folder / "capture.pcap")
        self.addCleanup(capture.abandon)
        return capture

    def patterns(self):
        """What the guest's memory may hold now: of some pages, after each pass so far and the next few."""
        passes = [int(number) for session in self.consoles.sessions()
                  for number in re.findall(r"memload pass (\d+) pages", session.text)]
        return [memory_pattern(page, number) for page in PAGES for number in range(max(0, max(passes) - 4), max(passes) + 6)]

    def log_of(self, node, name):
        return node.path(f"var/log/zones/{name}").read_text(errors="replace")

    def audit(self, node):
        return [json.loads(line) for line in self.log_of(node, "audit.jsonl").splitlines()]

    # Who listens

    def test_no_page_of_the_guest_is_on_the_wire(self):
        for options in ([], ["-c", "aes-256-gcm", "--connections", "2"]):
            with self.subTest(options=options):
                self.setUp()
                capture = self.capture()
                self.moves(*options)
                seen = capture.end()
                self.assertGreater(len(seen), 8 << 20)
                self.assertEqual([each for each in self.patterns() if each in seen], [])
                key = self.lab.node(self.here).path("etc/zones/keys/ant1").read_bytes().strip()
                self.assertGreater(len(key), 16)
                self.assertNotIn(key, seen)

    def test_without_a_cipher_they_are_and_it_is_said(self):
        capture = self.capture()
        said = self.moves("-c", "none")
        seen = capture.end()
        self.assertNotEqual([each for each in self.patterns() if each in seen], [])
        self.assertIn(PREFIX + "WARNING: the zone's memory is sent without encryption.\n", said)
        offered = [entry for entry in self.audit(self.target) if entry.get("action") == "incoming"][-1]
        self.assertEqual((offered["cipher"], offered["who"], offered["zone"]), ("none", self.here, "ant1"))
        self.assertIn(f"memory goes to {self.there} without encryption", self.log_of(self.source, "ant1.log"))
        self.assertEqual(self.zone.history()[-1]["cipher"], "none")

    # Who pretends

    def test_somebody_in_the_middle(self):
        """The host's name leads to somebody else's, who would pass everything on."""
        impostor = Impostor(self.client, self.lab.folder)
        self.addCleanup(impostor.close)
        known = self.source.path("etc/zones/rad/known_hosts")
        before = known.read_text()
        self.addCleanup(known.write_text, before)
        key = self.target.run(["kz-radd", "--fingerprint"]).stdout.strip()
        known.write_text(before + f"client {key}\n")
        for options in ([], ["--accept-new"], ["--fingerprint", key]):
            with self.subTest(options=options):
                said = self.is_refused(self.begin(*options, to="client"))
                self.assertRegex(said, "(?i)chang|differ|another key|not the")
        self.assertEqual(set(impostor.heard), {b""})
        self.assertEqual(known.read_text(), before + f"client {key}\n")

    def test_key_that_is_not_known(self):
        """Of a client that speaks the protocol: he gets in nowhere, with or without a key of his own."""
        folder = self.lab.folder
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=node1",
                        "-keyout", folder / "own.key", "-out", folder / "own.crt"], check=True, capture_output=True)
        strangers = len([entry for entry in self.audit_or_nothing(self.target) if entry["outcome"] == "permission"])
        for own in (False, True):
            for path in ("/api/1/zones/ant1/incoming", "/api/1/zones/ant1/state", "/api/1/zones/ant1/incoming/resume"):
                status = self.rad_request("POST", path, own)
                self.assertEqual(status, 403, (path, own))
        refused = [entry for entry in self.audit(self.target) if entry["outcome"] == "permission"]
        self.assertGreater(len(refused), strangers)
        self.assertEqual(refused[-1]["from"], self.client.address)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises(OSError), old.wrap_socket(self.connect(RAD)):
            pass
        self.moves()

    def audit_or_nothing(self, node):
        return self.audit(node) if node.path("var/log/zones/audit.jsonl").exists() else []

    def rad_request(self, method, path, own_key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if own_key:
            context.load_cert_chain(self.lab.folder / "own.crt", self.lab.folder / "own.key")
        with context.wrap_socket(self.connect(RAD)) as secured:
            secured.sendall(f"{method} {path} HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n"
                            "Content-Length: 2\r\n\r\n{}".encode())
            answer = secured.recv(65536)
        return int(answer.split()[1])

    def connect(self, port):
        connection = self.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(30)
        self.addCleanup(connection.close)
        connection.connect((self.target.address, port))
        return connection

    def test_key_that_is_revoked_while_the_zone_moves(self):
        authorized = self.target.path("etc/zones/rad/authorized_keys")
        before = authorized.read_text()
        self.addCleanup(authorized.write_text, before)
        with SlowLink(self.source, SLOW) as link:
            sent = link.sent()
            move = self.begin()
            wait_until(lambda: link.sent() > sent + (4 << 20), "memory on the wire", 60)
            authorized.write_text("")
        said = self.is_refused(move)
        self.assertIn(GOES_ON, said)
        self.assertRegex(said, "(?i)authori[sz]e")
        wait_until(lambda: nothing_left(self.zone, self.there), "the end of what was begun", 60)
        authorized.write_text(before)
        self.moves()

    def test_hello_that_is_replayed(self):
        """By somebody who has recorded it: while the session lives, and after it."""
        capture = self.capture()
        with SlowLink(self.source, SLOW):
            move = self.begin()
            # The first is of the check whether the port can be reached, whose session ends with it.
            wait_until(lambda: capture.so_far().count(b"KZMIGR01") >= 2, "a hello of the memory on the wire", 60)
            wait_until(lambda: len(capture.so_far()) - capture.so_far().rindex(b"KZMIGR01") >= 80, "all of it", 60)
            seen = capture.so_far()
            at = seen.rindex(b"KZMIGR01")
            hello = seen[at:at + 80]
            for _ in range(3):
                self.assertEqual(self.say(MEMORY, hello), b"")
            self.assertTrue(move.running(), move.said)
        status, said = move.wait()
        self.assertEqual(status, 0, said)
        self.assertEqual(self.say(MEMORY, hello), b"")
        wait_until(lambda: re.search(r"[1-9]\d* of unknown sessions, 0 with a wrong proof, [3-9]\d* of repeated channels",
                                     self.log_of(self.target, "migrd.log")), "the count in the log", 20)
        capture.end()

    def say(self, port, what):
        """What comes back until the other end closes."""
        connection = self.connect(port)
        answer = b""
        try:
            connection.sendall(what)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        connection.close()
        return answer

    # Who makes noise

    def test_garbage(self):
        """While a zone moves."""
        noise = [os.urandom(80), os.urandom(1 << 20), b"\0" * 80, b"KZMIGR01" + os.urandom(72), b"KZMIGR02" + b"\0" * 72,
                 b"\x16\x03\x01\xff\xff" + os.urandom(4000), b"\x16\x03\x03\x00\x04\x01\x00\x00\x00",
                 b"GET /api/1/zones HTTP/1.1\r\n\r\n", b"A" * (1 << 20)]
        with SlowLink(self.source, SLOW):
            move = self.begin()
            move.wait_said("Starting migration", 60)
            for port in (MEMORY, RAD):
                for each in noise:
                    answer = self.say(port, each)
                    # TLS says why it ends; nothing else says anything.
                    self.assertTrue(answer == b"" or (port == RAD and answer[:1] == b"\x15"), (port, each[:9], answer[:40]))
        status, said = move.wait()
        self.assertEqual(status, 0, said)
        self.assertRegex(self.log_of(self.target, "migrd.log"), r"[1-9]\d* malformed")

    def test_ten_thousand_idle_connections(self):
        """Dropped for newer ones or after their time; the gateway does not grow, and a zone moves meanwhile."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.assertGreater(hard, IDLE + 100)
        gateway = processes_in(self.target, "kz-migrd")[0]
        before = self.memory_of(gateway)
        flood = self.client.popen([sys.executable, "-c", FLOOD, self.target.address, str(MEMORY), str(IDLE)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(flood.stdout.readline(), "open\n")
            self.assertLess(self.memory_of(gateway), before + (2 << 20))
            self.assertLess(len(os.listdir(f"/proc/{gateway.pid}/fd")), 400)
            self.moves()
        finally:
            flood.communicate()
        counted = r"(\d+) silent, (\d+) displaced"

        def all_counted():
            lines = re.findall(counted, self.log_of(self.target, "migrd.log"))
            return lines and sum(map(int, lines[-1])) >= IDLE - 300
        wait_until(all_counted, "the count of those refused", 30)
        self.assertLess(self.log_of(self.target, "migrd.log").count("\n"), 200)
        self.assertLess(self.memory_of(gateway), before + (2 << 20))

    def test_ten_thousand_strangers_who_say_nothing(self):
        """At the port of remote administration: few are waited for, the others give way; whoever is known gets in."""
        service = processes_in(self.target, "kz-radd")[0]
        before = self.memory_of(service)
        threads = len(os.listdir(f"/proc/{service.pid}/task"))
        flood = self.client.popen([sys.executable, "-c", FLOOD, self.target.address, str(RAD), str(IDLE)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(flood.stdout.readline(), "open\n")
            # A connection that is waited for costs a thread and its handshake.
            self.assertLess(self.memory_of(service), before + (32 << 20))
            self.assertLess(len(os.listdir(f"/proc/{service.pid}/task")), threads + 64)
            self.assertLess(len(os.listdir(f"/proc/{service.pid}/fd")), 400)
            self.moves()
        finally:
            flood.communicate()
        self.assertLess(self.memory_of(service), before + (32 << 20))
        self.assertLess(self.log_of(self.target, "radd.log").count("\n"), 1000)

    @staticmethod
    def memory_of(process):
        return int(process.status("VmRSS").split()[0]) * 1024

    # Who has a password

    def test_password(self):
        """Asked for on a terminal, judged by the PAM of the other host, and never shown."""
        authorized = self.target.path("etc/zones/rad/authorized_keys")
        self.addCleanup(authorized.write_text, authorized.read_text())
        authorized.write_text("")
        self.assertIn("assword", self.is_refused(self.begin(to=f"root@{self.there}")))  # nobody to ask
        with self.migrate_on_terminal() as terminal:
            for _ in range(3):  # as fast as one can type
                terminal.expect("Password: ", 60)
                terminal.send_line("wrong")
            terminal.expect("does not accept this password", 60)
            self.assertEqual(terminal.wait(60), 1)
            self.assertNotIn("wrong", terminal.text)
        self.assertFalse(self.moves_by_password())
        self.assertEqual(self.running_on(), self.here)
        wait_until(self.moves_by_password, "the end of the wait after a wrong password", 120)
        self.assertEqual(self.running_on(), self.there)
        offered = [entry for entry in self.audit(self.target) if entry.get("action") == "incoming"][-1]
        self.assertEqual((offered["who"], offered["outcome"]), ("root", "ok"))
        for name in ("audit.jsonl", "radd.log"):
            self.assertNotIn(PASSWORD, self.log_of(self.target, name))

    def migrate_on_terminal(self):
        return self.source.terminal(["zoneadm", "-z", "ant1", "migrate", f"root@{self.there}"])

    def moves_by_password(self):
        """False while the host lets nobody try, because somebody was wrong just before."""
        with self.migrate_on_terminal() as terminal:
            terminal.expect("Password: ")
            terminal.send_line(PASSWORD)
            said = terminal.expect("Migration successful|too many attempts", 120)[0]
            status = terminal.wait(60)
            self.assertEqual(status, 0 if said == "Migration successful" else 1)
            self.assertNotIn(PASSWORD, terminal.text)
            return status == 0



if __name__ == "__main__":
    unittest.main()
