#!/usr/bin/python3
"""Real systems in zones: the default Debian and what can be done in it, archives, clones.

One Debian zone is booted once for many checks; what can be seen on its disk is looked at there."""
import gzip
import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import unittest

from harness import LabCase, Zone
from harness.case import wait_until
from harness.kernels import second_kernel
from harness.packages import default_cache, ensure_base

BOOT = 500  # seconds, at most: a Debian under TCG on a machine that is busy with other things
ROOT_OFFSET = 16 * 1024 * 1024

PROFILE = """#cloud-config
hostname: debian1
timezone: Europe/Berlin
locale: de_DE.UTF-8
users:
  - name: jack
    gecos: Jack the Administrator
    sudo: ALL=(ALL:ALL) NOPASSWD:ALL
    lock_passwd: true
    ssh_authorized_keys: [{key}]
"""


def debugfs(disk, *requests):
    """What debugfs says of the zone's root file system, which nobody has open."""
    script = "\n".join(requests)
    done = subprocess.run(["debugfs", "-f", "-", f"{disk}?offset={ROOT_OFFSET}"], input=script, capture_output=True, text=True)
    return done.stdout


def content(disk, path):
    return "\n".join(debugfs(disk, f"cat {path}").splitlines()[1:]).replace("debugfs: ", "").strip()


class Debian(LabCase):
    @classmethod
    def prepare(cls):
        cls.disk = cls.lab.shared / "debian1.disk"
        cls.zone = Zone(cls.lab, "debian1", number=1, memory="512M", cpus=2)
        cls.zone.configure()
        cls.key = pathlib.Path(cls.lab.shared) / "jack"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "jack", "-f", str(cls.key)], check=True)
        profile = pathlib.Path(cls.lab.shared) / "profile.yaml"
        profile.write_text(PROFILE.format(key=cls.key.with_suffix(".pub").read_text().strip()))
        cls.said = cls.zone.zoneadm("install", "-c", str(profile), "-x", "install-size=1536M", timeout=400).stdout
        cls.host_key = content(cls.disk, "/etc/ssh/ssh_host_ed25519_key.pub")
        cls.machine_id = content(cls.disk, "/etc/machine-id")
        cls.zone.zoneadm("boot")
        cls.addClassCleanup(cls.leave)

    @classmethod
    def ssh_words(cls):
        return ["-i", str(cls.key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "StrictHostKeyChecking=no", "-o",
                f"UserKnownHostsFile={cls.lab.shared}/known", "-o", "LogLevel=ERROR", "-o",
                f"ControlPath={cls.lab.shared}/ssh"]

    @classmethod
    def control(cls, command):
        """The shared connection, if there is one: "check" or "exit"."""
        return cls.zone.node().run(["ssh", *cls.ssh_words(), "-O", command, f"jack@{cls.zone.address}"], check=False).returncode

    @classmethod
    def leave(cls):
        cls.control("exit")

    def inside(self, command, check=True, timeout=180):
        return self.zone.node().run(["ssh", *self.ssh_words(), f"jack@{self.zone.address}", command], check=check,
                                    timeout=timeout)

    def wait_login(self):
        """Leaves a connection for all commands: a login costs seconds there."""
        def answered():
            if self.control("check") == 0:
                return True
            # It would keep our end of a pipe.
            self.zone.node().run(["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", "ssh", *self.ssh_words(), "-f", "-N", "-M",
                                  f"jack@{self.zone.address}"], check=False, timeout=180)
            return False
        wait_until(answered, "an ssh login", BOOT)

    def test_1_the_installation_said_what_it_did(self):
        self.assertRegex(self.said, r"^Progress being logged to \S+/var/log/zones/zoneadm\.\d{8}T\d{6}Z\.debian1\.install\n")
        # The second where apt has had news since the base was made: a lab has no way to the world.
        self.assertRegex(self.said, "Using the cached base system|using the one of an earlier installation")
        self.assertRegex(self.said, r"\nInstallation: Succeeded\n +Done: Installation completed in [\d.]+ seconds\.\n$")
        log = next(self.zone.node().path("var/log/zones").glob("zoneadm.*.debian1.install"))
        self.assertIn("Installation: Succeeded", log.read_text())
        self.assertEqual(self.machine_id, "")

    def test_2_it_is_what_the_profile_says(self):
        self.wait_login()
        self.assertEqual(self.inside("hostname").stdout, "debian1\n")
        self.assertIn("zoneinfo/Europe/Berlin", self.inside("readlink /etc/localtime").stdout)
        self.assertIn("LANG=de_DE.UTF-8", self.inside("cat /etc/default/locale").stdout)
        self.assertIn("de_DE.utf8", self.inside("locale -a").stdout)
        self.assertRegex(self.inside("sudo grep ^root: /etc/shadow").stdout, r"^root:\*:")
        known = (pathlib.Path(self.lab.shared) / "known").read_text()
        self.assertIn(self.host_key.split()[1], known)
        self.assertRegex(self.inside("cat /etc/machine-id").stdout, r"^[0-9a-f]{32}\n$")

    def test_3_its_services_run(self):
        self.wait_login()
        state = self.inside("timeout 150 systemctl is-system-running --wait; systemctl --failed --no-legend --plain", check=False)
        self.assertEqual(state.stdout, "running\n")
        for unit in ("ssh", "systemd-networkd", "systemd-resolved", "serial-getty@hvc0", "qemu-guest-agent", "kz-agent"):
            self.assertEqual(self.inside(f"systemctl is-active {unit}", check=False).stdout, "active\n", unit)
        size = int(self.inside("df -B1M --output=size / | tail -1").stdout)
        self.assertGreater(size, 1300)
        self.assertIn(f"inet {self.zone.address}/24", self.inside("ip addr show eth0").stdout)

    def test_4_a_kernel_installed_inside_runs_after_its_reboot(self):
        self.wait_login()
        package, release = second_kernel(default_cache())
        self.assertNotEqual(self.inside("uname -r").stdout.strip(), release)
        self.zone.node().run(["scp", "-q", *self.ssh_words(), str(package), f"jack@{self.zone.address}:kernel.deb"], timeout=120)
        self.inside("sudo dpkg --force-depends -i kernel.deb", timeout=700)
        before = self.inside("cat /proc/sys/kernel/random/boot_id").stdout
        self.inside("sudo systemctl stop ssh; sudo systemctl reboot", check=False)
        self.leave()

        self.wait_login()
        self.assertNotEqual(self.inside("cat /proc/sys/kernel/random/boot_id").stdout, before)
        self.assertEqual(self.inside("uname -r").stdout.strip(), release)

    def test_5_a_clone_shares_nothing_by_which_zones_are_told(self):
        refused = Zone(self.lab, "debian2", number=2)
        refused.configure()
        done = refused.zoneadm("clone", "debian1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the source zone 'debian1' is running", done.stderr)
        self.leave()
        self.zone.zoneadm("halt")
        said = refused.zoneadm("clone", "debian1", timeout=300).stdout
        self.assertRegex(said, r"Done: Clone completed in [\d.]+ seconds\.\n$")
        copy = self.lab.shared / "debian2.disk"
        self.assertEqual(content(copy, "/etc/hostname"), "debian2")
        self.assertEqual(content(copy, "/etc/machine-id"), "")
        self.assertNotIn(self.host_key.split()[1], content(copy, "/etc/ssh/ssh_host_ed25519_key.pub"))
        self.assertIn("10.77.0.102/24", content(copy, "/etc/systemd/network/10-eth0.network"))
        self.assertIn("jack", content(copy, "/etc/passwd"))
        uuids = {zone.zoneadm("list", "-p").stdout.split(":")[4] for zone in (self.zone, refused)}
        self.assertEqual(len(uuids), 2)
        refused.zoneadm("uninstall", "-F")


class Reproducible(LabCase):
    """Two installations of one manifest are two zones, and apart from what makes them two they are the same."""
    OWN = re.compile(r"^/etc/(ssh/ssh_host_\w+_key(\.pub)?|fstab|hostname|hosts|systemd/network/10-eth0\.network)$"
                     r"|^/boot/grub/grub\.cfg$|^/lost\+found$")

    def installed(self, name, number):
        """What is on its disk: the path of everything, with kind, mode, owner and what is in it."""
        zone = Zone(self.lab, name, number=number)
        zone.configure()
        zone.zoneadm("install", "-x", "install-size=1536M", timeout=400)
        with tempfile.TemporaryDirectory(dir=self.lab.folder) as folder:
            debugfs(self.lab.shared / f"{name}.disk", f"rdump / {folder}")
            zone.zoneadm("uninstall", "-F")
            return dict(self.entries(pathlib.Path(folder)))

    @staticmethod
    def entries(root):
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                path = pathlib.Path(folder) / name
                status = path.lstat()
                content = str(path.readlink()) if path.is_symlink() else ""
                if stat.S_ISREG(status.st_mode):
                    with path.open("rb") as file:
                        content = hashlib.file_digest(file, "sha256").hexdigest()
                yield "/" + str(path.relative_to(root)), (oct(status.st_mode), status.st_uid, status.st_gid, content)

    def test_two_zones_differ_in_what_is_their_own(self):
        one, two = self.installed("twin1", 11), self.installed("twin2", 12)
        self.assertGreater(len(one), 5000)
        differing = {path for path in one.keys() | two.keys() if one.get(path) != two.get(path)}
        self.assertEqual([path for path in sorted(differing) if not self.OWN.match(path)], [])
        for path in ("/etc/hostname", "/etc/fstab", "/etc/ssh/ssh_host_ed25519_key", "/boot/grub/grub.cfg"):
            self.assertIn(path, differing)


# The mini zone's start, changed so that it takes what a cloud image would: NoCloud's seed.
CLOUD_START = """
mkdir -p /mnt/seed
modprobe isofs
mount -t iso9660 -o ro "$(findfs LABEL=cidata)" /mnt/seed
hostname "$(sed -n 's/^local-hostname: "\\(.*\\)"/\\1/p' /mnt/seed/meta-data)"
sed 's/^/cidata: /' /mnt/seed/meta-data /mnt/seed/user-data /mnt/seed/network-config >/dev/hvc0
"""


class Archives(LabCase):
    @classmethod
    def prepare(cls):
        share = default_cache().parent.parent / "share/kzones"
        start = (share / "guest/mini/rootfs/etc/kz/start").read_text().replace("acpid\n", CLOUD_START + "acpid\n")
        manifest = (share / "manifests/mini.yaml").read_text().replace("modules: [virtio_net", "modules: [isofs, virtio_net")
        cls.folder = pathlib.Path(cls.lab.shared)
        (cls.folder / "cloud.yaml").write_text(
            manifest + "\nfiles:\n  - path: /etc/kz/start\n    mode: 0755\n    content: " + json.dumps(start) + "\n")
        maker = Zone(cls.lab, "maker", number=9)
        maker.configure()
        maker.zoneadm("install", "-m", str(cls.folder / "cloud.yaml"), "-x", "install-size=128M", timeout=300)
        raw = cls.folder / "cloud.raw"
        raw.write_bytes((cls.folder / "maker.disk").read_bytes()[:-1024 * 1024])  # without the host data
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(cls.folder / "cloud.qcow2")],
                       check=True)
        with gzip.open(cls.folder / "cloud.raw.gz", "wb", compresslevel=1) as packed:
            packed.write(raw.read_bytes())

    def seen_on(self, zone):
        with zone.console() as console:
            console.expect(rf'cidata: local-hostname: "{zone.name}"', BOOT)
            console.expect(r"cidata: +set-name: eth0", 60)
            text = console.terminal.text
        return re.search(r'cidata: instance-id: "([^"]+)"', text)[1], re.search(r'macaddress: "([^"]+)"', text)[1]

    def test_a_qcow2_boots_with_its_seed_and_so_does_its_clone(self):
        zone = Zone(self.lab, "cloud1", number=3)
        zone.configure()
        said = zone.zoneadm("install", "-a", str(self.folder / "cloud.qcow2"), "-x", "install-size=160M", timeout=300).stdout
        self.assertIn("Copying the image: qcow2, 127 MiB", said)
        zone.boot(wait=False)
        first = self.seen_on(zone)
        zone.zoneadm("halt")
        clone = Zone(self.lab, "cloud2", number=4)
        clone.configure()
        clone.zoneadm("clone", "cloud1", timeout=300)
        clone.boot(wait=False)
        second = self.seen_on(clone)
        clone.zoneadm("halt")
        self.assertNotEqual(first[0], second[0])
        self.assertNotEqual(first[1], second[1])
        for name in ("cloud1", "cloud2"):
            self.assertIn(b"KZ-AGENT-GZ.;1", (self.folder / f"{name}.disk").read_bytes())

    def test_a_packed_raw_image(self):
        zone = Zone(self.lab, "cloud3", number=5)
        zone.configure()
        zone.zoneadm("install", "-a", str(self.folder / "cloud.raw.gz"), "-x", "install-size=160M", "-x", "no-agent",
                     timeout=300)
        disk = (self.folder / "cloud3.disk").read_bytes()
        self.assertEqual(disk[159 * 1024 * 1024 - 512:][:8], b"EFI PART")
        self.assertIn(b"USER-DATA.;1", disk)
        self.assertNotIn(b"KZ-AGENT-GZ.;1", disk)
        self.assertEqual(zone.state()[0], "installed")

    def test_one_that_is_too_large_leaves_nothing(self):
        zone = Zone(self.lab, "cloud4", number=6)
        zone.configure()
        done = zone.zoneadm("install", "-a", str(self.folder / "cloud.qcow2"), "-x", "install-size=64M", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("zone switching to configured state: the image is a disk of", done.stderr)
        self.assertEqual(zone.state()[0], "configured")
        self.assertFalse((self.folder / "cloud4.disk").exists())


class Failures(LabCase):
    """What is left of installations that come to nothing."""

    def install(self, name, number):
        """A zone, and a manifest whose only source nobody answers for: apt waits some seconds for it."""
        zone = Zone(self.lab, name, number=number)
        zone.configure()
        shipped = default_cache().parent.parent / "share/kzones/manifests/default.yaml"
        file = pathlib.Path(self.lab.shared) / f"{name}.yaml"
        file.write_text(shipped.read_text().replace("name: default", f"name: {name}") +
                        '\nsources: ["deb [trusted=yes] http://10.77.0.250/debian bookworm main"]\n')
        return zone, ["zoneadm", "-z", name, "install", "-m", str(file)]

    def check_clean(self, zone):
        node = zone.node()
        self.assertNotIn("/bases/.new-", pathlib.Path("/proc/self/mountinfo").read_text())
        self.assertEqual([entry.name for entry in node.path(f"var/lib/zones/{zone.name}").iterdir()
                          if entry.name.startswith(("install-", "disk-"))], [])

    def of_this(self, zone):
        """Processes that work for the zone's installation."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                environment = entry.read_bytes()
            except OSError:
                continue
            if b"KZ_EARLY=" in environment and str(zone.node().root).encode() in environment:
                found.append(entry)
        return found

    def test_no_mirror(self):
        zone, command = self.install("none1", 7)
        done = zone.node().run(command, check=False, timeout=300)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"zone switching to configured state: mmdebstrap: ")
        log = next(zone.node().path("var/log/zones").glob("zoneadm.*.none1.install")).read_text()
        self.assertRegex(log, r"\nERROR: mmdebstrap: ")
        self.assertEqual(zone.state()[0], "configured")
        self.assertFalse((self.lab.shared / "none1.disk").exists())
        self.assertEqual(list(zone.node().path("var/cache/zones/bases").glob(".new-*")), [])
        self.check_clean(zone)

    def test_an_interrupt(self):
        zone, command = self.install("none2", 8)
        with zone.node().terminal(command) as terminal:
            terminal.expect("running apt-get update", 60)
            terminal.send("\x03")
            terminal.expect("zone switching to configured state: cancelled", 60)
            self.assertEqual(terminal.wait(), 1)
        wait_until(lambda: not self.of_this(zone), "the end of mmdebstrap")
        self.assertEqual(zone.state()[0], "configured")
        self.assertEqual(list(zone.node().path("var/cache/zones/bases").glob(".new-*")), [])
        self.check_clean(zone)

    def test_killed(self):
        zone, command = self.install("none3", 9)
        with zone.node().popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as killed:
            for line in killed.stdout:
                if "running apt-get update" in line:
                    break
            self.assertTrue(self.of_this(zone))
            killed.kill()
        wait_until(lambda: not self.of_this(zone), "the end of mmdebstrap")
        self.assertEqual(zone.state()[0], "incomplete")
        zone.zoneadm("uninstall", "-F")
        self.assertEqual(zone.state()[0], "configured")
        self.check_clean(zone)
        done = zone.node().run(command, check=False, timeout=300)
        self.assertIn("mmdebstrap: ", done.stderr)
        self.assertEqual(list(zone.node().path("var/cache/zones/bases").glob(".new-*")), [])


def setUpModule():
    ensure_base()


if __name__ == "__main__":
    unittest.main()
