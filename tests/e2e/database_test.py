#!/usr/bin/python3
"""A whole Debian with a PostgreSQL is suspended, resumed and moved, warm and live, while clients outside the zone work
with it: no transaction is lost, none is there twice, and no connection ends.

One boot serves all; each test begins where the one before has left the zone."""
import re
import subprocess
import tempfile
import time
import unittest

from database import SCHEMA, Pgbench, ServerFiles, Session, write_manifest
from harness import LabCase, Zone, wait_until
from harness.packages import ensure_base
from install_test import content
from kzlab.network import address_of
from kzlab.probes import longest_gap

BOOT = 500  # seconds, at most: a Debian under TCG on a machine that is busy with other things
WORK = 300  # transactions between two moves
CLIENT = address_of("client")


class Database(LabCase):
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.begun = time.monotonic()
        folder = cls.lab.shared
        cls.zone = Zone(cls.lab, "db1", memory="512M", cpus=2)
        cls.zone.configure()
        cls.zone.zoneadm("install", "-m", str(write_manifest(folder, CLIENT)), "-x", "install-size=1536M", timeout=600)
        files = ServerFiles(cls.zone.disk)
        cls.certificate = content(cls.zone.disk, "/etc/ssl/certs/ssl-cert-snakeoil.pem")
        cls.programs = {name: files.take_program(name, folder)
                        for name in ("pgbench", "pg_checksums", "pg_controldata")}
        cls.say("installed")
        cls.zone.zoneadm("boot", f"--wait={BOOT}", timeout=BOOT + 30)
        cls.say("the agent is up")
        address = cls.zone.address
        ready = ["pg_isready", "-q", "-h", address, "-U", "postgres"]
        wait_until(lambda: cls.lab.client.run(ready, check=False).returncode == 0, "the server", BOOT)
        cls.say("the server is up")
        cls.pgbench = Pgbench(cls.programs["pgbench"], cls.lab.client, address, folder)
        cls.pgbench.fill()
        cls.watcher = cls.enterClassContext(Session(cls.lab.client, address))
        cls.writer = cls.enterClassContext(Session(cls.lab.client, address))
        cls.watcher.ask(SCHEMA)
        cls.watcher.ask("create table notes (note text)")
        cls.say("the tables are filled")
        cls.addClassCleanup(cls.pgbench.kill)
        cls.pgbench.start()
        wait_until(lambda: cls.transfers() >= WORK, "the first transfers", 300)
        cls.connections = cls.server_processes()
        cls.moves = []  # what, and its span of time.time()

    @classmethod
    def say(cls, what):
        print(f"{time.monotonic() - cls.begun:.1f} s: {what}", flush=True)

    @classmethod
    def transfers(cls):
        return int(cls.watcher.ask("select count(*) from transfers"))

    @classmethod
    def server_processes(cls):
        """Who serves which client since when."""
        return cls.watcher.ask("select pid, client_port, backend_start from pg_stat_activity "
                               "where backend_type = 'client backend' order by pid").splitlines()

    def through(self, what, move):
        """Moves the zone while pgbench's clients work and a transaction of another client is open."""
        self.writer.ask(f"begin; insert into notes values ('{what}')")
        since = time.time()
        move()
        before = self.transfers()  # answered by the zone where it is now
        self.moves.append((what, since, time.time()))
        wait_until(lambda: self.transfers() >= before + WORK or not self.pgbench.running(), "transfers afterwards", 300)
        self.assertTrue(self.pgbench.running(), self.pgbench.said())
        self.assertEqual(self.watcher.ask(f"select count(*) from notes where note = '{what}'"), "0")
        self.writer.ask("commit")
        self.assertEqual(self.watcher.ask(f"select count(*) from notes where note = '{what}'"), "1")
        self.assertEqual(self.server_processes(), self.connections)
        self.say(what)

    def test_0_its_certificate_is_for_the_zone(self):
        command = ["openssl", "x509", "-noout", "-subject", "-ext", "subjectAltName"]
        said = subprocess.run(command, input=self.certificate, check=True, capture_output=True, text=True).stdout
        self.assertRegex(said, r"CN ?= ?db1\n")
        self.assertIn("DNS:db1\n", said)

    def test_1_suspend_and_resume(self):
        def move():
            self.zone.zoneadm("suspend")
            self.assertEqual(self.zone.state(), ("installed", "suspended"))
            self.watcher.send("select 'asked while nobody was there'")
            wait_until(self.tries_again_in_vain, "a client that tries again")
            self.zone.zoneadm("boot")
            self.assertEqual(self.watcher.answer(), "asked while nobody was there")
        self.assertEqual(len(self.connections), Pgbench.CLIENTS + 2)
        self.through("suspend and resume", move)

    def tries_again_in_vain(self):
        """Whether a client's kernel has sent something four times without an answer."""
        sockets = self.lab.client.run(["ss", "-tniH", "dst", self.zone.address]).stdout
        return re.search(r"\bbackoff:([3-9]|\d\d)", sockets)

    def test_2_warm_migration(self):
        def move():
            self.zone.zoneadm("migrate", "-t", "warm", "node2", timeout=300)
            self.zone.home = "node2"
            self.assertEqual(self.zone.state(), ("running", ""))
        self.through("warm migration", move)
        self.assertEqual(self.zone.history("node1")[-1]["move"], "warm")

    def test_3_live_migration_there_and_back(self):
        for target in ("node1", "node2"):
            def move(target=target):
                self.zone.zoneadm("migrate", target, timeout=300)
                self.zone.home = target
                self.assertEqual(self.zone.state(), ("running", ""))
            source = self.zone.home
            self.through(f"live migration to {target}", move)
            entry = self.zone.history(source)[-1]
            self.assertEqual(entry["move"], "live")
            print(f"live migration to {target}: {entry['bytes'] >> 20} MiB, pause {entry['pause_ms']} ms")

    def test_4_every_transaction_is_there_once(self):
        self.assertEqual(len(self.moves), 4)
        self.assertEqual(self.pgbench.end(), 0, self.pgbench.said())
        transactions = self.pgbench.transactions()
        committed = self.pgbench.count_by_client()
        self.assertEqual(sum(committed.values()), self.pgbench.processed())
        self.assertRegex(self.pgbench.said(), r"number of failed transactions: 0 \(")
        self.assertEqual(len(committed), Pgbench.CLIENTS)
        there = self.watcher.ask("select client, count(*), min(number), max(number) from transfers "
                                 "group by client order by client")
        self.assertEqual(there.splitlines(),
                         [f"{client}|{count}|1|{count}" for client, count in sorted(committed.items())])
        sums = self.watcher.ask(
            "select (select sum(delta) from transfers), (select sum(abalance) from pgbench_accounts), "
            "(select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches)")
        self.assertEqual(len(set(sums.split("|"))), 1, sums)
        self.assertNotEqual(sums.split("|")[0], "0")
        self.report(transactions)

    def report(self, transactions):
        moments = [transaction.moment for transaction in transactions]
        rate = len(moments) / (moments[-1] - moments[0])
        print(f"{len(moments)} transactions, {rate:.1f} a second, sums: equal")
        for what, since, until in self.moves:
            inside = sum(since <= moment <= until for moment in moments)
            print(f"{what}: {until - since:.1f} s, {inside} transactions meanwhile, none for "
                  f"{longest_gap(moments, since, until):.2f} s")
            if what.startswith("live"):
                self.assertGreater(inside, 0)

    def test_5_indexes_hold_every_row(self):
        self.watcher.ask("create extension amcheck")
        checked = self.watcher.ask("select count(bt_index_parent_check(indexrelid, true)) from pg_index join pg_class "
                                   "on oid = indexrelid where relname ~ '^(transfers|pgbench_accounts)_pkey$'", 300)
        self.assertEqual(checked, "2")

    def test_6_nothing_was_to_be_recovered_and_no_block_is_damaged(self):
        self.writer.close()
        self.watcher.close()
        self.zone.zoneadm("shutdown", timeout=300)
        self.zone.wait_state("installed")
        files = ServerFiles(self.zone.disk)
        with tempfile.TemporaryDirectory(dir=self.lab.shared) as folder:
            data = files.take_data(folder)
            state = self.about(data, "pg_controldata")
            self.assertRegex(state.stdout, r"\nDatabase cluster state: +shut down\n")
            checked = self.about(data, "pg_checksums", "--check")
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            self.assertRegex(checked.stdout, r"Blocks scanned: +[1-9]\d{3,}\n")
        log = files.log()
        # From the zone's boot to its shutdown it was one server, which ended with its data on the disk.
        self.assertEqual(log.count("database system is ready to accept connections"), 1, log)
        self.assertEqual(log.count("database system is shut down"), 1, log)
        # It is starting up for a client that waits for it.
        self.assertNotRegex(log, "PANIC|not properly shut down|was interrupted|terminated by signal|"
                                 "FATAL:  (?!the database system is starting up)")

    def about(self, data, program, *options):
        return subprocess.run([self.programs[program], *options, "-D", data], env={"LC_ALL": "C"}, capture_output=True,
                              text=True)


def setUpModule():
    with tempfile.TemporaryDirectory() as folder:
        file = write_manifest(folder, CLIENT)
        ensure_base(file.stem, file)


if __name__ == "__main__":
    unittest.main()
