"""libvirt as users have it, for its save and restore: a libvirtd of the bench's own, in a mount namespace in which all
that it writes is temporary. It is there when Debian's packages are (tools/setup libvirt)."""
import pathlib
import shutil
import subprocess
import time

import cpu
from harness import ticks_of
from peer import Lines

FOLDERS = ("/run/libvirt", "/var/lib/libvirt", "/etc/libvirt", "/var/log/libvirt", "/var/cache/libvirt")
# No other process of libvirt's, no security driver, and a QEMU that may open what this one did.
QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>{cpus}</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model>{cpu}</model></cpu>
  <devices>
    <emulator>{binary}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <serial type='unix'><source mode='bind' path='{folder}/serial.sock'/><target port='0'/></serial>
    <console type='unix'><source mode='bind' path='{folder}/console.sock'/><target type='virtio' port='1'/></console>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def installed():
    return shutil.which("libvirtd") is not None and shutil.which("virsh") is not None


class Libvirt:
    """The zone's guest again, as a domain of libvirt's."""

    def __init__(self, zone, folder):
        self._zone = zone
        self._folder = folder
        self._daemon = None
        self.console = self._serial = None
        self._image = folder / "saved"

    def __enter__(self):
        self._folder.mkdir()
        disk = self._folder / "disk"
        self._zone.fresh_disk(disk)
        self._start_daemon()
        words = self._zone.machine()[0]
        value = {name: words[words.index(name) + 1] for name in ("-machine", "-cpu")}
        (self._folder / "domain.xml").write_text(DOMAIN.format(
            name=self._zone.name, memory=self._zone.megabytes, cpus=self._zone.cpus, cpu=value["-cpu"],
            machine=value["-machine"].split(",")[0], binary=words[0], disk=disk, folder=self._folder))
        try:
            self.virsh("create", self._folder / "domain.xml")
            self._connect()
            with cpu.Frozen([self._zone.machine()[1]]):
                self.console.start_work(self._zone)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_daemon(self):
        mounts = "".join(f"mkdir -p {folder} && mount -t tmpfs tmpfs {folder}; " for folder in FOLDERS)
        (self._folder / "qemu.conf").write_text(QEMU_CONF)
        # The daemon asks for the user of libvirt-daemon-system before it reads that it is to use another.
        for name, line in (("passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"),
                           ("group", "libvirt-qemu:x:64055:\n")):
            (self._folder / name).write_text(pathlib.Path("/etc", name).read_text() + line)
            mounts += f"mount --bind {self._folder}/{name} /etc/{name}; "
        script = (f"set -e; {mounts} cp {self._folder}/qemu.conf /etc/libvirt/; "
                  f"touch /etc/libvirt/libvirtd.conf; exec libvirtd -f /etc/libvirt/libvirtd.conf")
        self._log = open(self._folder / "libvirtd.log", "wb")
        self._daemon = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL,
                                        stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + 60
        while self.virsh("version", check=False).returncode != 0:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"libvirtd: {(self._folder / 'libvirtd.log').read_text()[-2000:]}")
            time.sleep(0.1)

    def virsh(self, *words, check=True):
        """In the daemon's mount namespace, where its socket is."""
        done = subprocess.run(["nsenter", f"--mount=/proc/{self._daemon.pid}/ns/mnt", "virsh", "-q", "-c",
                               "qemu:///system", *map(str, words)], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"virsh {' '.join(map(str, words))}: {done.stderr}")
        return done

    def _connect(self):
        for connection in (self.console, self._serial):
            if connection:
                connection.close()
        self._serial = Lines(self._folder / "serial.sock")
        self.console = Lines(self._folder / "console.sock")

    def pids(self):
        """Of its QEMU: its words name the folder."""
        return [int(process.name) for process in pathlib.Path("/proc").glob("[0-9]*")
                if _command_line(process).startswith(b"/") and str(self._folder).encode() in _command_line(process)
                and b"qemu-system" in _command_line(process).split(b"\0")[0]]

    def save_and_restore(self):
        """As Peer.save_and_restore."""
        console = self.console
        console.wait(lambda lines, rest: len(ticks_of(lines)) > 50, "tick", 120)
        begun, used = time.monotonic(), cpu.total()
        self.virsh("save", self._zone.name, self._image)
        saved = time.monotonic()
        last = ticks_of(console.lines())[-1]
        size = self._image.stat().st_blocks * 512
        resumed = time.monotonic()
        self.virsh("restore", self._image)
        self._connect()
        lines = self.console.wait(lambda lines, rest: ticks_of(lines) and lines, "tick", 120)
        used = cpu.total() - used
        first = ticks_of(lines)[0]
        self._image.unlink(missing_ok=True)
        return {"outage": first.moment - last.moment - (resumed - saved), "suspend": saved - begun,
                "first_tick": first.moment - resumed, "all_memory": first.moment - resumed, "cpu_seconds": used,
                "image_bytes": size}

    def __exit__(self, *exception):
        self.virsh("destroy", self._zone.name, check=False)
        for connection in (self.console, self._serial):
            if connection:
                connection.close()
        self._daemon.terminate()
        self._daemon.wait()
        self._log.close()


def _command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
