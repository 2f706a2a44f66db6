#!/usr/bin/python3
"""Zones whose disks are LUNs of a real iSCSI target and files of a real NFS server, and who may use them."""
import pathlib
import re
import unittest

from harness import Consoles, LabCase, Zone, wait_until
from kzlab.target import DEFAULT_NAME as TARGET
from processes import guard_of, kill_together, monitor_of, nothing_left, qemu_of

MIB = 1 << 20
NODES = ("node1", "node2")
USER = "1000:1000"
# Short enough to wait for, long enough for a machine that has more to do.
SETTINGS = """\
lease.renew = 400ms
lease.pause = 4s
lease.fence = 6s
lease.takeover = 8s
lease.claim-wait = 1s
lease.claim-fresh = 500ms
storage.timeout = 3s
"""
IN_USE = (r"ERROR: zone {zone} is in use by host with hostid [0-9a-f-]{{36}}\n"
          r"      last known state: {state}\n"
          r"              hostname: {host}\n"
          r"      last update time: \S+Z\n"
          r"           owned since: \S+Z\n"
          r"{heartbeat}"
          r"To fix, detach the zone from the other host then attach it to this host\n"
          r"If the zone is not active on another host, attach it with\n"
          r"   zoneadm -z {zone} attach -x force-takeover\n")
HEARTBEAT = r"             heartbeat: seen \d+ s ago\n"
CONFIGURED = ("configured", "")
INSTALLED = ("installed", "")
SUSPENDED = ("installed", "suspended")
RUNNING = ("running", "")


class StorageCase(LabCase):
    nodes = NODES
    storage = True

    @classmethod
    def prepare(cls):
        for name in cls.nodes:
            file = cls.lab.node(name).path("etc/zones/settings")
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            file.write_text(SETTINGS)

    @classmethod
    def add_lun(cls, digit, size, **options):
        """A LUN whose name ends with the digit, and its SURI."""
        naa = f"600144f068d1cd00000053ecd3d2000{digit}"
        return cls.lab.storage.iscsi.add_lun(size=size, naa=naa, **options), f"iscsi://storage1/luname.naa.{naa}"

    @classmethod
    def add_file(cls, name, size):
        suri = f"nfs://{USER}@storage1/zones/{name}"
        cls.lab.node("node1").run(["suriadm", "create", "-p", f"create-size={size}", suri])
        return suri

    def file(self, name):
        return self.lab.storage.path("/zones") / name

    def said(self, zone, *words, node=None, status=1):
        """What the command says, which ends with `status`."""
        done = zone.zoneadm(*words, node=node, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return re.sub(rf"(?m)^zoneadm: zone '{zone.name}': ", "", done.stderr)

    def check_in_use(self, said, zone, host, state, heartbeat=""):
        self.assertRegex(said, IN_USE.format(zone=zone.name, host=host, state=state, heartbeat=heartbeat))

    def kill_host(self, zone, node):
        """What runs the zone there is gone from one moment to the next."""
        kill_together(guard_of(zone, node), monitor_of(zone, node), qemu_of(zone, node))


def share_configuration(zone, node):
    """The other host is given the same, the key included."""
    zone.node(node).run(["zonecfg", "-z", zone.name, "-f", "/dev/stdin"], input=zone.zonecfg("export").stdout)


class Life:
    """One zone with a clock in it, which is suspended, moved, detached and attached; and each time goes on."""
    services = True

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.zone = cls.make_zone()
        cls.zone.configure()
        cls.before_install()
        cls.zone.install(size="128M")
        share_configuration(cls.zone, "node2")
        cls.zone.boot()
        cls.consoles = cls.enterClassContext(Consoles(cls.zone, cls.nodes))
        with cls.zone.console() as console:
            console.wait_prompt()
            cls.zone.zoneadm("reboot")
            console.expect(r"\[NOTICE: Zone rebooting\]")
            console.wait_prompt()
            cls.look_around(console)
            console.start("kz-clock -i 10")
            console.expect(r"tick \d+ ")

    @classmethod
    def before_install(cls):
        """Of a zone that is configured."""

    @classmethod
    def look_around(cls, console):
        """In the guest, before the clock starts."""

    def setUp(self):
        self.here = next(node for node in self.nodes if self.zone.state(node) == RUNNING)
        self.there = next(node for node in self.nodes if node != self.here)
        self.zone.home = self.here

    def tearDown(self):
        self.consoles.wait_ticks(50)  # and none was lost
        self.assertEqual(sorted([self.zone.state(node)[0] for node in self.nodes]), ["configured", "running"])

    def check_states(self, here, there):
        self.assertEqual((self.zone.state(self.here), self.zone.state(self.there)), (here, there))

    def wait_no_image(self):
        """A zone that resumes runs before all of its memory is in."""
        wait_until(lambda: not self.has_image(), "the end of an image that was used")

    def test_suspend_to_storage_and_resume(self):
        for _ in range(2):
            self.zone.zoneadm("suspend")
            self.check_states(SUSPENDED, CONFIGURED)
            wait_until(lambda: nothing_left(self.zone, self.here), "end of the zone's processes")
            self.assertTrue(self.has_image())
            self.zone.zoneadm("boot")
            self.check_states(RUNNING, CONFIGURED)
            self.wait_no_image()
            self.consoles.wait_ticks(50)
        entries = self.zone.history()[-4:]
        self.assertEqual([entry["move"] for entry in entries], ["suspend", "resume"] * 2)

    def test_live_migration_there_and_back(self):
        for source, target in ((self.here, self.there), (self.there, self.here)):
            self.zone.zoneadm("migrate", target, node=source)
            self.assertEqual((self.zone.state(source), self.zone.state(target)), (CONFIGURED, RUNNING))
            self.consoles.wait_ticks(50)

    def test_attach_where_it_is_not_owned(self):
        self.check_in_use(self.said(self.zone, "attach", node=self.there), self.zone, self.here, "running")
        said = self.said(self.zone, "attach", "-x", "force-takeover", node=self.there)
        self.check_in_use(said, self.zone, self.here, "running", HEARTBEAT)
        self.check_states(RUNNING, CONFIGURED)

    def test_warm_by_hand(self):
        self.zone.zoneadm("suspend")
        self.check_in_use(self.said(self.zone, "attach", node=self.there), self.zone, self.here, "installed")
        self.zone.zoneadm("detach")
        self.check_states(CONFIGURED, CONFIGURED)
        self.assertTrue(self.has_image())
        self.zone.zoneadm("attach", node=self.there)
        self.check_states(CONFIGURED, SUSPENDED)
        self.zone.zoneadm("boot", node=self.there)
        self.check_states(CONFIGURED, RUNNING)
        self.wait_no_image()

    def test_suspended_zone_of_a_host_that_is_gone(self):
        self.zone.zoneadm("suspend")
        self.said(self.zone, "attach", "-x", "force-takeover", node=self.there, status=0)
        self.assertEqual(self.zone.state(self.there), SUSPENDED)
        self.zone.zoneadm("boot", node=self.there)
        # The host that was gone is back.
        self.check_in_use(self.said(self.zone, "boot"), self.zone, self.there, "running")
        self.check_states(("unavailable", ""), RUNNING)
        self.check_in_use(self.said(self.zone, "attach"), self.zone, self.there, "running")
        self.zone.zoneadm("detach")
        self.check_states(CONFIGURED, RUNNING)


class OnIscsi(Life, StorageCase):
    """Boots from a LUN that has neither the first id nor the first place, and has data on NFS and on a LUN."""

    @classmethod
    def make_zone(cls):
        cls.boot_lun, boot = cls.add_lun(1, 128 * MIB)
        cls.data_lun, data = cls.add_lun(2, 16 * MIB)
        cls.image_lun, image = cls.add_lun(3, 256 * MIB)
        cls.nfs_data = cls.add_file("ant1.data", "8M")
        return Zone(cls.lab, "ant1", 1, memory="128M", suspend="none", extra=f"""\
            select device id=0
            set id=5
            set storage={boot}
            set bootpri=1
            end
            add device
            set storage={cls.nfs_data}
            set id=2
            end
            add device
            set storage={data}
            set id=7
            set bootpri=2
            end
            add suspend
            set storage={image}
            end""")

    @classmethod
    def before_install(cls):
        """Two disks to boot from: the refusal says what to type, and then it goes."""
        done = cls.zone.zoneadm("install", "-m", "mini", check=False)
        found = re.search(r"devices 5 and 7 have a bootpri: .*\n.*zonecfg -z ant1 '(.*)'\n", done.stderr)
        if done.returncode != 1 or not found or cls.zone.state() != CONFIGURED:
            raise AssertionError(f"no refusal of two disks to boot from: {done.stderr}")
        cls.zone.zonecfg(found[1])

    @classmethod
    def look_around(cls, console):
        cls.sizes = console.run("cat /sys/block/vd?/size").split()
        cls.places = re.findall(r":10\.(\d)/.*/block/(vd.)", console.run("ls -l /sys/block | grep vd"))
        console.run("echo guest to NFS | dd of=/dev/vda conv=fsync 2>/dev/null")
        console.run("echo guest to iSCSI | dd of=/dev/vdc conv=fsync 2>/dev/null")

    def has_image(self):
        return any(self.image_lun.read(0, 4096))

    def test_disks_as_the_guest_sees_them(self):
        """Each in the place that its id gives it, whatever boots, and the boot disk without its host data."""
        self.assertEqual(self.places, [("2", "vda"), ("5", "vdb"), ("7", "vdc")])
        self.assertEqual([int(size) * 512 // MIB for size in self.sizes], [8, 127, 16])

    def test_data_disks_are_whole(self):
        """Only the boot disk holds host data."""
        with open(self.file("ant1.data"), "rb") as file:
            self.assertEqual(file.read(13), b"guest to NFS\n")
        self.assertEqual(self.data_lun.read(0, 15), b"guest to iSCSI\n")
        self.assertFalse(any(self.data_lun.read(15 * MIB, MIB)))
        self.assertTrue(any(self.boot_lun.read(127 * MIB, MIB)))


class OnNfs(Life, StorageCase):
    @classmethod
    def make_zone(cls):
        return Zone(cls.lab, "bee1", 2, memory="128M", suspend="none", extra=f"""\
            select device id=0
            set storage.template=nfs://{USER}@storage1/zones/%{{zonename}}.disk%{{id}}
            end
            add suspend
            set storage=nfs://{USER}@storage1/suspend/bee1.image
            end""")

    def has_image(self):
        return (self.lab.storage.path("/suspend") / "bee1.image").exists()

    def test_disk_was_made_with_the_size_told(self):
        status = self.file("bee1.disk0").stat()
        self.assertEqual((status.st_size, status.st_uid), (128 * MIB, 1000))



class States(StorageCase):
    """Zones without a system in them: what counts is who may run them."""
    number = 10

    def make_zone(self, suri, extra=""):
        States.number += 1
        zone = Zone(self.lab, f"cow{self.number}", self.number, memory="64M", suspend="none",
                    extra=f"select device id=0\nset storage={suri}\nend\n{extra}")
        zone.configure()
        self.addCleanup(self.remove, zone)
        return zone

    def remove(self, zone):
        for node in self.nodes:
            for words in (["halt"], ["detach"], ["uninstall", "-F"]):
                zone.zoneadm(*words, node=node, check=False)
            zone.zonecfg("delete", "-F", node=node, check=False)

    def make_lun_zone(self, digit):
        lun, suri = self.add_lun(digit, 8 * MIB)
        self.addCleanup(self.lab.storage.iscsi.remove_lun, lun)
        zone = self.make_zone(suri)
        zone.zoneadm("attach", "-x", "initialize-hostdata")
        return zone, lun, suri

    def test_lun_that_goes_and_comes_back(self):
        zone, lun, suri = self.make_lun_zone(4)
        self.lab.storage.iscsi.remove_lun(lun)
        try:
            said = self.said(zone, "boot")
            self.assertIn(f"{suri}: none of the ", said)
            self.assertEqual(zone.state()[0], "unavailable")
            self.assertIn(said.strip().splitlines()[-1], self.said(zone, "boot"))
            self.assertIn(suri, self.said(zone, "attach"))
            self.assertEqual(zone.state()[0], "unavailable")
        finally:
            self.lab.storage.iscsi.add_lun(path=lun.path, naa=lun.naa, number=lun.number)
        zone.zoneadm("attach")
        self.assertEqual(zone.state(), INSTALLED)
        zone.boot(wait=False)
        self.assertEqual(zone.state(), RUNNING)

    def test_takeover_of_a_zone_whose_host_is_gone(self):
        zone, _, _ = self.make_lun_zone(5)
        zone.boot(wait=False)
        share_configuration(zone, "node2")
        said = self.said(zone, "attach", "-x", "force-takeover", node="node2")
        self.check_in_use(said, zone, "node1", "running", HEARTBEAT)
        self.kill_host(zone, "node1")
        self.check_in_use(self.said(zone, "attach", node="node2"), zone, "node1", "running")
        said = self.said(zone, "attach", "-x", "force-takeover", node="node2", status=0)
        self.assertRegex(said, r"^watching whether another host uses the disk: \d+ s left\n")
        self.assertEqual(zone.state("node2"), INSTALLED)
        zone.boot("node2", wait=False)
        self.assertEqual(zone.state("node2"), RUNNING)
        self.check_in_use(self.said(zone, "boot"), zone, "node2", "running")
        self.assertEqual(zone.state()[0], "unavailable")

    def test_chap(self):
        target = f"{TARGET}-chap"
        self.lab.storage.iscsi.add_target(target, account=("lab", "right-secret-1"))
        lun = self.lab.storage.iscsi.add_lun(8 * MIB, target)
        zone = self.make_zone(f"iscsi://storage1/target.{target},lun.{lun.number}")
        initialize = ["attach", "-x", "initialize-hostdata"]
        self.assertRegex(self.said(zone, *initialize), r"demands a CHAP login, and \S+/iscsi-chap has none for it")
        for name in self.nodes:
            secrets = self.lab.node(name).path("etc/zones/iscsi-chap")
            self.addCleanup(secrets.unlink, missing_ok=True)
            secrets.write_text(f"{target} lab wrong-secret-1\n")
            secrets.chmod(0o600)
        said = self.said(zone, *initialize)
        self.assertRegex(said, r"refused the CHAP login of user lab; correct the password in \S+/iscsi-chap")
        self.assertFalse(any(lun.read(0, 8 * MIB)))
        secrets = self.lab.node("node1").path("etc/zones/iscsi-chap")
        secrets.write_text(f"{target} lab right-secret-1\n")
        secrets.chmod(0o644)
        self.assertRegex(self.said(zone, *initialize), r"others may read or write it; chmod 600 \S+/iscsi-chap\n")
        secrets.chmod(0o600)
        zone.zoneadm(*initialize)
        zone.boot(wait=False)
        command = pathlib.Path(f"/proc/{qemu_of(zone).pid}/cmdline").read_text()
        self.assertNotIn("right-secret-1", command)
        self.assertIn("virtio-blk-pci", command)
        # The host that has the wrong one sees nothing of it.
        share_configuration(zone, "node2")
        self.assertIn("refused the CHAP login of user lab", self.said(zone, "attach", node="node2"))
        secrets.unlink()
        zone.zoneadm("halt")
        self.assertIn("demands a CHAP login", self.said(zone, "boot"))
        self.assertEqual(zone.state()[0], "unavailable")

    def test_uninstall_destroys_what_a_template_made(self):
        kept = self.add_file("kept.data", "8M")
        zone = self.make_zone(kept, f"""\
            select device id=0
            set storage.template=nfs://{USER}@storage1/zones/%{{zonename}}.disk%{{id}}
            end
            add device
            set storage={kept}
            set id=1
            end""")
        made = f"{zone.name}.disk0"
        for options, data_stays in (([], True), (["-x", "force-storage-destroy-all"], False)):
            self.add_file(made, "8M")
            zone.zoneadm("attach", "-x", "initialize-hostdata")
            zone.zoneadm("uninstall", "-F", *options)
            self.assertEqual(zone.state(), CONFIGURED)
            self.assertFalse(self.file(made).exists())
            self.assertEqual(self.file("kept.data").exists(), data_stays)

    def test_uninstall_leaves_a_lun_without_host_data(self):
        zone, lun, suri = self.make_lun_zone(6)
        self.assertTrue(any(lun.read(7 * MIB, MIB)))
        zone.zoneadm("uninstall", "-F", "-x", "force-storage-destroy-all")
        self.assertEqual(zone.state(), CONFIGURED)
        self.assertFalse(any(lun.read(7 * MIB, MIB)))
        self.assertIn("host data", self.said(zone, "attach"))
        self.assertIn(suri, self.lab.node("node1").run(["suriadm", "discover", "iscsi://storage1"]).stdout)


if __name__ == "__main__":
    unittest.main()
