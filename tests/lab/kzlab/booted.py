"""A host of the lab that is booted: systemd is its PID 1, kzones is installed in it, and it is administered from "/".

It takes the network of one of the lab's nodes over, so that the others reach it by that name. Its files are the
machine's, with what it changes kept in memory; nothing of the machine's own services runs in it."""
import os
import pathlib
import re
import shutil
import subprocess
import time

from .namespaces import MARKER, LabError, is_process, start_time
from .node import Node

HERE = pathlib.Path(__file__).resolve().parent
TARGET = "kzlab.target"
# What a host needs to be one; network-online.target is said to be reached.
UNITS = {
    TARGET: "[Unit]\nRequires=sysinit.target dbus.socket\nAfter=sysinit.target dbus.socket\nAllowIsolate=yes\n",
}
# They would do to the machine's kernel what is none of a lab's business.
MASKED = ("systemd-sysctl.service", "systemd-modules-load.service", "systemd-udevd.service", "sys-kernel-debug.mount",
          "sys-kernel-tracing.mount", "dev-hugepages.mount", "systemd-update-utmp.service", "apparmor.service")


def why_not():
    """What this machine lacks to boot hosts; None when nothing."""
    for program in ("/lib/systemd/systemd", "/usr/bin/dbus-daemon"):
        if not os.access(program, os.X_OK):
            return f"{program} is not there (packages systemd, dbus)"
    kinds = pathlib.Path("/proc/filesystems").read_text().split()
    return next((f"the kernel has no {kind}" for kind in ("overlay", "cgroup2") if kind not in kinds), None)


class BootedHost(Node):
    def __init__(self, node, folder, cgroup, binaries, binds):
        """`node`: the one whose place it takes; `folder`: where it keeps what it is made of; `cgroup`: an empty one;
        `binaries`: the build's, with share/ and share/systemd beside them; `binds`: folders of the machine -> where it has
        them."""
        self._node = node
        self._files = pathlib.Path(folder)
        self._cgroup = pathlib.Path(cgroup)
        self._build = pathlib.Path(binaries).parent
        self._install()
        record = self._boot([f"{folder}:{place}" for folder, place in binds.items()])
        super().__init__(node._folder, node.name, record, "/usr/local/bin")
        # Its files, as seen from outside.
        self.root = pathlib.Path(f"/proc/{self.pid}/root")

    def _install(self):
        """As `cmake --install` would, with the units where systemd looks first."""
        overlay = self._files / "overlay"
        units = overlay / "etc/systemd/system"
        units.mkdir(parents=True)
        (self._files / "root").mkdir()
        for name, text in UNITS.items():
            (units / name).write_text(text)
        for name in MASKED:
            (units / name).symlink_to("/dev/null")
        # What is below /tmp is shared with the machine, and not to be cleared by one that boots.
        (overlay / "etc/tmpfiles.d").mkdir()
        (overlay / "etc/tmpfiles.d/tmp.conf").symlink_to("/dev/null")
        prefix = None
        for unit in (self._build / "share/systemd").glob("kz-*"):
            shutil.copy(unit, units)
            started = re.search(r"^ExecStart=(/\S+)/bin/kz-", unit.read_text(), re.MULTILINE)
            prefix = prefix or (started and started[1])
        installed = overlay / prefix.lstrip("/")
        (installed / "bin").mkdir(parents=True)
        for program in (self._build / "bin").iterdir():
            shutil.copy(program, installed / "bin")
        shutil.copytree(self._build / "share/kzones", installed / "share/kzones")
        pam = overlay / "etc/pam.d"
        pam.mkdir(parents=True)
        shutil.copy(HERE.parents[2] / "share/pam/kzones", pam)

    def _boot(self, binds):
        self._cgroup.mkdir(parents=True)
        entered = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
        command = ["sh", "-c", entered, "boot", self._cgroup,
                   "nsenter", f"--net=/proc/{self._node.pid}/ns/net",
                   "unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child",
                   "bash", HERE / "boot.sh", self._cgroup, self._files, TARGET, *binds]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", MARKER: str(self._node._folder)}
        with open(self._files / "boot.log", "wb") as log:
            self._parent = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True, cwd="/")
        pid = self._wait_init()
        return {"pid": pid, "started": start_time(pid)}

    def _wait_init(self, timeout=60):
        """PID 1 as it is called outside, when it has booted."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._parent.poll() is not None:
                break
            children = pathlib.Path(f"/proc/{self._parent.pid}/task/{self._parent.pid}/children").read_text().split()
            if children and self._has_booted(int(children[0])):
                return int(children[0])
            time.sleep(0.05)
        self.down()
        raise LabError(f"{self._node.name} did not boot: {(self._files / 'boot.log').read_text()}")

    @staticmethod
    def _has_booted(pid):
        try:
            if pathlib.Path(f"/proc/{pid}/comm").read_text() != "systemd\n":
                return False
        except OSError:
            return False
        asked = subprocess.run([*_enter(pid), "systemctl", "is-active", TARGET], capture_output=True, text=True)
        return asked.stdout == "active\n"

    def command(self, argv, cwd=None):
        if not self.alive():
            raise LabError(f"{self.name} of the lab has gone down")
        return [*_enter(self.pid), f"--wd=/proc/{self.pid}/root{cwd or '/'}", "--", *map(str, argv)]

    def environment(self, extra=None):
        without = {key: value for key, value in super().environment().items() if key != "KZONES_ROOT"}
        return without | (extra or {})

    def outside(self, pid):
        """The number on the machine of a process that the host calls `pid`; None when there is none."""
        namespace = os.stat(f"/proc/{self.pid}/ns/pid").st_ino
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{name}/ns/pid").st_ino == namespace and self.inside(name) == pid:
                    return int(name)
            except OSError:
                continue  # it ended while we looked
        return None

    @staticmethod
    def inside(pid):
        """What a host calls a process of the machine."""
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"^NSpid:.*\t(\d+)$", status, re.MULTILINE)[1])

    def systemctl(self, *words, check=True):
        return self.run(["systemctl", "--no-pager", *words], check=check).stdout

    def down(self):
        """Everything in it ends with its PID 1."""
        if hasattr(self, "pid") and is_process(self.pid, self._started):
            os.kill(self.pid, 9)
        self._parent.kill()
        self._parent.wait()


def _enter(pid):
    return ["nsenter", f"--target={pid}", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"]
