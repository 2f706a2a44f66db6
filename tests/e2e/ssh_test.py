#!/usr/bin/python3
"""Migration by ssh: control through a real sshd, without kz-radd on either host, and memory beside it or through it."""
import contextlib
import json
import os
import signal
import subprocess
import unittest

import sshd
from harness import Consoles, LabCase, Zone, wait_until
from live_migration_test import EXISTING, IMPORTING, MOVING, PREFIX, PREPARING
from processes import nothing_left, processes_in


@unittest.skipUnless(sshd.available(), "needs openssh-server and openssh-client")
class SshMigration(LabCase):
    """One zone, which works and is moved to and fro. kz-migrd runs on both hosts, on node1 for the host alone: memory
    reaches that one by a tunnel only."""
    nodes = ("node1", "node2")

    @classmethod
    def prepare(cls):
        stack = cls.enterClassContext(contextlib.ExitStack())
        cls.servers = {name: stack.enter_context(sshd.Sshd(cls.lab.node(name))) for name in cls.nodes}
        cls.clients = {name: sshd.SshClient(cls.lab.node(name), list(cls.servers.values())) for name in cls.nodes}
        cls.start_migrd("node1", "--listen", "127.0.0.1")
        cls.start_migrd("node2")
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.consoles = stack.enter_context(Consoles(cls.zone, cls.nodes))
        terminal = cls.consoles.wait_session("node1")
        terminal.expect("ant1:[^ ]*# ")
        terminal.send_line("kz-clock -i 10 & kz-memload -m 32 -r 20")
        terminal.expect(r"memload pass \d+ pages \d+ ok", 60)

    @classmethod
    def start_migrd(cls, name, *options):
        cls.lab.node(name).run(["kz-migrd", "--daemon", *options], timeout=30)

    def setUp(self):
        self.settle()

    def settle(self):
        self.here = next(node for node in self.nodes if self.zone.state(node)[0] == "running")
        self.there = next(node for node in self.nodes if node != self.here)
        self.zone.home = self.here

    def tearDown(self):
        running = [node for node in self.nodes if self.zone.state(node)[0] == "running"]
        self.assertEqual(len(running), 1)
        self.consoles.wait_ticks(30)
        for session in self.consoles.sessions():
            self.assertNotIn("MEMLOAD FAILED", session.text)
        other = next(node for node in self.nodes if node not in running)
        wait_until(lambda: nothing_left(self.zone, other), f"end of the zone's processes on {other}")
        for name in self.nodes:
            self.nothing_of_ssh(name)

    def nothing_of_ssh(self, name):
        node = self.lab.node(name)
        for program in ("ssh", "kz-radd"):
            wait_until(lambda program=program: not processes_in(node, program), f"the end of {program} on {name}")
        self.assertEqual(list(node.path("run/zones").glob("ssh-*")), [])

    def command(self, *words):
        return ["zoneadm", "-z", self.zone.name, "migrate", *words]

    def migrate(self, *words, check=True, environment=None):
        node = self.lab.node(self.here)
        return node.run(self.command(*words), check=check, timeout=180,
                        env=self.clients[self.here].environment | (environment or {}))

    def moved(self, *words):
        done = self.migrate(*words)
        self.assertEqual(self.zone.state(self.there), ("running", ""), done.stderr)
        self.assertEqual(self.zone.state(self.here), ("configured", ""))
        source = self.here
        self.settle()
        return done, self.zone.history(source)[-1]

    def fails(self, *words, environment=None):
        before = self.consoles.ticks()[-1].sequence
        done = self.migrate(*words, check=False, environment=environment)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(self.zone.state(), ("running", ""))
        self.consoles.wait_tick(before + 20)
        return done.stderr

    def go_to(self, name):
        """The zone is brought there, if it is not there yet."""
        if self.here != name:
            self.moved("-q", *(["--tunnel"] if name == "node1" else []), f"ssh://{name}")

    # Moves

    def test_there_by_an_alias_and_back_through_a_tunnel(self):
        self.go_to("node1")
        done, entry = self.moved("ssh://root@alias-of-node2:22")
        lines = "".join(f"{PREFIX}{line}\n" for line in [*PREPARING, *MOVING])
        self.assertIn(done.stderr, [f"{PREFIX}{first}\n{lines}" for first in (IMPORTING, EXISTING)])
        self.assertEqual((entry["move"], entry["transport"], entry["peer"]), ("live", "ssh", "node2"))
        self.assertGreater(entry["bytes"], 32 << 20)
        refused = self.fails("ssh://node1")
        self.assertIn("--tunnel", refused)
        done, entry = self.moved("--tunnel", "--connections", "3", "-v", "ssh://node1")
        self.assertEqual((entry["transport"], entry["connections"], entry["peer"]), ("ssh", 3, "node1"))
        self.assertRegex(done.stderr, r"3 memory connections, host known to ssh\n")
        self.assertRegex(done.stderr, r"bytes of each connection: \d+ \d+ \d+ \d+\n")
        said = (self.lab.node("node1").path("var/log/zones/radd.log")).read_text()
        self.assertIn(f"ssh:root@{self.lab.node('node2').address}", said)

    def test_warm_in_one_command(self):
        done, entry = self.moved("-t", "warm", f"ssh://{self.there}")
        self.assertIn(f"{PREFIX}Suspending zone on source host.\n", done.stderr)
        self.assertIn(f"{PREFIX}Resuming zone on destination host.\n{PREFIX}Migration successful.\n", done.stderr)
        self.assertEqual((entry["move"], entry["transport"]), ("warm", "ssh"))

    def test_list_of_ciphers_and_dry_runs(self):
        listed = self.migrate("-c", "list", f"ssh://{self.there}").stdout.splitlines()
        self.assertEqual(len(listed), 2)
        self.assertTrue(listed[1].startswith("destination ciphers: aes-128-ccm aes-128-gcm "), listed)
        tunnel = ["--tunnel"] if self.there == "node1" else []
        for kind in ("live", "warm"):
            said = self.migrate("-n", "-t", kind, *tunnel, f"ssh://{self.there}").stderr
            self.assertIn(f"{PREFIX}Dry-run migration successful.\n", said)
            self.assertIn(f"{PREFIX}Cleaning up.\n", said)
            self.assertEqual(self.zone.state(), ("running", ""))

    def test_lines_of_json(self):
        tunnel = ["--tunnel"] if self.there == "node1" else []
        done, _ = self.moved("--json", *tunnel, f"ssh://{self.there}")
        notes = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(all(note["zone"] == "ant1" for note in notes))
        self.assertIn("Migration successful.", [note.get("message") for note in notes])
        self.assertEqual(notes[-1]["report"]["transport"], "ssh")
        self.assertEqual(done.stderr, "")

    # What does not take place

    def test_a_host_that_ssh_does_not_know(self):
        client = self.clients[self.here]
        client.know([])
        self.addCleanup(client.know, list(self.servers.values()))
        self.assertIn(f"ssh does not know the key of host '{self.there}'", self.fails("-n", f"ssh://{self.there}"))
        self.assertEqual(client.known_hosts.read_text(), "")
        self.migrate("-c", "list", "--accept-new", f"ssh://{self.there}")
        self.assertEqual(len(client.known_hosts.read_text().splitlines()), 1)
        self.migrate("-c", "list", f"ssh://{self.there}")

    def test_a_host_with_another_key(self):
        client = self.clients[self.here]
        before = client.known_hosts.read_text()
        keys = {line.split()[0]: line.split(None, 1)[1] for line in before.splitlines()}
        client.known_hosts.write_text(f"{self.there} {keys[self.here]}\n")
        self.addCleanup(client.known_hosts.write_text, before)
        for option in ([], ["--accept-new"]):
            self.assertRegex(self.fails(*option, f"ssh://{self.there}"), f"the ssh key of host '{self.there}' has changed")

    def test_no_key_that_lets_us_in(self):
        server = self.servers[self.there]
        before = server.authorized.read_text()
        server.authorized.write_text("")
        self.addCleanup(server.authorized.write_text, before)
        self.assertIn("ssh-add", self.fails(f"ssh://{self.there}"))

    def test_no_kz_radd_there(self):
        said = self.fails(f"ssh://{self.there}", environment={"KZONES_SSH_RADD": "/opt/nowhere/kz-radd"})
        self.assertIn(f"kz-radd was not found on host '{self.there}'", said)

    def test_nobody_takes_memory_there(self):
        for migrd in processes_in(self.lab.node(self.there), "kz-migrd"):
            migrd.kill()
        options = ["--listen", "127.0.0.1"] if self.there == "node1" else []
        try:
            for tunnel in ([], ["--tunnel"]):
                self.assertIn("kz-migrd does not run", self.fails(*tunnel, f"ssh://{self.there}"))
        finally:
            self.start_migrd(self.there, *options)

    def test_no_sshd_there(self):
        self.assertIn("is sshd running?", self.fails(f"ssh://{self.there}:2222"))

    def test_tunnel_and_fingerprint_where_they_do_not_belong(self):
        self.assertIn("--tunnel goes through ssh", self.fails("--tunnel", self.there))
        key = self.lab.node(self.there).run(["kz-radd", "--fingerprint"]).stdout.strip()
        self.assertIn("the keys that ssh knows", self.fails("--fingerprint", key, f"ssh://{self.there}"))

    # Ends before its time

    def start(self):
        """A migration under way: memory is about to move."""
        tunnel = ["--tunnel"] if self.there == "node1" else []
        node = self.lab.node(self.here)
        process = node.popen(self.command(*tunnel, f"ssh://{self.there}"), env=self.clients[self.here].environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             start_new_session=True)
        self.addCleanup(process.stderr.close)
        for line in process.stderr:
            if "Booting zone" in line:
                return process
        raise AssertionError("the migration did not get so far")

    def stays_here(self):
        wait_until(lambda: self.zone.state(self.here) == ("running", ""), "the zone's return")
        wait_until(lambda: self.zone.state(self.there)[0] in ("configured", "unknown"), "the destination's return")

    def test_an_interrupt_ends_all(self):
        process = self.start()
        os.kill(process.pid, signal.SIGINT)
        said = process.stderr.read()
        self.assertEqual(process.wait(), 1, said)
        self.assertIn("Cleaning up.", said)
        self.stays_here()

    def test_a_killed_command_takes_ssh_along(self):
        process = self.start()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        self.stays_here()
        # Nobody was left to remove the tunnel's folder but the next that makes one.
        if self.there == "node1":
            self.migrate("-n", "--tunnel", f"ssh://{self.there}")

    def test_a_killed_ssh_is_noticed(self):
        process = self.start()
        for ssh in processes_in(self.lab.node(self.here), "ssh"):
            ssh.kill()
        said = process.stderr.read()
        self.assertEqual(process.wait(), 1, said)
        self.assertIn("the zone goes on running on this host", said)
        self.stays_here()


if __name__ == "__main__":
    unittest.main()
