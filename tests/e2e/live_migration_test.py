#!/usr/bin/python3
"""Live migration between two hosts, while the guest works and a client talks to it."""
import json
import pathlib
import re
import struct
import unittest

from harness import Consoles, LabCase, Zone, wait_until
from kzlab import Pinger, TcpEcho
from processes import nothing_left, processes_in

CIPHERS = ("aes-128-ccm", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305", "none")
PREFIX = "zoneadm: zone 'ant1': "
IMPORTING = "Importing zone configuration."
EXISTING = "Using existing zone configuration on destination."
PREPARING = ["Attaching zone.", "Booting zone in 'migrating-in' mode.", "Checking migration compatibility."]
MOVING = ["Starting migration.", "Suspending zone on source host.", "Waiting for migration to complete.",
          "Migration successful.", "Halting and detaching zone on source host."]


class LiveMigration(LabCase):
    """The zone runs a clock and a memory load from the first test to the last, and somebody sits at its console on
    every host. Each test begins where the one before has left the zone."""
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.consoles = cls.enterClassContext(Consoles(cls.zone, cls.nodes))
        terminal = cls.consoles.wait_session("node1")
        terminal.expect("ant1:[^ ]*# ")
        terminal.send_line("kz-clock -i 10 & kz-memload -m 48 -r 20")
        terminal.expect(r"memload pass \d+ pages \d+ ok", 60)

    def setUp(self):
        self.here = next(node for node in self.nodes if self.zone.state(node)[0] == "running")
        self.there = next(node for node in self.nodes if node != self.here)
        self.zone.home = self.here

    def tearDown(self):
        running = [node for node in self.nodes if self.zone.state(node)[0] == "running"]
        self.assertEqual(len(running), 1)
        self.check_work(running[0])
        other = next(node for node in self.nodes if node not in running)
        self.assertIn(self.zone.state(other)[0], ("configured", "unknown"))
        wait_until(lambda: nothing_left(self.zone, other), f"end of the zone's processes on {other}")

    def check_work(self, node):
        """The guest goes on, and neither its console nor its memory has lost anything."""
        self.consoles.wait_ticks(50)
        terminal = self.consoles.wait_session(node)
        checked = len(re.findall(r"memload pass \d+ pages \d+ ok", terminal.text))
        wait_until(lambda: len(re.findall(r"memload pass \d+ pages \d+ ok", terminal.text)) > checked, "the memory load")
        for session in self.consoles.sessions():
            self.assertNotIn("MEMLOAD FAILED", session.text)

    def messages(self, *lines):
        return "".join(f"{PREFIX}{line}\n" for line in lines)

    def move(self, *options):
        done = self.zone.zoneadm("migrate", *options, self.there)
        self.assertEqual(self.zone.state(self.there), ("running", ""))
        self.assertEqual(self.zone.state(self.here), ("configured", ""))
        self.assertEqual(done.stdout, "")
        return done.stderr

    def fails(self, *words, source=None, status=1):
        """A migration that does not take place, and changes nothing."""
        before = self.consoles.ticks()[-1].sequence
        done = self.zone.zoneadm("migrate", *words, node=source, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(self.zone.state(), ("running", ""))
        self.consoles.wait_tick(before + 20)
        return done.stderr

    # Moves

    def test_there_and_back_while_a_client_talks(self):
        with Pinger(self.lab.client, self.zone.address) as pinger, TcpEcho(self.lab.client, self.zone.address) as echo:
            self.assertIn(self.move(), (self.messages(IMPORTING, *PREPARING, *MOVING),
                                        self.messages(EXISTING, *PREPARING, *MOVING)))
            wait_until(lambda: nothing_left(self.zone, self.here), "end of the zone's processes")
            self.consoles.wait_ticks(100)
            source, target = self.here, self.there
            self.setUp()
            self.assertEqual((self.here, self.there), (target, source))
            self.assertEqual(self.move(), self.messages(EXISTING, *PREPARING, *MOVING))
            self.consoles.wait_ticks(100)
            echo.wait_for_all()
            self.assertGreater(echo.lines(), 100)
            wait_until(lambda: pinger.answers and max(pinger.answers) > pinger.sent - 20, "answers to pings")
        entry = self.zone.history(target)[-1]
        self.assertEqual((entry["move"], entry["cipher"], entry["peer"]), ("live", "aes-128-ccm", source))
        self.assertGreater(entry["bytes"], 48 << 20)
        self.assertLess(entry["pause_ms"], 5000)
        self.assertEqual(entry["connections"], 1)

    def test_configuration_is_imported_with_its_key_and_only_once(self):
        folder = self.lab.node(self.there).path("etc/zones")
        self.zone.zonecfg("delete", "-F", node=self.there, check=False)
        self.assertFalse((folder / "ant1.cfg").exists())
        self.assertEqual(self.move(), self.messages(IMPORTING, *PREPARING, *MOVING))
        self.assertEqual(self.zone.zonecfg("export", node=self.here).stdout,
                         self.zone.zonecfg("export", node=self.there).stdout)
        self.assertEqual((folder / "keys/ant1").stat().st_mode & 0o777, 0o600)

    def test_console_history_goes_along(self):
        self.consoles.wait_ticks(50)
        last = self.consoles.ticks()[-1].sequence
        self.move()
        with self.zone.console(self.there) as console:
            console.expect(rf"tick {last} ")  # it was printed before the move

    def test_reported_with_v_and_silent_with_q(self):
        said = self.move("-v").splitlines()
        self.assertEqual(said[1:-2], self.messages(*PREPARING, *MOVING).splitlines())
        self.assertRegex(said[-1], rf"^{PREFIX}bytes of each connection: \d+$")
        self.assertRegex(said[-2], rf"^{PREFIX}to {self.there}: pause \d+ ms, \d+ bytes in \d+ ms, "
                                   r"compressed [\d.]+:1, aes-128-ccm, "
                                   r"1 memory connections, key SHA256:\S+$")
        self.setUp()
        self.assertEqual(self.move("-q"), "")

    def test_every_cipher_and_number_of_connections(self):
        listed = self.zone.zoneadm("migrate", "-c", "list", self.there).stdout
        names = " ".join(CIPHERS[:-1])
        self.assertEqual(listed, f"source ciphers: {names} none\ndestination ciphers: {names} none\n")
        for cipher, connections in zip(CIPHERS, (1, 2, 3, 4, 2)):
            with self.subTest(cipher=cipher):
                self.setUp()
                said = self.move("-c", cipher, "--connections", str(connections))
                warning = PREFIX + "WARNING: the zone's memory is sent without encryption."
                self.assertEqual(warning in said, cipher == "none")
                entry = self.zone.history()[-1]
                self.assertEqual((entry["cipher"], entry["connections"]), (cipher, connections))
                self.check_work(self.there)

    # What does not take place

    def test_dry_run_leaves_nothing(self):
        self.zone.zonecfg("delete", "-F", node=self.there, check=False)
        disk = self.host_data()
        done = self.zone.zoneadm("migrate", "-n", self.there)
        said = done.stderr.splitlines()
        self.assertEqual(said[:4] + said[-2:], self.messages(IMPORTING, *PREPARING, "Cleaning up.",
                                                             "Dry-run migration successful.").splitlines())
        self.assertRegex(said[4], rf"^{PREFIX}Measured: the link carries [\d.]+ MB/s, memory changes at [\d.]+ MB/s\.$")
        self.assertRegex(said[5], rf"^{PREFIX}Forecast: ")
        self.assertEqual(self.zone.state(), ("running", ""))
        self.assertEqual(self.zone.state(self.there), ("unknown", ""))
        self.assertFalse(self.lab.node(self.there).path("etc/zones/keys/ant1").exists())
        wait_until(lambda: nothing_left(self.zone, self.there), "end of the zone's processes")
        self.assertEqual(self.host_data(), disk)

    def host_data(self):
        """What the disk says (storage/host_data.h), but for what each renewal of the lease changes."""
        with open(self.zone.disk, "rb") as disk:
            disk.seek(-(1 << 20), 2)
            area = disk.read()
        slots = []
        for start in (0, 512 << 10):
            magic, _, length, generation = struct.unpack_from("<8sIIQ", area, start)
            if magic == b"KZHOSTD\n":
                slots.append((generation, json.loads(area[start + 32:start + 32 + length])))
        body = max(slots)[1]
        return {name: value for name, value in body.items() if name not in ("heartbeat", "last_update")}

    def test_unknown_cipher(self):
        self.assertEqual(self.fails("-c", "rot13", self.there).count("rot13"), 1)
        self.assertEqual(self.zone.zoneadm("migrate", check=False).returncode, 2)
        self.assertEqual(self.zone.zoneadm("migrate", "-t", "hot", self.there, check=False).returncode, 2)

    def test_types_that_do_not_fit(self):
        self.assertIn("cold migration needs an installed zone that is not suspended", self.fails("-t", "cold", self.there))

    def test_the_same_host(self):
        self.assertIn(self.here, self.fails(self.here))

    def test_host_that_does_not_exist(self):
        self.assertIn("no-such-host", self.fails("no-such-host"))

    def test_host_that_does_not_answer(self):
        """Its link is down: no answer at all comes back."""
        node = self.lab.node(self.there)
        node.run(["ip", "link", "set", "uplink", "down"])
        try:
            self.assertIn(self.there, self.fails(self.there))
        finally:
            node.run(["ip", "link", "set", "uplink", "up"])

    def test_nobody_administers_the_other_host(self):
        for radd in processes_in(self.lab.node(self.there), "kz-radd"):
            radd.kill()
        try:
            self.assertRegex(self.fails(self.there), rf"{self.there}.*12302.*Connection refused")
        finally:
            self.lab.node(self.there).run(["kz-radd", "--daemon"])

    def test_nobody_takes_memory_on_the_other_host(self):
        for migrd in processes_in(self.lab.node(self.there), "kz-migrd"):
            migrd.kill()
        try:
            self.assertIn("kz-migrd", self.fails(self.there))
        finally:
            self.lab.node(self.there).run(["kz-migrd", "--daemon"])

    def test_unknown_host_key(self):
        known = self.lab.node(self.here).path("etc/zones/rad/known_hosts")
        before = known.read_text()
        known.write_text("")
        self.addCleanup(known.write_text, before)
        said = self.fails(self.there)
        key = self.lab.node(self.there).run(["kz-radd", "--fingerprint"]).stdout.strip()
        self.assertIn(f"the key of host '{self.there}' is not known", said)
        self.assertIn(f"the line '{self.there} {key}'", said)
        self.assertEqual(known.read_text(), "")
        self.assertEqual(self.move("--accept-new").splitlines()[1:], self.messages(*PREPARING, *MOVING).splitlines())
        self.assertEqual(len(known.read_text().splitlines()), 1)

    def test_changed_host_key(self):
        known = self.lab.node(self.here).path("etc/zones/rad/known_hosts")
        before = known.read_text()
        own = self.lab.node(self.here).run(["kz-radd", "--fingerprint"]).stdout.strip()
        known.write_text(f"{self.there} {own}\n")
        self.addCleanup(known.write_text, before)
        for option in ([], ["--accept-new"]):
            self.assertRegex(self.fails(*option, self.there), "(?i)chang|differ")

    def test_host_that_was_not_authorised(self):
        authorized = self.lab.node(self.there).path("etc/zones/rad/authorized_keys")
        before = authorized.read_text()
        authorized.write_text("")
        self.addCleanup(authorized.write_text, before)
        said = self.fails(self.there)
        self.assertRegex(said, "(?i)authori[sz]e")
        wait_until(lambda: nothing_left(self.zone, self.there), "end of the zone's processes")

    def test_differing_configuration_is_named(self):
        if self.zone.state(self.there)[0] == "unknown":
            self.move("-q")
            self.setUp()
        self.zone.zonecfg("select capped-memory; set physical=320M; end", node=self.there)
        try:
            for option in ([], ["-n"]):
                said = self.fails(*option, self.there).splitlines()
                self.assertIn(PREFIX + "configuration check failed:", said)
                self.assertIn("error: configuration of source and destination differs: capped-memory: physical: "
                              "268435456 and 335544320 bytes", said)
        finally:
            self.zone.zonecfg("select capped-memory; set physical=256M; end", node=self.there)

    def test_another_key_there(self):
        if self.zone.state(self.there)[0] == "unknown":
            self.move("-q")
            self.setUp()
        key = self.lab.node(self.there).path("etc/zones/keys/ant1")
        before = key.read_text()
        self.addCleanup(key.write_text, before)
        key.write_text("0123456789abcdef" * 2 + "\n")
        self.assertIn("error: destination: the zone's configuration there has another encryption key",
                      self.fails(self.there).splitlines())

    def test_everything_that_is_wrong_is_said_at_once(self):
        """A bridge that only one host has, and a file that is another one under the same path."""
        data = "var/lib/zones/bee2.data"
        other = Zone(self.lab, "bee2", 3, node=self.here, memory="64M", extra=f"""
            add device; set storage=file:///{data}; end
            add anet; set lower-link=br7; end""")
        here = self.lab.node(self.here)
        here.run(["ip", "link", "add", "br7", "type", "bridge"])
        self.addCleanup(here.run, ["ip", "link", "del", "br7"])
        for name in self.nodes:
            self.lab.node(name).path(data).write_bytes(name.encode().ljust(4 << 20, b"."))
        with open(other.disk, "wb") as file:
            file.truncate(8 << 20)
        other.configure()
        other.zoneadm("attach", "-x", "initialize-hostdata")
        other.zoneadm("boot")
        try:
            for option in ([], ["-n"], ["-n", "-t", "warm"]):
                done = other.zoneadm("migrate", *option, self.there, check=False)
                self.assertEqual(done.returncode, 1)
                said = done.stderr.splitlines()
                self.assertTrue(any(line.endswith("configuration check failed:") for line in said), said)
                self.assertTrue(any(re.match("error: destination: .*br7", line) for line in said), said)
                self.assertIn("error: destination: device 1: not the same volume: it holds other data than at the source",
                              said)
                self.assertEqual(other.state(), ("running", ""))
                self.assertEqual(other.state(self.there), ("unknown", ""))
        finally:
            other.zoneadm("halt")
            other.zoneadm("uninstall", "-F")
            other.zonecfg("delete", "-F")

    def test_disk_that_is_not_shared(self):
        other = Zone(self.lab, "bee1", 2, node=self.here, memory="64M", disk=pathlib.Path("/var/lib/zones/bee1.disk"))
        for name in self.nodes:
            disk = self.lab.node(name).path("var/lib/zones/bee1.disk")
            with open(disk, "wb") as file:
                file.truncate(8 << 20)
        other.configure()
        other.zoneadm("attach", "-x", "initialize-hostdata")
        other.zoneadm("boot")
        done = other.zoneadm("migrate", self.there, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("disk", done.stderr)
        self.assertEqual(other.state(), ("running", ""))
        self.assertEqual(other.state(self.there), ("unknown", ""))
        other.zoneadm("halt")
        other.zoneadm("uninstall", "-F")
        other.zonecfg("delete", "-F")


if __name__ == "__main__":
    unittest.main()
