#!/usr/bin/python3
"""UEFI and BIOS: a disk that kzones has made boots by both, and a zone keeps its firmware wherever it goes."""
import re
import unittest

from harness import LabCase, Zone
from workload import Workload, fresh_prompt

BOOT_TIME = 120
BY_UEFI = "test -d /sys/firmware/efi && echo uefi-$((6*7)) || echo bios-$((6*7))"


class Firmware(LabCase):
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab, extra="set firmware=uefi")
        cls.zone.create()

    def firmware(self, console):
        fresh_prompt(console)
        return re.search(r"(uefi|bios)-42", console.run(BY_UEFI))[1]

    def test_1_it_boots_by_uefi_and_goes_on_elsewhere(self):
        with self.zone.console() as console:
            console.wait_prompt(BOOT_TIME)
            self.assertEqual(self.firmware(console), "uefi")
            work = Workload(console)
            self.zone.zoneadm("suspend")
            self.zone.zoneadm("boot")
            work.wait_ticks(50)
        self.zone.zoneadm("migrate", "node2")
        self.zone.home = "node2"
        with self.zone.console() as console:
            console.interrupt()
            self.assertEqual(self.firmware(console), "uefi")
            # Its firmware is what came along.
            console.start("reboot")
            console.expect(r"\[NOTICE: Zone rebooting\]")
            console.wait_prompt(BOOT_TIME)
            self.assertEqual(self.firmware(console), "uefi")

    def test_2_an_image_keeps_its_firmware_and_the_disk_boots_by_both(self):
        console = self.enterContext(self.zone.console())
        fresh_prompt(console)
        self.zone.zoneadm("suspend")
        console.expect(r"\[NOTICE: Zone halted\]")
        self.zone.zonecfg("set firmware=bios")
        done = self.zone.zoneadm("boot", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("firmware: the machine was started with UEFI, the zone is configured with BIOS", done.stderr)
        self.assertEqual(self.zone.state(), ("installed", "suspended"))
        self.zone.zoneadm("boot", "-x", "discard-image")
        console.expect("SeaBIOS", BOOT_TIME)
        console.wait_prompt(BOOT_TIME)
        self.assertEqual(self.firmware(console), "bios")
        done = self.zone.zonecfg("-r", "set firmware=uefi", check=False)
        self.assertIn("firmware=uefi: not while the zone runs", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
