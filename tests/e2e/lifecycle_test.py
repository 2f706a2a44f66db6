#!/usr/bin/python3
"""The life of a zone: every state it can be in, by every command that leads there, watched on its console."""
import re
import subprocess
import unittest

from harness import LabCase, Zone, wait_until
from processes import monitor_of, qemu_of
from workload import fresh_prompt

BOOT_TIME = 90
BOOTING = r"\[NOTICE: Zone booting up\]"
HALTED = r"\[NOTICE: Zone halted\]"
REBOOTING = r"\[NOTICE: Zone rebooting\]"


class Lifecycle(LabCase):
    """Each test finds the zone running, with its shell at the prompt, and leaves it so."""
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab)
        cls.zone.create()

    def setUp(self):
        self.console = self.enterContext(self.zone.console())
        fresh_prompt(self.console)

    def wait_boot(self):
        self.console.wait_prompt(BOOT_TIME)
        self.assertEqual(self.zone.state(), ("running", ""))

    def refused(self, *words, message, status=1):
        done = self.zone.zoneadm(*words, check=False)
        self.assertEqual((done.returncode, done.stderr), (status, message))

    def uptime(self):
        return float(self.console.run("cut -d' ' -f1 /proc/uptime").split()[-1])

    # Console

    def test_console_shows_what_was_before_to_the_next_user(self):
        self.console.run("echo first-$((6*7))")
        with self.zone.console() as later:
            later.expect("first-42")
            self.assertEqual(later.leave(), 0)
            self.assertTrue(later.terminal.text.rstrip().endswith("[Connection to zone 'ant1' console closed]"))
        fresh_prompt(self.console)  # the other session did not mind

    def test_two_users_see_the_same_and_both_type(self):
        with self.zone.console() as other:
            self.console.run("echo one-$((6*7))")
            other.expect("one-42")
            other.wait_prompt()
            other.run("echo two-$((6*7))")
            self.console.expect("two-42")
            self.console.wait_prompt()

    def test_control_characters_reach_the_guest(self):
        self.console.start("sleep 1000")
        self.console.interrupt()

    # Up and down

    def test_ready_sets_up_everything_and_runs_nothing(self):
        self.zone.zoneadm("halt")
        self.console.expect(HALTED)
        self.zone.zoneadm("ready")
        self.zone.zoneadm("halt")
        self.console.expect(HALTED)
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.zone.zoneadm("ready")
        self.assertEqual(self.zone.state(), ("ready", ""))
        row = self.zone.node().run(["zoneadm", "list", "-v"]).stdout.splitlines()[-1]
        self.assertRegex(row, r"^ +\d+ ant1 +ready ")
        identity = row.split()[0]
        self.assertTrue(qemu_of(self.zone).alive())
        self.refused("ready", message="zoneadm: zone 'ant1': ready operation is invalid for ready zones.\n")
        self.refused("suspend", message="zoneadm: zone 'ant1': suspend operation is invalid for ready zones.\n")
        self.refused("shutdown", message="zoneadm: zone 'ant1': shutdown operation is invalid for ready zones.\n")
        before = self.console.terminal.text
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.assertEqual(self.console.terminal.text[len(before):].strip().splitlines()[0], "[NOTICE: Zone booting up]")
        self.wait_boot()
        self.assertEqual(self.zone.node().run(["zoneadm", "list", "-v"]).stdout.splitlines()[-1].split()[0], identity)

    def test_halt_is_at_once_and_what_is_not_running_cannot_be_halted(self):
        machine, monitor = qemu_of(self.zone), monitor_of(self.zone)
        self.zone.zoneadm("halt")
        self.console.expect(HALTED)
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.assertFalse(machine.alive())
        wait_until(lambda: not monitor.alive(), "end of the monitor")
        for command in ("halt", "shutdown", "reboot", "suspend"):
            self.refused(command, message="zoneadm: zone 'ant1': not running\n")
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.wait_boot()

    def test_shutdown_lets_the_guest_end_its_work(self):
        self.console.run("echo precious >/root/work")
        self.zone.zoneadm("shutdown")
        self.assertEqual(self.zone.state(), ("installed", ""))
        self.console.expect("kz-mini: going down for poweroff")
        self.console.expect(HALTED)
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.wait_boot()
        self.assertEqual(self.console.run("cat /root/work").split(), ["precious"])
        self.assertNotRegex(self.console.run("dmesg | grep -i ext4"), "recover")

    def test_shutdown_is_heard_by_a_guest_that_still_boots(self):
        self.zone.zoneadm("halt")
        self.console.expect(HALTED)
        self.zone.zoneadm("boot")
        self.zone.zoneadm("shutdown")
        self.console.expect("kz-mini: going down for poweroff")
        self.console.expect(HALTED)
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.wait_boot()

    def test_shutdown_with_r_boots_again(self):
        machine, monitor = qemu_of(self.zone), monitor_of(self.zone)
        self.zone.zoneadm("shutdown", "-r")
        self.console.expect("kz-mini: going down for poweroff")
        self.console.expect(REBOOTING)
        self.wait_boot()
        self.assertFalse(machine.alive())
        self.assertTrue(monitor.alive())

    def test_reboot_is_hard(self):
        machine = qemu_of(self.zone)
        self.zone.zoneadm("reboot")
        self.console.expect(REBOOTING)
        self.wait_boot()
        self.assertFalse(machine.alive())
        self.assertTrue(qemu_of(self.zone).alive())
        self.assertLess(self.uptime(), 60)

    def test_guest_reboots_itself(self):
        self.console.terminal.send_line("reboot")
        self.console.expect("kz-mini: going down for reboot")
        self.console.expect(REBOOTING)
        self.wait_boot()

    def test_guest_powers_itself_off(self):
        monitor = monitor_of(self.zone)
        self.console.terminal.send_line("poweroff")
        self.console.expect("kz-mini: going down for poweroff")
        self.console.expect(HALTED)
        self.zone.wait_state("installed")
        wait_until(lambda: not monitor.alive(), "end of the monitor")
        self.zone.zoneadm("boot")
        self.console.expect(BOOTING)
        self.wait_boot()

    # Refusals

    def test_a_running_zone_refuses_what_would_harm_it(self):
        machine = qemu_of(self.zone)
        for command in ("boot", "ready", "install", "attach", "detach"):
            self.refused(command, message=f"zoneadm: zone 'ant1': {command} operation is invalid for running zones.\n")
        self.refused("uninstall", "-F",
                     message="zoneadm: zone 'ant1': uninstall operation is invalid for running zones.\n")
        self.refused("mark", "incomplete", message="zoneadm: zone 'ant1': mark operation is invalid for running zones.\n")
        self.refused("rename", "ant2", message="zoneadm: zone 'ant1': rename operation is invalid for running zones.\n")
        done = self.zone.zonecfg("delete", "-F", check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(qemu_of(self.zone), machine)
        fresh_prompt(self.console)

    def test_a_second_monitor_is_refused(self):
        machine, monitor = qemu_of(self.zone), monitor_of(self.zone)
        done = self.zone.node().run(["zoneadmd", "-z", self.zone.name], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("zoneadmd: zone 'ant1': the zone already has a monitor", done.stderr)
        self.assertEqual((qemu_of(self.zone), monitor_of(self.zone)), (machine, monitor))
        fresh_prompt(self.console)

    # The machine

    def test_the_machine_has_no_rights(self):
        machine = qemu_of(self.zone)
        self.assertEqual(machine.status("Seccomp"), "2")
        self.assertEqual(machine.status("NoNewPrivs"), "1")
        self.assertEqual(machine.status("CapEff"), "0000000000000000")
        users = set(machine.status("Uid").split())
        self.assertEqual(len(users), 1)
        self.assertGreaterEqual(int(users.pop()), 1879048192)

    def test_static_address_is_reachable(self):
        self.lab.client.run(["ping", "-c", "1", "-W", "10", self.zone.address])
        self.assertIn(f"inet {self.zone.address}/24", self.console.run("ip -o addr show eth0"))


class OtherZones(LabCase):
    """Zones that need no guest, or one that is made in another way."""
    @classmethod
    def prepare(cls):
        cls.node = cls.lab.node("node1")

    def blank_zone(self, name, number):
        """Installed, on a disk that holds nothing."""
        zone = Zone(self.lab, name, number)
        with open(zone.disk, "wb") as disk:
            disk.truncate(8 << 20)
        zone.configure()
        done = zone.zoneadm("attach", "-x", "initialize-hostdata")
        self.assertIn("host data was initialized", done.stderr)
        self.addCleanup(self.remove, zone)
        return zone

    def remove(self, zone):
        zone.zoneadm("uninstall", "-F", check=False)
        zone.zonecfg("delete", "-F")

    def refused(self, command, message):
        done = self.node.run(command, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, message))

    def list(self, *options):
        return self.node.run(["zoneadm", "list", *options]).stdout

    def test_list(self):
        configured = Zone(self.lab, "bee1", 2)
        configured.configure()
        self.addCleanup(configured.zonecfg, "delete", "-F")
        installed = self.blank_zone("cow1", 3)
        running = self.blank_zone("dog1", 4)
        running.zoneadm("boot")
        self.addCleanup(running.zoneadm, "halt")

        self.assertEqual(self.list(), "global\ndog1\n")
        self.assertEqual(self.list("-n"), "dog1\n")
        self.assertEqual(self.list("-i"), "global\ndog1\ncow1\n")
        self.assertEqual(self.list("-c"), "global\ndog1\nbee1\ncow1\n")
        self.assertEqual(self.list("-cn"), "dog1\nbee1\ncow1\n")
        table = self.list("-cv").splitlines()
        self.assertEqual(table[0], "  ID NAME             STATUS      PATH                         BRAND      IP    ")
        self.assertEqual(table[1], "   0 global           running     /                            linux      shared")
        self.assertRegex(table[2], r"^ +[1-9]\d* dog1             running     -                            linux-kz   excl  $")
        self.assertEqual(table[3], "   - bee1             configured  -                            linux-kz   excl  ")
        self.assertEqual(table[4], "   - cow1             installed   -                            linux-kz   excl  ")
        self.assertEqual(self.list("-cs").splitlines()[0], "NAME             STATUS           AUXILIARY STATE")
        self.assertEqual([line.split() for line in self.list("-csn").splitlines()[1:]],
                         [["dog1", "running"], ["bee1", "configured"], ["cow1", "installed"]])
        rows = [re.split(r"(?<!\\):", line) for line in self.list("-cp").splitlines()]
        self.assertEqual([row[:3] for row in rows[2:]], [["-", "bee1", "configured"], ["-", "cow1", "installed"]])
        self.assertEqual({len(row) for row in rows}, {10})
        self.assertRegex(rows[3][4], r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")
        self.assertEqual(rows[3][5:7], ["linux-kz", "excl"])
        self.assertEqual(self.node.run(["zoneadm", "-z", "bee1", "list"]).stdout, "bee1\n")
        self.assertEqual(self.node.run(["zoneadm", "-u", rows[3][4], "list"]).stdout, "cow1\n")
        self.refused(["zoneadm", "list", "-pv"], "zoneadm: list -p and -v are mutually exclusive.\n")
        self.refused(["zoneadm", "-z", "emu1", "list"], "zoneadm: emu1: No such zone configured\n")

    def test_mark_uninstall_and_rename(self):
        zone = self.blank_zone("cow1", 3)
        zone.zoneadm("mark", "unavailable")
        self.assertEqual(zone.state()[0], "unavailable")
        self.assertIn("boot operation is invalid for unavailable zones.", zone.zoneadm("boot", check=False).stderr)
        zone.zoneadm("attach")
        self.assertEqual(zone.state()[0], "installed")
        zone.zoneadm("mark", "incomplete")
        self.assertEqual(zone.state()[0], "incomplete")
        self.refused(["zoneadm", "-z", "cow1", "boot"],
                     "zoneadm: zone 'cow1': zone is incomplete; uninstall required.\n")
        self.refused(["zoneadm", "-z", "cow1", "uninstall"], "zoneadm: zone 'cow1': input not from terminal and -F not "
                     "specified: uninstall command ignored, exiting.\n")
        self.refused(["zoneadm", "-z", "cow1", "rename", "cow2"],
                     "zoneadm: zone 'cow1': zone is incomplete; uninstall required.\n")
        zone.zoneadm("uninstall", "-F")
        self.assertEqual(zone.state()[0], "configured")
        self.refused(["zoneadm", "-z", "cow1", "boot"], "zoneadm: zone 'cow1': must be installed before boot.\n")
        zone.zoneadm("rename", "cow2")
        self.assertEqual(zone.state()[0], "unknown")
        zone.name = "cow2"
        self.assertEqual(zone.state()[0], "configured")
        self.assertIn("zonename: cow2", zone.zonecfg("info").stdout)

    def test_detach_and_attach(self):
        zone = self.blank_zone("cow1", 3)
        zone.zoneadm("detach")
        self.assertEqual(zone.state()[0], "configured")
        zone.zoneadm("attach")
        self.assertEqual(zone.state()[0], "installed")

    def test_address_by_dhcp(self):
        client = self.lab.client
        busybox = next((self.node.path("var/cache/zones/packages")).glob("busybox-static_*/bin/busybox"))
        leases = self.lab.folder / "leases"
        leases.touch()
        settings = self.lab.folder / "udhcpd.conf"
        settings.write_text("interface uplink\nstart 10.77.0.200\nend 10.77.0.200\nopt subnet 255.255.255.0\n"
                            f"lease_file {leases}\npidfile {self.lab.folder}/udhcpd.pid\n")
        server = client.popen([busybox, "udhcpd", "-f", settings], stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        zone = Zone(self.lab, "eel1", 5)
        zone.configure()
        zone.zonecfg("select anet 0; clear allowed-address; end")
        zone.install()
        self.addCleanup(self.remove, zone)
        zone.boot()
        self.addCleanup(zone.zoneadm, "halt")
        client.run(["ping", "-c", "1", "-W", "20", "10.77.0.200"])

    def test_direct_boot_of_a_kernel(self):
        packages = self.node.path("var/cache/zones/packages")
        kernel = next(packages.glob("linux-image-*/boot/vmlinuz-*"))
        busybox = next(packages.glob("busybox-static_*/bin/busybox"))
        initrd = self.lab.folder / "initrd"
        self.make_initrd(initrd, busybox)
        zone = self.blank_zone("fox1", 6)
        zone.zonecfg(f"set kernel={kernel}; set initrd={initrd}; set bootargs=\"console=ttyS0 quiet word=configured\"")
        self.addCleanup(zone.zoneadm, "halt", check=False)
        zone.zoneadm("boot")
        with zone.console() as console:
            console.expect("direct boot with word=configured", BOOT_TIME)
            zone.zoneadm("reboot", "--", "console=ttyS0", "quiet", "word=given")
            console.expect("direct boot with word=given", BOOT_TIME)

    def make_initrd(self, path, busybox):
        tree = self.lab.folder / "initrd.tree"
        for folder in ("bin", "proc", "dev"):
            (tree / folder).mkdir(parents=True)
        (tree / "bin/busybox").write_bytes(busybox.read_bytes())
        (tree / "bin/busybox").chmod(0o755)
        (tree / "init").write_text("#!/bin/busybox sh\nb=/bin/busybox\n$b mount -t proc proc /proc\n"
                                   "$b mount -t devtmpfs dev /dev\n"
                                   "echo direct boot with $($b grep -o 'word=[a-z]*' /proc/cmdline) >/dev/ttyS0\n"
                                   "exec $b sleep 1000\n")
        (tree / "init").chmod(0o755)
        self.node.run(["sh", "-c", f"cd {tree} && find . | cpio -o -H newc --quiet >{path}"])

    def test_a_zone_that_cannot_start_says_why_and_is_as_before(self):
        zone = self.blank_zone("gnu1", 7)
        zone.zonecfg("set kernel=/no/such/kernel")
        done = zone.zoneadm("boot", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/kernel", done.stderr)
        self.assertEqual(zone.state(), ("installed", ""))
        self.assertIsNone(qemu_of(zone))


if __name__ == "__main__":
    unittest.main()
