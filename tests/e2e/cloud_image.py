"""A Debian as clouds are given it: cloud-init, systemd-networkd, and nothing by which kzones would know it."""
import hashlib
import pathlib
import re
import subprocess

from install_test import ROOT_OFFSET, content, debugfs

IMAGE_MIB = 1200
# What the teams that make such images put into them. systemd-networkd is the last of cloud-init's renderers for Debian, so
# that nothing else is asked for where neither ifupdown nor netplan is.
MANIFEST = """version: 1
name: NAME
builder: debian
description: Debian with cloud-init, before it becomes an image
kernel: linux-image-cloud-amd64
packages: [systemd-sysv, systemd-resolved, libpam-systemd, dbus, udev, kmod, initramfs-tools, zstd, locales, tzdata, sudo,
  login, passwd, iproute2, netbase, openssh-server, cloud-init, cloud-guest-utils]
minimum-size: 1G
kernel-arguments: console=tty0 console=ttyS0
documentation: false
files:
  - path: /etc/cloud/cloud.cfg.d/01_debian_cloud.cfg
    mode: 0644
    content: |
      manage_etc_hosts: true
      disable_root: true
      apt: {preserve_sources_list: true}
"""


def write_manifest(folder):
    """In a file of the manifest's name; that changes with the text, so that no base of an earlier text is taken from the
    cache."""
    name = f"cloud-{hashlib.sha256(MANIFEST.encode()).hexdigest()[:8]}"
    file = pathlib.Path(folder) / f"{name}.yaml"
    file.write_text(MANIFEST.replace("NAME", name))
    return file


def make_image(maker, folder):
    """Path of a compressed qcow2, made from what the zone `maker`, which is configured only, is installed with."""
    maker.zoneadm("install", "-m", str(write_manifest(folder)), "-x", f"install-size={IMAGE_MIB + 1}M", timeout=600)
    _forget(maker.disk)
    with open(maker.disk, "r+b") as disk:
        disk.truncate(IMAGE_MIB << 20)  # without the host data
    image = pathlib.Path(folder) / "cloud.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", str(maker.disk),
                    str(image)], check=True)
    pathlib.Path(maker.disk).unlink()
    return image


def _forget(disk):
    """Takes out what our installer has put into the system beyond the manifest's packages and files."""
    keys = re.findall(r"/(ssh_host_[^/]+)/", debugfs(disk, "ls -p /etc/ssh"))
    networks = re.findall(r"/([^/]+\.network)/", debugfs(disk, "ls -p /etc/systemd/network"))
    requests = [f"rm /etc/ssh/{name}" for name in keys] + [f"rm /etc/systemd/network/{name}" for name in networks]
    requests += [f"rm {path}" for path in (
        "/etc/hostname", "/etc/hosts", "/usr/sbin/kz-agent", "/etc/systemd/system/kz-agent.service",
        "/etc/systemd/system/multi-user.target.wants/kz-agent.service")]
    subprocess.run(["debugfs", "-w", "-f", "-", f"{disk}?offset={ROOT_OFFSET}"], input="\n".join(requests),
                   capture_output=True, text=True, check=True)
    left = debugfs(disk, *(f"stat {request.split()[1]}" for request in requests))
    if not keys or not networks or "Inode:" in left or content(disk, "/etc/machine-id"):
        raise AssertionError(f"the image is not like a cloud's: {keys} {networks}\n{left}")
