#!/usr/bin/python3
"""Devices of a zone that runs: disks, networks, memory and processors that come and go, and go along when it moves."""
import hashlib
import os
import re
import unittest

from harness import LabCase, Zone, wait_until
from processes import monitor_of, qemu_of
from workload import fresh_prompt

MIB = 1 << 20
APPLYING = "Applying the changes\n"


class Devices(LabCase):
    """Each test finds the zone running on node1 with what it was configured with, and leaves it so."""
    nodes = ("node1", "node2")
    services = True

    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()
        cls.console = cls.enterClassContext(cls.zone.console())
        cls.console.wait_prompt()

    def setUp(self):
        self.disk = self.lab.shared / "more.disk"
        self.storage = f"file://{self.disk}"
        with open(self.disk, "wb") as file:
            file.truncate(32 * MIB)

    def live(self, *commands, check=True, node=None):
        return self.zone.node(node).run(["zonecfg", "-z", "ant1", "-r", "; ".join(commands)], check=check, timeout=120)

    def add_disk(self):
        done = self.live("add device", f"set storage={self.storage}", "set id=1", "end")
        self.assertEqual(done.stdout, f"Checking: Adding device storage={self.storage}\n{APPLYING}")
        self.wait_guest("cat /proc/partitions", r"\bvdb\b")

    def remove_disk(self):
        done = self.live("remove device id=1")
        self.assertEqual(done.stdout, f"Checking: Removing device storage={self.storage}\n{APPLYING}")
        self.wait_guest_without("cat /proc/partitions", r"\bvdb\b")

    def wait_guest(self, command, pattern, console=None):
        console = console or self.console
        return wait_until(lambda: re.search(pattern, console.run(command)), f"{pattern} from {command}", 60)

    def wait_guest_without(self, command, pattern):
        wait_until(lambda: not re.search(pattern, self.console.run(command)), f"no {pattern} from {command}", 60)

    def write_disk(self):
        """Fills the start of the second disk and returns its digest."""
        self.console.run("dd if=/dev/urandom of=/dev/vdb bs=1M count=4 conv=fsync", 120)
        return self.digest()

    def digest(self, console=None):
        text = (console or self.console).run("dd if=/dev/vdb bs=1M count=4 iflag=direct | sha256sum", 120)
        return re.search(r"\b[0-9a-f]{64}\b", text)[0]

    def test_disks_come_and_go(self):
        self.add_disk()
        self.assertIn(self.storage, self.live("info device").stdout)
        self.assertNotIn(self.storage, self.zone.zonecfg("info device").stdout)
        digest = self.write_disk()
        self.remove_disk()
        self.assertNotIn(self.storage, self.live("info device").stdout)
        self.assertEqual(hashlib.sha256(self.disk.read_bytes()[:4 * MIB]).hexdigest(), digest)
        self.add_disk()
        self.assertEqual(self.digest(), digest)
        self.remove_disk()

    def test_stored_configuration_is_applied(self):
        self.assertEqual(self.zone.zoneadm("apply").stdout, "")
        self.zone.zonecfg(f"add device; set storage={self.storage}; set id=1; end")
        adding = f"zone 'ant1': Checking: Adding device storage={self.storage}\n"
        self.assertEqual(self.zone.zoneadm("apply", "-n").stdout, adding)
        self.assertNotIn(self.storage, self.live("info device").stdout)
        self.assertEqual(self.zone.zoneadm("apply").stdout, f"{adding}zone 'ant1': {APPLYING}")
        self.wait_guest("cat /proc/partitions", r"\bvdb\b")
        self.zone.zonecfg("remove device id=1; set cpu-arch=generic")
        done = self.zone.zoneadm("apply", "-q")
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr, "zoneadm: zone 'ant1': warning: cpu-arch=generic: not while the zone runs; "
                         "it applies at the next boot\n")
        self.wait_guest_without("cat /proc/partitions", r"\bvdb\b")
        self.zone.zonecfg("clear cpu-arch")

    def refused(self, *commands, code=1):
        done = self.live(*commands, check=False)
        self.assertEqual(done.returncode, code, done.stdout)
        self.assertEqual(self.zone.state(), ("running", ""))
        return done.stderr

    def test_what_cannot_be_is_refused(self):
        before = self.live("export").stdout
        other = Zone(self.lab, "bee", number=2)
        with open(other.disk, "wb") as file:
            file.truncate(32 * MIB)
        other.configure()
        other.zoneadm("attach", "-x", "initialize-hostdata", check=False)
        other.zoneadm("ready")
        add = ("add device", f"set storage=file://{other.disk}", "set id=1", "end")
        self.assertIn("is in use by zone 'bee', which is running", self.refused(*add))
        other.zoneadm("halt")
        self.assertIn("is the boot disk of a zone: host data are on it", self.refused(*add))
        missing = ("add device", "set storage=file:///nowhere/disk", "set id=1", "end")
        self.assertIn("device 1: ", self.refused(*missing))
        self.assertIn("room for ids 0 to 3", self.refused("add device", f"set storage={self.storage}", "set id=20", "end"))
        self.assertIn("No such resource", self.refused("remove device id=9"))
        self.assertIn("the disk that the zone boots from", self.refused("remove device id=0"))
        self.assertIn("more than the 256M", self.refused("select capped-memory", "set physical=1G", "end"))
        self.assertIn("not while the zone runs", self.refused("set cpu-arch=generic"))
        self.assertEqual(self.live("export").stdout, before)

    def memory(self):
        """MiB that the guest has."""
        return int(re.search(r"MemTotal:\s+(\d+) kB", self.console.run("cat /proc/meminfo"))[1]) >> 10

    def test_memory_falls_and_rises(self):
        full = self.memory()
        done = self.live("select capped-memory", "set physical=160M", "end")
        self.assertEqual(done.stdout, f"Checking: Modifying capped-memory physical=160M\n{APPLYING}")
        self.assertAlmostEqual(self.memory(), full - 96, delta=2)
        done = self.live("select capped-memory", "set physical=2M", "end", check=False)
        self.assertNotEqual(done.returncode, 0)
        done = self.live("select capped-memory", "set physical=32M", "end")
        self.assertRegex(done.stderr, r"warning: operation succeeded partially for capped memory "
                                      r"\(requested: 32M, final: \d+M\)")
        self.live("select capped-memory", "set physical=256M", "end")
        self.assertAlmostEqual(self.memory(), full, delta=2)

    def processors(self):
        return len(re.findall(r"^processor\b", self.console.run("cat /proc/cpuinfo"), re.MULTILINE))

    def add_processor(self):
        done = self.live("select virtual-cpu", "set ncpus=2", "end")
        self.assertEqual(done.stdout, f"Checking: Modifying virtual-cpu ncpus=2\n{APPLYING}")
        self.wait_guest("ls /sys/devices/system/cpu", r"\bcpu1\b")
        self.console.run("echo 1 > /sys/devices/system/cpu/cpu1/online")
        self.assertEqual(self.processors(), 2)
        if "tcg" in qemu_of(self.zone).command_line():
            self.assertIn("under KVM only", self.refused("select virtual-cpu", "set ncpus=1", "end"))

    def answers(self):
        return self.lab.client.run(["ping", "-c", "1", "-W", "1", self.zone.address], check=False).returncode == 0

    def test_networks_come_and_go(self):
        wait_until(self.answers, "the zone to answer")
        done = self.live("add anet", "set id=1", "end")
        self.assertEqual(done.stdout, f"Checking: Adding anet id=1\n{APPLYING}")
        self.wait_guest("ls /sys/class/net", r"\beth1\b")
        done = self.live("select anet id=0", "set vlan-id=10", "end")
        self.assertEqual(done.stdout, f"Checking: Modifying anet id=0 vlan-id=10\n{APPLYING}")
        self.assertFalse(self.answers())
        self.live("select anet id=0", "clear vlan-id", "end")
        wait_until(self.answers, "the zone to answer again")
        self.live("remove anet id=1")
        self.wait_guest_without("ls /sys/class/net", r"\beth1\b")

    def test_what_was_added_goes_along(self):
        self.add_disk()
        digest = self.write_disk()
        self.live("select capped-memory", "set physical=160M", "end")
        memory = self.memory()
        if os.cpu_count() > 1:
            self.add_processor()
        processors = self.processors()
        self.zone.zoneadm("suspend")
        self.zone.zoneadm("boot")
        self.console.expect(r"\[NOTICE: Zone resuming\]")
        self.assertEqual(self.digest(), digest)
        self.assertEqual((self.memory(), self.processors()), (memory, processors))
        self.assertIn(self.storage, self.live("info device").stdout)
        self.zone.zoneadm("migrate", "node2", timeout=300)
        with self.zone.console("node2") as console:
            fresh_prompt(console)
            self.assertEqual(self.digest(console), digest)
        self.assertIn(self.storage, self.live("info device", node="node2").stdout)
        self.assertNotIn(self.storage, self.zone.zonecfg("info device", node="node2").stdout)
        self.assertIn("physical: 160M", self.live("info capped-memory", node="node2").stdout)
        self.zone.zoneadm("migrate", "node1", node="node2", timeout=300)
        type(self).console = self.enterClassContext(self.zone.console())
        fresh_prompt(self.console)
        self.assertEqual((self.memory(), self.processors()), (memory, processors))
        self.remove_disk()
        self.zone.zoneadm("reboot")
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.console.wait_prompt()
        self.assertEqual(self.processors(), 1)
        self.assertEqual(self.live("export").stdout, self.zone.zonecfg("export").stdout)

    def test_a_new_monitor_knows_it(self):
        self.add_disk()
        monitor_of(self.zone).kill()
        done = self.zone.zoneadm("apply")
        self.assertIn(f"Checking: Removing device storage={self.storage}", done.stdout)
        self.wait_guest_without("cat /proc/partitions", r"\bvdb\b")

    def resident(self):
        return int(qemu_of(self.zone).status("VmRSS").removesuffix("kB")) << 10

    def suspended_bytes(self):
        self.zone.zoneadm("suspend")
        self.zone.zoneadm("boot", "-x", "eager")
        self.console.expect(r"\[NOTICE: Zone resuming\]")
        return [entry["bytes"] for entry in self.zone.history() if entry["move"] == "suspend"][-1]

    def test_memory_that_was_freed_is_not_moved(self):
        self.console.run("mount -t tmpfs none /mnt")
        self.console.run("dd if=/dev/urandom of=/mnt/used bs=1M count=96", 120)
        used = self.suspended_bytes()
        resident = self.resident()
        self.console.run("rm /mnt/used; umount /mnt")
        # The guest tells of what is free in whole stretches of 2 MiB.
        wait_until(lambda: self.resident() < resident - 48 * MIB, "QEMU to give the memory back", 60)
        self.assertLess(self.suspended_bytes(), used - 80 * MIB)


class Guests(LabCase):
    """Guests that do not do what they should."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()

    def setUp(self):
        self.console = self.enterContext(self.zone.console())
        fresh_prompt(self.console)

    def reboot(self):
        self.zone.zoneadm("reboot")
        self.assertEqual(self.zone.state(), ("running", ""))
        self.console.expect(r"\[NOTICE: Zone booting up\]")
        self.console.wait_prompt()

    def start_watchdog(self):
        """By hand: the guest's kernel has no driver for it. Both stages last a second or so."""
        self.console.run("pci=/sys/bus/pci/devices/0000:00:06.0")
        self.console.run("echo 1 > $pci/enable")
        self.console.run("read first rest < $pci/resource; base=$((first))")
        for register in (0, 4):
            for offset, width, value in ((12, 16, 0x80), (12, 16, 0x86), (register, 32, 1000)):
                self.console.run(f"devmem $((base + {offset})) {width} {value}")
        self.console.run(r"printf '\002' | dd of=$pci/config bs=1 seek=104")

    def test_watchdog_that_is_not_fed(self):
        self.start_watchdog()
        self.zone.wait_state("running", "panicked", timeout=120)
        self.assertIn("42", self.console.run("echo $((6*7))"))
        self.reboot()

    def test_guest_that_does_not_let_go(self):
        disk = self.lab.shared / "kept.disk"
        with open(disk, "wb") as file:
            file.truncate(4 * MIB)
        live = ["zonecfg", "-z", "ant1", "-r"]
        self.zone.node().run([*live, f"add device; set storage=file://{disk}; set id=1; end"], timeout=60)
        self.console.terminal.send_line("echo c > /proc/sysrq-trigger")
        self.zone.wait_state("running", "panicked")
        done = self.zone.node().run([*live, "remove device id=1"], check=False, timeout=120)
        self.assertEqual(done.returncode, 1)
        self.assertIn("device 1: the guest did not give it up within 30 seconds: it is still there", done.stderr)
        self.assertIn(str(disk), self.zone.node().run([*live, "info device"]).stdout)
        self.assertEqual(self.zone.state(), ("running", "panicked"))
        self.reboot()
        self.assertNotIn(str(disk), self.zone.node().run([*live, "info device"]).stdout)


if __name__ == "__main__":
    unittest.main()
