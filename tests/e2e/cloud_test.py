#!/usr/bin/python3
"""A cloud's image in a zone: cloud-init makes it what the profile and the configuration say, zlogin enters it, and a clone
of it is another machine.

Three boots serve all; each test begins where the one before has left the zone."""
import json
import pathlib
import subprocess
import tempfile
import time
import unittest

from cloud_image import IMAGE_MIB, make_image, write_manifest
from harness import LabCase, Zone, wait_until
from harness.packages import default_cache, ensure_base

BOOT = 600  # seconds, at most: cloud-init works for minutes under TCG
DISK_MIB = 2048
PROFILE = """#cloud-config
hostname: sky
timezone: Europe/Berlin
locale: en_GB.UTF-8
users:
  - name: jack
    gecos: Jack the Administrator
    sudo: ALL=(ALL:ALL) NOPASSWD:ALL
    shell: /bin/bash
    lock_passwd: true
    ssh_authorized_keys: [{key}]
"""
CLONE_PROFILE = """#cloud-config
hostname: sky2
network:
  version: 2
  ethernets:
    eth0:
      addresses: [{address}/24]
      nameservers: {{addresses: [10.77.0.53], search: [sky.example]}}
"""
# What tells two machines apart, as each of them says it.
IDENTITY = """hostname; cat /etc/machine-id; cloud-init query instance_id; cat /proc/sys/kernel/random/boot_id
cat /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_rsa_key.pub /etc/ssh/ssh_host_ecdsa_key.pub"""
RESULT = "cat /run/cloud-init/result.json"
RUNS = "cd /var/lib/cloud/instance/sem && stat -c '%n %Y' config_*"
AGENT_FILES = ("/usr/local/sbin/kz-agent", "/etc/systemd/system/kz-agent.service")


class Cloud(LabCase):
    @classmethod
    def prepare(cls):
        cls.begun = time.monotonic()
        cls.folder = pathlib.Path(cls.lab.shared)
        cls.key = cls.folder / "jack"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "jack", "-f", str(cls.key)], check=True)
        profile = cls.folder / "profile.yaml"
        profile.write_text(PROFILE.format(key=cls.key.with_suffix(".pub").read_text().strip()))
        maker = Zone(cls.lab, "maker", number=9)
        maker.configure()
        image = make_image(maker, cls.folder)
        cls.say(f"an image of {image.stat().st_size >> 20} MiB")
        cls.zone = Zone(cls.lab, "cloud1", number=1, memory="512M", cpus=2)
        cls.zone.configure()
        cls.zone.zoneadm("install", "-a", str(image), "-c", str(profile), "-x", f"install-size={DISK_MIB}M", timeout=300)
        cls.seed = cls.seed_of(cls.zone)
        if b"USER-DATA.;1" not in cls.seed:
            raise AssertionError("the seed is not where it is looked for")
        cls.say("installed")
        cls.zone.zoneadm("boot", f"--wait={BOOT}", timeout=BOOT + 30)
        cls.say("the agent is up")

    @classmethod
    def say(cls, what):
        print(f"{time.monotonic() - cls.begun:.1f} s: {what}", flush=True)

    @staticmethod
    def seed_of(zone):
        """The partition: of what the zone sees, the MiB before that with the copy of the table."""
        with open(zone.disk, "rb") as disk:
            disk.seek((DISK_MIB - 3) << 20)
            return disk.read(1 << 20)

    def zlogin(self, command, zone=None, check=True, timeout=120):
        zone = zone or self.zone
        return zone.node().run(["zlogin", zone.name, command], check=check, timeout=timeout).stdout

    def ssh(self, command, zone=None, check=True):
        zone = zone or self.zone
        return zone.node().run(
            ["ssh", "-i", str(self.key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "StrictHostKeyChecking=no",
             "-o", f"UserKnownHostsFile={self.folder}/known-{zone.name}", "-o", "LogLevel=ERROR", f"jack@{zone.address}", command],
            check=check, timeout=240)

    def uuid(self, zone):
        return zone.zoneadm("list", "-p").stdout.split(":")[4]

    def cloud_init_ended_well(self, zone):
        self.assertEqual(self.zlogin("cloud-init status --wait", zone, timeout=BOOT).split()[-2:], ["status:", "done"])
        result = json.loads(self.zlogin(RESULT, zone))["v1"]
        self.assertEqual(result["errors"], [])
        self.assertRegex(result["datasource"], r"^DataSourceNoCloud \[seed=/dev/")
        self.assertEqual(self.zlogin("grep -E 'WARNING|ERROR|Traceback' /var/log/cloud-init.log", zone, check=False), "")

    def test_1_cloud_init_is_done_without_errors(self):
        self.cloud_init_ended_well(self.zone)
        self.say("cloud-init is done")
        self.assertEqual(self.zlogin("cloud-init query instance_id").strip(), self.uuid(self.zone))
        self.assertEqual(self.zlogin("systemctl --failed --no-legend --plain"), "")

    def test_2_it_is_what_the_profile_says(self):
        said = self.ssh("sudo -n id -un; hostname; date +%Z; readlink /etc/localtime; cat /etc/default/locale; getent passwd jack")
        self.assertEqual(said.stderr, "")
        self.assertRegex(said.stdout, r"^root\nsky\nCES?T\n\S+/Europe/Berlin\n(#.*\n)*LANG=\"?en_GB.UTF-8\"?\n"
                                      r"jack:[^:]*:\d+:\d+:Jack the Administrator:/home/jack:/bin/bash\n$")
        self.assertIn(self.zlogin("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1],
                      (self.folder / "known-cloud1").read_text())

    def test_3_network_and_disk_are_the_zones(self):
        addresses = json.loads(self.zlogin("ip -j -4 addr show eth0"))[0]["addr_info"]
        self.assertEqual([(one["local"], one["prefixlen"], one.get("dynamic")) for one in addresses],
                         [(self.zone.address, 24, None)])
        size = int(self.zlogin("df -B1M --output=size / | tail -1"))
        self.assertGreater(size, IMAGE_MIB)
        self.assertGreater(size, (DISK_MIB - 6) * 0.93)  # what ext4 keeps for itself
        self.assertEqual(self.seed_of(self.zone), self.seed)
        listed = json.loads(self.zone.zoneadm("list", "--json").stdout)[0]["guest"]
        self.assertTrue(listed["usable"])
        self.assertRegex(listed["agent"], r"^kz-agent \d")

    def test_4_the_agent_came_with_the_seed_and_gives_way_to_its_package(self):
        self.assertIn(f"kz-agent: installed as {AGENT_FILES[0]}\n", self.zlogin("cat /var/log/cloud-init-output.log"))
        built = (default_cache().parent.parent / "share/kzones/guest/agent").glob("kz-agent_*.deb")
        package = max(built, key=lambda file: file.stat().st_mtime)  # of an earlier version there may be one, too
        said = self.zone.node().run(
            ["sh", "-c", f"zlogin {self.zone.name} 'cat >/run/kz-agent.deb && dpkg -i /run/kz-agent.deb' <{package}"], timeout=300)
        self.assertIn("Setting up kz-agent", said.stdout)
        self.assertIn("'systemctl restart kz-agent' ends this session", said.stdout)
        self.ssh("sudo systemctl restart kz-agent")
        # The monitor has to see that the first one is gone.
        wait_until(lambda: "/usr/sbin/kz-agent" in self.zlogin("readlink /proc/$(systemctl show -P MainPID kz-agent)/exe",
                                                                check=False), "the package's agent", 120)
        self.assertEqual(self.zlogin("systemctl is-enabled kz-agent; ls " + " ".join(AGENT_FILES), check=False), "enabled\n")

    def test_5_what_was_removed_is_not_there_again_after_a_reboot(self):
        before = self.ssh(f"sudo dpkg --purge kz-agent >&2; {IDENTITY}; {RUNS}").stdout.splitlines()
        self.ssh("sudo systemctl stop ssh; sudo systemctl reboot", check=False)

        def booted():
            done = self.ssh(f"cloud-init status --wait >&2; {IDENTITY}; {RUNS}", check=False)
            return done.returncode == 0 and done.stdout.splitlines()[3] != before[3] and done.stdout.splitlines()
        after = wait_until(booted, "the system after its reboot", BOOT)
        self.say("booted again")
        self.assertEqual(after[:3] + after[4:], before[:3] + before[4:])
        left = self.ssh("systemctl is-active kz-agent; ls /usr/sbin/kz-agent " + " ".join(AGENT_FILES), check=False)
        self.assertEqual(left.stdout, "inactive\n")
        self.assertFalse(json.loads(self.zone.zoneadm("list", "--json").stdout)[0].get("guest", {}).get("usable"))

    def test_6_a_clone_is_another_machine(self):
        first = self.ssh(IDENTITY).stdout.splitlines()
        self.ssh("sudo sync")
        self.zone.zoneadm("halt")
        clone = Zone(self.lab, "cloud2", number=2, memory="512M", cpus=2, extra="set firmware=uefi")
        clone.configure()
        profile = self.folder / "clone.yaml"
        profile.write_text(CLONE_PROFILE.format(address=clone.address))
        clone.zoneadm("clone", "-c", str(profile), "cloud1", timeout=300)
        clone.zoneadm("boot", f"--wait={BOOT}", timeout=BOOT + 30)
        self.say("the clone's agent is up")
        self.cloud_init_ended_well(clone)
        second = self.zlogin(IDENTITY, clone).splitlines()
        self.assertEqual(second[0], "sky2")
        self.assertEqual(second[2], self.uuid(clone))
        self.assertEqual(len(second), len(first))
        self.assertEqual(set(first) & set(second), set())
        self.assertEqual(self.zlogin("test -d /sys/firmware/efi && echo by UEFI", clone), "by UEFI\n")
        said = self.ssh("sudo -n id -un; hostname", clone)
        self.assertEqual((said.stdout, said.stderr), ("root\nsky2\n", ""))
        resolver = self.zlogin("cat /run/systemd/resolve/resolv.conf", clone)
        self.assertIn("\nnameserver 10.77.0.53\n", resolver)
        self.assertIn("\nsearch sky.example\n", resolver)
        # The source has removed its own; this one came with the clone's seed.
        self.assertIn(f"kz-agent: installed as {AGENT_FILES[0]}\n",
                      self.zlogin("tail -n 40 /var/log/cloud-init-output.log", clone))
        self.say("the clone is seen from outside")


def setUpModule():
    with tempfile.TemporaryDirectory() as folder:
        file = write_manifest(folder)
        ensure_base(file.stem, file)


if __name__ == "__main__":
    unittest.main()
