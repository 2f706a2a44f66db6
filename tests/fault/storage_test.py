#!/usr/bin/python3
"""The way to the storage is cut, or the storage stands still: the guest stands still or ends before another host may
have its disk, and what it has written never arrives afterwards."""
import hashlib
import os
import time
import unittest

from harness import check_consecutive, longest_gap_ms, wait_until
from processes import monitor_of, nothing_left, qemu_of
from stored import (BOOT_SIZE, BOOTING, FENCE, HALTED, PATIENCE, PAUSE, PAUSED, RENEW, RESUMING, StorageCase, StoredZone,
                    fill, iscsi_disk, nfs_disk, idle_clock, write_without_end)
from workload import fresh_prompt

HOST_DATA = 1 << 20  # storage/host_data.h
MAGIC = b"KZHOSTD\n"
HEADER = 32


class Owned(StorageCase):
    """node1 runs the zone, and node2 is to take it over. Each test leaves it running on node1."""
    make_disk = staticmethod(iscsi_disk)

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.zone = StoredZone(cls.lab, cls.make_disk)
        cls.zone.create()
        cls.zone.share_with("node2")

    def setUp(self):
        self.zone.recover()
        self.console = self.enterContext(self.zone.console("node1"))
        fresh_prompt(self.console)

    def comes_home(self):
        """In good order, from node2."""
        self.zone.zoneadm("halt", node="node2")
        self.zone.zoneadm("detach", node="node2")
        self.zone.zoneadm("attach", node="node1")
        self.zone.boot(node="node1")

    def refused_while_the_owner_lives(self):
        status, said = self.zone.said("attach", "-x", "force-takeover", node="node2")
        self.assertEqual(status, 1)
        self.check_in_use(said, self.zone, "node1")
        self.assertRegex(said, "heartbeat: seen")

    def take_over(self):
        status, said = self.zone.said("attach", "-x", "force-takeover", node="node2")
        self.assertEqual(status, 0, said)
        self.zone.boot(node="node2")

    def check_fenced(self):
        """node1 knows why its zone is down, and tells."""
        self.zone.wait_state("unavailable", "", "node1")
        status, said = self.zone.said("boot", node="node1")
        self.assertEqual(status, 1)
        self.assertIn("boot operation is invalid for unavailable zones.", said)
        self.assertRegex(said, "its storage could not be reached|the lease on its storage had run out")
        self.assertIn(f"zoneadm -z {self.zone.name} attach", said)

    def zone_is_lost_to_node1(self):
        status, said = self.zone.said("attach", node="node1")
        self.assertEqual(status, 1)
        self.check_in_use(said, self.zone, "node2")
        self.zone.wait_state("unavailable", "", "node1")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.zone.wait_state("running", "", "node2")


class Cuts:
    """The way of node1 to the storage is cut."""

    def test_owner_is_cut_while_its_guest_writes(self):
        machine = qemu_of(self.zone, "node1")
        write_without_end(self.console, "node1")
        self.refused_while_the_owner_lives()
        self.console.expect("round")
        self.cut()
        wait_until(lambda: not machine.alive(), "end of a machine whose disk has work under way", PATIENCE)
        self.console.expect(HALTED)
        self.wait_nothing_left(self.zone, "node1")
        self.check_fenced()
        self.no_connection_to_storage("node1")
        self.assertIn("node1", self.zone.whose_writes())
        self.take_over()
        with self.zone.console("node2") as there:
            fresh_prompt(there)
            fill(there, "node2")
            self.assertEqual(self.zone.whose_writes(), {"node2"})
            self.restore()
            self.nothing_arrives_from_node1()
            self.zone_is_lost_to_node1()
            fill(there, "node2")
        self.assertEqual(self.zone.whose_writes(), {"node2"})
        self.comes_home()

    def nothing_arrives_from_node1(self):
        """Once the way is open, for as long as a connection that was in trouble waits to try again."""
        node = self.lab.node("node1")
        wait_until(lambda: node.run(["ping", "-c", "1", "-W", "1", "storage1"], check=False).returncode == 0, "the way")
        deadline = time.monotonic() + 2 * FENCE
        while time.monotonic() < deadline:
            self.assertEqual(self.zone.whose_writes(), {"node2"})
            time.sleep(0.1)

    def test_idle_guest_is_paused_and_taken_over(self):
        clock = idle_clock(self.console)
        machine, monitor = qemu_of(self.zone, "node1"), monitor_of(self.zone, "node1")
        self.cut()
        self.console.expect(PAUSED, PATIENCE)
        self.take_over()
        self.assertTrue(machine.alive())
        shown = clock.shown()
        self.restore()
        wait_until(lambda: not machine.alive(), "end of a machine that has lost its disk", PATIENCE)
        wait_until(lambda: not monitor.alive(), "end of its monitor", PATIENCE)
        self.console.expect(HALTED)
        self.assertEqual(clock.shown(), shown, "the guest went on for a moment")
        self.zone.wait_state("unavailable", "", "node1")
        self.wait_nothing_left(self.zone, "node1")
        self.zone_is_lost_to_node1()
        self.comes_home()


class Iscsi(Cuts, Owned):
    def test_idle_guest_is_paused_and_goes_on(self):
        """Nothing is under way, so that the machine may be kept beyond the time of its end."""
        clock = idle_clock(self.console)
        machine = qemu_of(self.zone, "node1")
        self.cut()
        self.console.expect(PAUSED, PATIENCE)
        self.stays_paused(machine, clock, FENCE)
        self.restore()
        self.console.expect(RESUMING, PATIENCE)
        clock.wait_for_more(50)
        check_consecutive(clock.ticks())
        self.assertGreater(longest_gap_ms(clock.ticks(), clock.interval_ms), FENCE * 1000)
        self.assertEqual(qemu_of(self.zone, "node1"), machine)
        self.zone.wait_state("running", "", "node1")
        self.console.interrupt()
        self.console.run("mount -o remount,rw /")

    def stays_paused(self, machine, clock, seconds):
        shown = clock.shown()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assertTrue(machine.alive())
            time.sleep(0.1)
        self.assertEqual(clock.shown(), shown)
        self.zone.wait_state("running", node="node1")

    # The servers stand still; both hosts can reach them, and get no answer.

    def stall(self):
        self.lab.storage.pause()
        self.addCleanup(self.lab.storage.resume)

    def boots_again(self):
        """After its machine was ended."""
        self.zone.zoneadm("attach")
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.console.wait_prompt()

    def test_storage_stalls_for_a_moment(self):
        """The guest, which writes, waits, or ends: a machine that is slow itself may take longer than the lease allows."""
        machine = qemu_of(self.zone, "node1")
        write_without_end(self.console, "node1")
        self.stall()
        time.sleep(PAUSE + RENEW)
        self.lab.storage.resume()
        rounds = self.console.terminal.text.count("round")
        wait_until(lambda: self.console.terminal.text.count("round") > rounds + 3 or not machine.alive(),
                   "a guest that writes again", PATIENCE)
        if machine.alive():
            self.refused_while_the_owner_lives()
            self.zone.wait_state("running", "", "node1")
            self.console.interrupt()
        else:
            self.wait_nothing_left(self.zone, "node1")
            self.check_fenced()
            self.boots_again()

    def test_storage_stalls_for_longer_than_the_lease(self):
        machine = qemu_of(self.zone, "node1")
        write_without_end(self.console, "node1")
        self.stall()
        wait_until(lambda: not machine.alive(), "end of a machine whose lease has run out", PATIENCE)
        self.wait_nothing_left(self.zone, "node1")
        self.check_fenced()
        self.lab.storage.resume()
        self.boots_again()
        self.refused_while_the_owner_lives()
        fill(self.console, "again")
        self.assertEqual(self.zone.whose_writes(), set())

    # Host data that are damaged on the medium.

    def halt(self):
        self.zone.zoneadm("halt")
        self.console.expect(HALTED)

    def slot(self, number):
        """Where that copy begins on the disk."""
        return BOOT_SIZE - HOST_DATA + number * HOST_DATA // 2

    def damage(self, number):
        """As a write does that was torn: what says that there is a copy stays. Returns the garbage."""
        garbage = os.urandom(4096)
        self.assertEqual(self.zone.boot_disk.read(self.slot(number), len(MAGIC)), MAGIC)
        self.zone.boot_disk.write(self.slot(number) + HEADER, garbage)
        return garbage

    def test_one_copy_of_the_host_data_is_damaged(self):
        disk = self.zone.boot_disk
        for number in (0, 1):
            with self.subTest(slot=number):
                self.halt()
                at = len(self.zone.log("node1"))
                garbage = self.damage(number)
                self.zone.zoneadm("boot")
                self.console.expect(BOOTING)
                self.console.wait_prompt()
                self.assertIn("one of the two copies of the host data is damaged; the next update repairs it",
                              self.zone.log("node1")[at:])
                wait_until(lambda: garbage not in disk.read(self.slot(number), HOST_DATA // 2), "a copy that is repaired")

    def test_both_copies_of_the_host_data_are_damaged(self):
        disk = self.zone.boot_disk
        self.halt()
        for number in (0, 1):
            self.damage(number)
        before = hashlib.sha256(disk.read(0, BOOT_SIZE)).digest()
        self.refuses_damaged("boot")
        self.zone.wait_state("unavailable", "", "node1")
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.refuses_damaged("attach")
        self.refuses_damaged("attach", "-x", "force-takeover")
        self.assertEqual(hashlib.sha256(disk.read(0, BOOT_SIZE)).digest(), before, "something was written")
        self.zone.zoneadm("attach", "-x", "initialize-hostdata", timeout=PATIENCE)
        self.zone.wait_state("installed", "", "node1")
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.console.wait_prompt()
        self.refused_while_the_owner_lives()

    def refuses_damaged(self, *words):
        status, said = self.zone.said(*words, node="node1")
        self.assertEqual(status, 1)
        self.assertIn("both copies of the host data are damaged", said)
        self.assertIn("attach -x initialize-hostdata", said)


class Nfs(Cuts, Owned):
    make_disk = staticmethod(nfs_disk)


if __name__ == "__main__":
    unittest.main()
