#!/usr/bin/python3
"""A zone moves while one of the two hosts loses its way to the storage: it runs in one place afterwards, or stands still
until the way is open, and then runs in one."""
import unittest

from harness import wait_until
from moving import Command, SlowLink
from processes import nothing_left, qemu_of
from stored import PATIENCE, StorageCase, StoredZone
from workload import fresh_prompt

SLOW = 60  # megabits per second: the memory takes some seconds
SOME = 4 << 20


class Migration(StorageCase):
    """Each test finds the zone running on node1, with a clock on its console."""
    services = True

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.zone = StoredZone(cls.lab)
        cls.zone.create()
        cls.zone.share_with("node2")
        cls.source = cls.lab.node("node1")

    def setUp(self):
        self.zone.recover()
        with self.zone.console("node1") as console:
            console.terminal.send_line("killall kz-clock")  # of the test before
            fresh_prompt(console)
            console.start("kz-clock -i 50 &")
            console.expect("tick 20 ")

    def in_the_middle(self, link):
        move = Command(self.source, ["zoneadm", "-z", self.zone.name, "migrate", "node2"])
        before = link.sent()
        move.wait_said("Starting migration")
        wait_until(lambda: link.sent() > before + SOME, "memory on the wire", PATIENCE)
        self.assertTrue(move.running(), move.said)
        return move

    def hosts_where_it_runs(self):
        return [name for name in self.nodes if self.zone.state(name) == ("running", "")]

    def settled(self):
        """Where the zone runs, or could: [] when it is down on both hosts."""
        states = [self.zone.state(name) for name in self.nodes]
        return all(auxiliary == "" and state in ("running", "installed", "configured", "unavailable")
                   for state, auxiliary in states)

    def runs_in_one_place(self):
        wait_until(self.settled, "a migration that has come to its end on both hosts", PATIENCE)
        running = self.hosts_where_it_runs()
        self.assertLessEqual(len(running), 1)
        if not running:
            running = [self.owner_boots()]
        other = next(name for name in self.nodes if name not in running)
        wait_until(lambda: nothing_left(self.zone, other), f"end of the zone's processes on {other}", PATIENCE)
        self.assertTrue(qemu_of(self.zone, running[0]).alive())
        with self.zone.console(running[0]) as console:
            fresh_prompt(console)
        status, said = self.zone.said("attach", "-x", "force-takeover", node=other)
        self.assertEqual(status, 1)
        self.check_in_use(said, self.zone, running[0])
        return running[0]

    def owner_boots(self):
        """The machine has ended; whose the zone is, the disk says."""
        owners = []
        for name in self.nodes:
            if self.zone.state(name)[0] != "installed":
                status, said = self.zone.said("attach", node=name)
                if status != 0:
                    self.assertIn("is in use by host", said)
                    continue
            owners.append(name)
        self.assertEqual(len(owners), 1)
        self.zone.boot(node=owners[0])
        return owners[0]

    def comes_back(self, where):
        if where == "node2":
            self.zone.zoneadm("migrate", "node1", node="node2")
        self.assertEqual(self.hosts_where_it_runs(), ["node1"])

    def test_source_is_cut_while_memory_moves(self):
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            self.cut("node1")
            status, said = move.wait(PATIENCE)
            self.assertEqual(status, 1, said)
            self.assertNotEqual(self.zone.state("node2"), ("running", ""))
        self.restore("node1")
        where = self.runs_in_one_place()
        self.assertEqual(where, "node1")
        self.comes_back(where)

    def test_target_is_cut_while_memory_moves(self):
        with SlowLink(self.source, SLOW) as link:
            move = self.in_the_middle(link)
            self.cut("node2")
            move.wait(PATIENCE)
            self.assertNotEqual(self.zone.state("node2"), ("running", ""))
        self.restore("node2")
        self.comes_back(self.runs_in_one_place())

    def test_either_is_cut_when_the_guest_has_been_stopped(self):
        for victim in self.nodes:
            with self.subTest(cut=victim):
                with SlowLink(self.source, SLOW) as link:
                    move = self.in_the_middle(link)
                    move.wait_said("Suspending zone on source host", PATIENCE)
                    self.cut(victim)
                    wait_until(lambda: not move.running() or move.said.count("Waiting for migration"), "the end", PATIENCE)
                self.assertLessEqual(len(self.hosts_where_it_runs()), 1)
                self.restore(victim)
                move.wait(PATIENCE)
                self.comes_back(self.runs_in_one_place())


if __name__ == "__main__":
    unittest.main()
