#!/usr/bin/python3
"""What the tests measure with is measured: lost and repeated lines are found, gaps are told, on a zlogin that plays a
given part."""
import pathlib
import tempfile
import unittest

from harness import Consoles, Tick, Zone, check_consecutive, longest_gap_ms, ticks_of
from kzlab import Lab

# Is not there until $KZONES_ROOT/script is, then prints it: lines, and "sleep SECONDS".
ZLOGIN = r"""#!/bin/bash
[ -e "$KZONES_ROOT/script" ] || { echo "zlogin: zone '$2' unknown" >&2; exit 1; }
echo "[Connected to zone '$2' console]"
while read -r line; do
    case $line in sleep*) $line ;; *) echo "$line" ;; esac
done <"$KZONES_ROOT/script"
sleep 1000
"""


class Clock(unittest.TestCase):
    def ticks(self, *sequences):
        return [Tick(index * 0.01, sequence, 0.0) for index, sequence in enumerate(sequences)]

    def test_lines_are_read(self):
        self.assertEqual(ticks_of([(1.0, "noise"), (2.0, "tick 7 1763.250"), (3.0, "ick 8 1763.260")]),
                         [Tick(2.0, 7, 1763.25)])

    def test_lost_and_repeated_ticks_are_found(self):
        check_consecutive(self.ticks(4, 5, 6))
        with self.assertRaisesRegex(AssertionError, "lost: tick 7 follows tick 5"):
            check_consecutive(self.ticks(4, 5, 7))
        with self.assertRaisesRegex(AssertionError, "repeated: tick 5 follows tick 5"):
            check_consecutive(self.ticks(4, 5, 5, 6))

    def test_gaps_are_told_beyond_the_interval(self):
        ticks = [Tick(moment, number, 0.0) for number, moment in enumerate((1.0, 1.01, 1.26, 1.27, 1.28, 1.29, 1.3, 5.0))]
        self.assertAlmostEqual(longest_gap_ms(ticks, 10), 3690)
        self.assertAlmostEqual(longest_gap_ms(ticks, 10, until=1.05), 240)
        self.assertEqual(longest_gap_ms([], 10), 0)

    def test_a_straggler_does_not_split_a_gap(self):
        ticks = [Tick(moment, number, 0.0) for number, moment in enumerate((1.0, 1.01, 1.5, 2.01, 2.02))]
        self.assertAlmostEqual(longest_gap_ms(ticks, 10), 980)


class Watching(unittest.TestCase):
    def setUp(self):
        binaries = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (binaries / "zlogin").write_text(ZLOGIN)
        (binaries / "zlogin").chmod(0o755)
        self.lab = self.enterContext(Lab(binaries=binaries))
        self.zone = Zone(self.lab)

    def play(self, node, *sequences, pause=0):
        lines = "".join(f"tick {number} 1.000\n" for number in sequences)
        draft = self.lab.node(node).path("script.new")
        draft.write_text((f"sleep {pause}\n" if pause else "") + lines)
        draft.rename(self.lab.node(node).path("script"))

    def test_a_console_that_appears_later_goes_on_with_the_count(self):
        with Consoles(self.zone, ("node1", "node2")) as consoles:
            self.play("node1", *range(1, 50))
            consoles.wait_tick(49)
            self.play("node2", *range(40, 60))  # begins with the history
            consoles.wait_tick(59)
            self.assertEqual([tick.sequence for tick in consoles.ticks()], list(range(1, 60)))
            self.assertTrue(consoles.wait_session("node2").is_open())

    def test_a_line_that_no_console_shows_is_lost(self):
        with Consoles(self.zone, ("node1", "node2")) as consoles:
            self.play("node1", 1, 2, 3)
            consoles.wait_tick(3)
            self.play("node2", 5, 6)
            with self.assertRaisesRegex(AssertionError, "lost: tick 5 follows tick 3"):
                consoles.wait_tick(6)

    def test_a_line_that_a_console_shows_twice_is_repeated(self):
        with Consoles(self.zone, ("node1",)) as consoles:
            self.play("node1", 1, 2, 2, 3)
            with self.assertRaisesRegex(AssertionError, "repeated: tick 2 follows tick 2"):
                consoles.wait_tick(3)

    def test_a_pause_of_the_zone_is_a_gap(self):
        with Consoles(self.zone, ("node1", "node2")) as consoles:
            self.play("node1", 1, 2)
            consoles.wait_tick(2)
            self.play("node2", 3, 4, pause=0.3)
            gap = longest_gap_ms(consoles.wait_tick(4), 10)
            self.assertGreater(gap, 280)
            self.assertLess(gap, 10000)


if __name__ == "__main__":
    unittest.main()
