#!/usr/bin/python3
"""Live suspend and lazy resume: a zone runs before its memory is in, with the right memory or not at all."""
import pathlib
import threading
import time
import unittest

from harness import LabCase, Zone, ticks_of, wait_until
from harness.userfaultfd import allow_userfaultfd
from processes import monitor_of, nothing_left, qemu_of, runtime_record
from workload import Workload

RESUMING = r"\[NOTICE: Zone resuming\]"
PAUSED = r"\[NOTICE: Zone paused: its suspend image cannot be read\]"
HALTED = r"\[NOTICE: Zone halted\]"
DAMAGE = 64 << 10  # bytes


class LazyCase(LabCase):
    memory = "256M"
    memload = "kz-memload -m 48 -r 20"

    @classmethod
    def setUpClass(cls):
        allow_userfaultfd(cls)
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab, memory=cls.memory)
        cls.image = pathlib.Path(cls.zone.suspend_path)
        cls.zone.create()
        cls.console = cls.enterClassContext(cls.zone.console())
        cls.console.wait_prompt()
        cls.work = Workload(cls.console, cls.memload)

    def suspend(self, *options):
        self.zone.zoneadm("suspend", *options)
        self.console.expect(HALTED)
        self.assertEqual(self.zone.state(), ("installed", "suspended"))

    def all_memory_in(self):
        wait_until(lambda: not self.image.exists(), "all memory", 120)
        entry = self.zone.history()[-1]
        self.assertEqual(entry["move"], "resume")
        return entry


class LazyResume(LazyCase):
    memload = "kz-memload -m 64 -r 200"  # changes memory faster than a pass over it could follow

    def setUp(self):
        self.work.wait_ticks(20)

    def boot(self, *options):
        self.zone.zoneadm("boot", *options)
        self.console.expect(RESUMING)

    def test_memory_survives(self):
        for _ in range(3):
            self.suspend()
            suspended = self.zone.history()[-1]
            self.assertTrue(suspended["live"])
            self.assertIn(suspended["passes"], range(2, 8))
            self.assertLess(suspended["pause_ms"], suspended["total_ms"])
            self.boot()
            self.work.wait_ticks(100)
            entry = self.all_memory_in()
            self.assertTrue(entry["lazy"])
            self.assertGreaterEqual(entry["all_memory_ms"], entry["pause_ms"])

    def test_other_ways(self):
        for suspend, boot, live, lazy in ((("--stop-first",), (), False, True),
                                          ((), ("-x", "eager"), True, False),
                                          (("-x", "old-layout"), (), False, False)):
            with self.subTest(suspend=suspend, boot=boot):
                self.suspend(*suspend)
                self.assertEqual(self.zone.history()[-1]["live"], live)
                shown = self.zone.zoneadm("image", "info", str(self.image)).stdout
                self.assertRegex(shown, "layout: +" + ("channels" if "old-layout" in suspend else "pages"))
                self.boot(*boot)
                self.work.wait_ticks(50)
                self.assertEqual(self.all_memory_in()["lazy"], lazy)

    def test_image_info_and_verify(self):
        self.suspend()
        shown = self.zone.zoneadm("image", "info", f"file://{self.image}").stdout
        self.assertRegex(shown, r"zone: +ant1 \([-0-9a-f]{36}\)\n")
        self.assertRegex(shown, r"memory: +256M\n")
        self.assertRegex(shown, r"authenticated: yes, with the key of zone ant1\n")
        checked = self.zone.zoneadm("image", "verify", str(self.image)).stdout
        self.assertRegex(checked, r"verified: +all \d+ records\n")
        whole = self.image.read_bytes()
        self.damage(len(whole) // 2)
        refused = self.zone.zoneadm("image", "verify", str(self.image), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(str(self.image), refused.stderr)
        key = self.lab.node("node1").path("etc/zones/keys/ant1")
        away = key.with_suffix(".away")
        key.rename(away)
        try:
            unknown = self.zone.zoneadm("image", "info", str(self.image)).stdout
            self.assertIn("authenticated: no: this host does not have the zone's key", unknown)
        finally:
            away.rename(key)
        self.repair(whole)
        self.boot()
        self.work.wait_ticks(20)
        self.all_memory_in()

    def damage(self, position):
        with open(self.image, "r+b") as image:
            image.seek(position)
            image.write(bytes(DAMAGE))

    def repair(self, whole):
        """In place: the monitor has the file open."""
        with open(self.image, "r+b") as image:
            image.write(whole)

    def boot_with_damage(self):
        """The zone runs as far as the damage lets it, and says that it is paused."""
        self.suspend()
        whole = self.image.read_bytes()
        self.damage(len(whole) // 2)
        self.boot()
        self.console.expect(PAUSED)
        self.assertTrue(self.image.exists())
        # Nothing runs: the clock stands still.
        time.sleep(0.5)
        before = ticks_of(self.work.lines())[-1].sequence
        time.sleep(1.5)
        self.assertEqual(ticks_of(self.work.lines())[-1].sequence, before)
        return whole

    def test_unreadable_image_pauses_the_guest(self):
        whole = self.boot_with_damage()
        self.repair(whole)
        self.console.expect(RESUMING)
        self.work.wait_ticks(50)
        self.all_memory_in()

    def test_suspend_waits_for_memory(self):
        whole = self.boot_with_damage()
        suspending = threading.Thread(target=self.zone.zoneadm, args=("suspend",))
        suspending.start()
        time.sleep(1)
        self.assertTrue(suspending.is_alive())
        self.repair(whole)
        suspending.join(60)
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        self.boot()
        self.work.wait_ticks(50)
        self.all_memory_in()

    def test_halt_with_half_the_memory(self):
        self.boot_with_damage()
        self.zone.zoneadm("halt")
        self.assertEqual(self.zone.state(), ("installed", ""))
        wait_until(lambda: nothing_left(self.zone, "node1"), "end of the zone's processes")
        self.boot_afresh()

    def test_monitor_dies_with_half_the_memory(self):
        self.boot_with_damage()
        monitor, machine = monitor_of(self.zone), qemu_of(self.zone)
        monitor.kill()
        self.zone.wait_state("installed", timeout=60)
        self.assertFalse(machine.alive())
        log = self.lab.node("node1").path("var/log/zones/ant1.log")
        wait_until(lambda: "what was in memory is lost, and the zone boots afresh" in log.read_text(), "the reason")
        wait_until(lambda: not runtime_record(self.zone), "the end of the new monitor's work")
        self.boot_afresh()

    def boot_afresh(self):
        self.zone.zoneadm("boot")
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.console.wait_prompt()
        type(self).work = Workload(self.console, self.memload)


class TimeToFirstTick(LazyCase):
    """It does not grow with memory."""
    memory = "2G"
    memload = "kz-memload -m 1000 -r 2000"

    def resume_time(self, zone, console, work):
        zone.zoneadm("suspend")
        console.expect(HALTED)
        last = ticks_of(work.lines())[-1].sequence
        begun = time.monotonic()
        zone.zoneadm("boot")
        wait_until(lambda: ticks_of(work.lines())[-1].sequence > last, "a tick")
        ticked = next(tick for tick in ticks_of(work.lines()) if tick.sequence > last).moment - begun
        wait_until(lambda: not pathlib.Path(zone.suspend_path).exists(), "all memory", 120)
        return ticked, zone.history()[-1]

    def test_time_to_first_tick(self):
        small = Zone(self.lab, "bee1", 2)
        small.create()
        times = {}
        with small.console() as console:
            console.wait_prompt()
            work = Workload(console)
            times["256M"] = self.resume_time(small, console, work)
            work.wait_ticks(20)
        small.zoneadm("halt")
        times["2G"] = self.resume_time(self.zone, self.console, self.work)
        self.work.wait_ticks(20, timeout=120)
        for memory, (ticked, entry) in times.items():
            print(f"{memory}: first tick {ticked:.2f} s after boot was typed, guest runs after {entry['pause_ms']} ms, "
                  f"all memory after {entry['all_memory_ms']} ms, image {entry['bytes'] >> 20} MiB")
            self.assertTrue(entry["lazy"])
        self.assertLess(times["2G"][0], 2 * times["256M"][0] + 1.0)


if __name__ == "__main__":
    unittest.main()
