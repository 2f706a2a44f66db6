#!/usr/bin/python3
"""A zone resumes lazily out of an image on a network's storage, and the storage is cut before all memory is in: the guest
stands still and says so, and sees the right memory when the storage is back."""
import time
import unittest
import uuid

from harness import Zone, ticks_of, wait_until
from harness.userfaultfd import allow_userfaultfd
from stored import MIB, PATIENCE, RESUMING, USER, StorageCase
from workload import Workload

PAUSED = r"\[NOTICE: Zone paused: its suspend image cannot be read\]"
HALTED = r"\[NOTICE: Zone halted\]"
# Memory that does not compress takes half a minute through this.
SLOW = "64mbit"


class Lazy:
    """The zone's disk is not on that storage, so nothing but its memory is missing."""
    nodes = ("node1",)

    @classmethod
    def prepare(cls):
        super().prepare()
        allow_userfaultfd(cls)
        cls.image = cls.make_image()
        cls.zone = Zone(cls.lab, memory="384M", suspend="none", extra=f"add suspend\nset storage={cls.image}\nend")
        cls.zone.create()
        cls.console = cls.enterClassContext(cls.zone.console())
        cls.console.wait_prompt()
        cls.work = Workload(cls.console, "kz-memload -x -m 240 -r 40")

    def slow_down(self):
        """What the storage host sends. `cut` and `restore` stop all of it."""
        server = self.lab.storage.node
        server.run(["tc", "qdisc", "replace", "dev", "storage", "root", "tbf", "rate", SLOW, "burst", "256k", "latency",
                    "50ms"])
        self.addCleanup(self.let_go)

    def let_go(self):
        self.lab.storage.node.run(["tc", "qdisc", "del", "dev", "storage", "root"], check=False)

    def resumes(self):
        """Number of resumes whose memory has come whole."""
        return sum(entry["move"] == "resume" for entry in self.zone.history())

    def resume_slowly(self):
        self.work.wait_ticks(20)
        self.zone.zoneadm("suspend", timeout=PATIENCE)
        self.console.expect(HALTED)
        self.before = self.resumes()
        self.slow_down()
        self.zone.zoneadm("boot", timeout=PATIENCE)
        self.console.expect(RESUMING)
        self.assertEqual(self.resumes(), self.before, "memory came too fast for this test")

    def stands_still(self):
        shown = ticks_of(self.work.lines())[-1].sequence
        time.sleep(2)
        self.assertEqual(ticks_of(self.work.lines())[-1].sequence, shown)
        self.assertEqual(self.resumes(), self.before)

    def comes_whole(self):
        self.let_go()
        self.work.wait_ticks(50, PATIENCE)
        wait_until(lambda: self.resumes() > self.before, "all memory", PATIENCE)
        entry = self.zone.history()[-1]
        self.assertTrue(entry["lazy"])
        # A whole pass over memory, each page of which is checked.
        self.work.wait_ticks(700, PATIENCE)

    def test_cut_in_the_middle(self):
        self.resume_slowly()
        self.cut()
        self.console.expect(PAUSED, PATIENCE)
        self.stands_still()
        self.restore()
        self.console.expect(RESUMING, PATIENCE)
        self.comes_whole()

    def test_halt_while_it_is_cut(self):
        self.resume_slowly()
        self.cut()
        self.console.expect(PAUSED, PATIENCE)
        self.zone.zoneadm("halt", timeout=PATIENCE)
        self.restore()
        self.let_go()
        self.zone.wait_state("installed", "")
        self.zone.zoneadm("boot", timeout=PATIENCE)
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.console.wait_prompt()
        type(self).work = Workload(self.console, "kz-memload -x -m 240 -r 40")


class OnIscsi(Lazy, StorageCase):
    @classmethod
    def make_image(cls):
        naa = "6" + uuid.uuid4().hex[:31]
        cls.lab.storage.iscsi.add_lun(size=512 * MIB, naa=naa)
        return f"iscsi://storage1/luname.naa.{naa}"


class OnNfs(Lazy, StorageCase):
    @classmethod
    def make_image(cls):
        return f"nfs://{USER}:{USER}@storage1/suspend/ant1.image"


if __name__ == "__main__":
    unittest.main()
