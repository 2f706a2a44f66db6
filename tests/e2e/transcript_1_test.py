#!/usr/bin/python3
"""The first founding transcript: warm migration of a zone whose disk is a LUN of a real iSCSI target."""
import contextlib
import pathlib
import time
import unittest

from harness import Consoles, LabCase, Zone, longest_gap_ms, ticks_of, wait_until
from kzlab import Pinger
from kzlab.target import DEFAULT_NAME as TARGET
from transcript import replay

SESSION = pathlib.Path(__file__).parent / "transcripts" / "1-warm-migration.txt"
NAA = "600144f068d1cd00000053ecd3d20001"
TICK_MS = 10
ORIGINAL_OUTAGE = 30  # seconds, as its authors report


class WarmMigration(LabCase):
    nodes = ("node1", "node2")
    storage = True

    @classmethod
    def prepare(cls):
        cls.lun = cls.lab.storage.iscsi.add_lun(size=256 << 20, naa=NAA)
        share = cls.lab.storage.path("/suspend")
        for name in cls.nodes:  # a mount of each host's own
            cls.lab.node(name).run(["sh", "-c", 'mount -t tmpfs mnt /mnt && mkdir /mnt/suspend && '
                                                'mount --bind "$1" /mnt/suspend', "sh", share])
        cls.zone = Zone(cls.lab, "ant1")

    def test_the_session_runs_line_for_line(self):
        with contextlib.ExitStack() as watch:
            seen = {}

            def begin():
                seen["consoles"] = watch.enter_context(Consoles(self.zone, self.nodes))
                seen["consoles"].wait_ticks(50)
                seen["pinger"] = watch.enter_context(Pinger(self.lab.client, self.zone.address))
                wait_until(lambda: len(seen["pinger"].answers) > 10, "answers to pings")
                seen["suspend"] = time.monotonic()

            replay(SESSION, self.lab, {
                "LUNAME": f"naa.{NAA}", "SURI": f"iscsi://storage1/luname.naa.{NAA}", "TARGET": TARGET,
                "LUN": str(self.lun.number), "ADDRESS": self.zone.address,
            }, timeout=90, before={"zoneadm -z ant1 suspend": begin})
            self.check_outage(**seen)

    def check_outage(self, consoles, pinger, suspend):
        """Not one tick is lost or comes twice; and for how long the zone served nobody."""
        left = ticks_of(consoles.sessions("node1")[-1].lines())[-1]
        ticks = consoles.wait_tick(left.sequence + 100)
        wait_until(lambda: max(pinger.answers.values()) > ticks[-1].moment, "answers to pings from node2")
        first = next(tick for tick in ticks if tick.sequence > left.sequence)
        self.assertGreater(left.moment, suspend - 1)
        outage = first.moment - suspend
        stood = longest_gap_ms(ticks, TICK_MS, suspend)
        unreachable = pinger.outage_ms(suspend, time.monotonic())
        print(f"warm migration: {outage:.2f} s from 'suspend' to the first tick on node2; the guest stood still for "
              f"{stood:.0f} ms and answered no ping for {unreachable:.0f} ms; the original: {ORIGINAL_OUTAGE} s")
        self.assertLess(outage, ORIGINAL_OUTAGE)
        self.assertGreater(stood, 100, "nothing was moved")


if __name__ == "__main__":
    unittest.main()
