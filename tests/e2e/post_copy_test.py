#!/usr/bin/python3
"""Post-copy: a zone whose memory changes faster than the link takes it runs at the other host before its memory is
there, with the right memory or not at all."""
import json
import unittest

from harness import longest_gap_ms, wait_until
from harness.userfaultfd import PERMISSION, allow_userfaultfd
from migration_policy_test import BUSY, GOES_ON, SLOW, MovingCase, SlowLink

SWITCHING = "Switching to post-copy: "
STANDS_STILL = 2500  # milliseconds: what a busy machine may make of a short pause


class PostCopyCase(MovingCase):
    @classmethod
    def setUpClass(cls):
        allow_userfaultfd(cls)
        super().setUpClass()

    def move(self, *options, timeout=240):
        """(the report or None, the messages, the figures on the way); the zone has all its memory then."""
        status, said = self.begin("--json", "--post-copy", *options).wait(timeout)
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        by = {kind: [event[kind] for event in events if kind in event] for kind in ("report", "message", "progress")}
        self.assertEqual(status, 0, said)
        self.zone.wait_state("running", "", node=self.there)
        self.assertEqual(self.zone.state(self.here)[0], "configured")
        return by["report"][0], by["message"], by["progress"]


class PostCopy(PostCopyCase):
    def test_memory_that_changes_faster_than_the_link(self):
        """There and back: a page that is stale, or of another moment, is found by the load."""
        for cipher in ("aes-128-ccm", "chacha20-poly1305"):
            with self.subTest(cipher=cipher):
                self.setUp()
                self.load(BUSY)
                before = len(self.consoles.ticks())
                with SlowLink(self.source, SLOW):
                    report, messages, figures = self.move("-c", cipher, "--max-pause", "20")
                switch = next(message for message in messages if message.startswith(SWITCHING))
                self.assertRegex(switch, rf"it does not converge: memory changes at .* runs on {self.there} before all")
                self.assertIn(f"The zone runs on {self.there}; the rest of its memory follows.", messages)
                self.assertLess(messages.index(switch), messages.index("Suspending zone on source host."))
                self.assertEqual(messages[-2:], ["Migration successful.", "Halting and detaching zone on source host."])
                self.assertLess(report["pause_ms"], STANDS_STILL)
                self.assertGreater(report["post_copy_ms"], 0)
                self.assertEqual((report["connections"], report["cipher"]), (1, cipher))
                self.assertTrue(all(each["throttle_percent"] == 0 for each in figures), "the guest is not slowed down")
                self.assertIn(True, [each["post_copy"] for each in figures])
                self.check_work()
                self.assertGreater(len(self.consoles.ticks()), before)
                self.end_load()

    def test_at_the_deadline(self):
        """In the midst of the first pass: most of the memory follows. The zone is seen to lack it."""
        self.load("-x -m 32 -r 4")
        with SlowLink(self.source, SLOW):
            move = self.begin("--post-copy", "--deadline", "2", "-v")
            move.wait_said("the rest of its memory follows")
            self.assertEqual(self.zone.state(self.there), ("running", "post-copy"))
            self.assertEqual(self.zone.state(self.here), ("running", "migrating-out"))
            answer = self.zone.zoneadm("halt", node=self.here, check=False)
            self.assertIn("another operation on the zone is in progress", answer.stderr)
            self.consoles.wait_ticks(20, 90)
            status, said = move.wait(240)
        self.assertEqual(status, 0, said)
        self.assertIn(SWITCHING + "not done within 2 seconds: ", said)
        self.zone.wait_state("running", "", node=self.there)
        entry = wait_until(lambda: [each for each in self.zone.history(self.there) if each.get("post_copy")],
                           "the arrival's entry")[-1]
        self.assertEqual((entry["direction"], entry["peer"]), ("in", self.here))
        # All but the record that ends the channel.
        self.assertAlmostEqual(entry["bytes"], self.zone.history(self.here)[-1]["bytes"], delta=100)

    def test_a_zone_that_is_moved_on_waits_for_its_memory(self):
        self.load("-x -m 24 -r 4")
        with SlowLink(self.source, SLOW):
            move = self.begin("--post-copy", "--deadline", "1")
            move.wait_said("the rest of its memory follows")
            onward = self.zone.node(self.there).run(["zoneadm", "-z", "ant1", "migrate", self.here], timeout=240)
            self.assertEqual(move.wait()[0], 0, move.said)
        self.assertIn("Migration successful.", onward.stderr)
        self.assertEqual(self.running_on(), self.here)

    def test_memory_that_keeps_still_moves_as_ever(self):
        report, messages, _ = self.move()
        self.assertNotIn("post_copy_ms", report)
        self.assertFalse([message for message in messages if message.startswith(SWITCHING)])

    def test_interrupt_before_the_switch(self):
        self.load("-x -m 24 -r 4")
        with SlowLink(self.source, SLOW):
            move = self.begin("--post-copy")
            move.wait_said("Starting migration")
            move.signal(2)
            status, said = move.wait()
        self.assertEqual(status, 1)
        self.assertIn(GOES_ON, said)

    def test_interrupt_after_the_switch_is_too_late(self):
        self.load("-x -m 24 -r 4")
        with SlowLink(self.source, SLOW):
            move = self.begin("--post-copy", "--deadline", "1")
            move.wait_said("the rest of its memory follows")
            move.signal(2)
            status, said = move.wait(240)
        self.assertEqual(status, 0, said)
        self.assertIn(f"too late: the zone runs on {self.there}.", said)
        self.zone.wait_state("running", "", node=self.there)

    def test_a_host_that_does_not_permit_it(self):
        PERMISSION.write_text("0")
        try:
            for options in (["-n"], []):
                done = self.zone.zoneadm("migrate", "--post-copy", *options, self.there, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("error: destination: post-copy is not possible: sysctl vm.unprivileged_userfaultfd is 0 there",
                              done.stderr)
            self.zone.zoneadm("migrate", "-n", self.there)
        finally:
            PERMISSION.write_text("1")
        self.zone.zoneadm("migrate", "-n", "--post-copy", self.there)


class Often(PostCopyCase):
    """Nothing is forgotten on the way of many moves. The load writes each page anew in each pass, and checks it."""

    def test_to_and_fro(self):
        self.load("-m 16 -r 200")
        for _ in range(4):
            self.setUp()
            with SlowLink(self.source, 8 * SLOW):
                self.move("--deadline", "1")
            self.check_work()
        self.assertLess(longest_gap_ms(self.consoles.ticks(), 10), 30_000)


if __name__ == "__main__":
    unittest.main()
