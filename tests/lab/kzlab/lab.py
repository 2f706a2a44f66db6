"""A lab: hosts on one machine.

Each host is a process that holds three namespaces (network, hostname, mounts); nothing of it has a name outside, so
nothing is left when the processes are gone. What a lab keeps in its folder DIR:

    DIR/.lab/state.json   the holders, by pid and start time; written whenever it changes
    DIR/.lab/NODE/        the node's hosts, hostname and machine-id files, and its /system
    DIR/NODE/             the node's KZONES_ROOT
    DIR/shared/           the same folder on every node: shared storage
    DIR/storage1/         of the storage host, if the lab has one: see storage.py

`Lab(...)` as a context manager starts a reaper beside it, which takes the lab down when this process dies, whatever
it dies of.
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

from . import namespaces, network
from .booted import BootedHost
from .namespaces import MARKER, LabError
from .node import Node
from .storage import NAME as STORAGE
from .storage import StorageHost

HERE = pathlib.Path(__file__).resolve().parent
LAB_COMMAND = HERE.parent / "lab"
SOURCE = HERE.parents[2]
DEFAULT_BINARIES = pathlib.Path(os.environ.get("KZ_BIN", SOURCE / "build" / "bin"))
CLIENT = "client"
SWITCH = "switch"
CGROUP_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
VERSION = 1


def default_folder():
    return pathlib.Path(os.environ.get("KZLAB") or pathlib.Path(tempfile.gettempdir()) / "kzlab")


class Lab:
    def __init__(self, folder=None, nodes=("node1", "node2"), binaries=None, cache=None, storage=False,
                 aliases=None):
        """`folder` None: a new one below the machine's folder for temporary files. `cache`: what the nodes share as
        var/cache/zones, so that packages are fetched once; kept when the lab goes. `storage`: with a storage host.
        `aliases`: name of host -> further names by which all know it."""
        self._temporary = folder is None
        self.folder = pathlib.Path(folder).absolute() if folder else None
        self._names = list(nodes)
        self._binaries = pathlib.Path(binaries or DEFAULT_BINARIES).absolute()
        self._cache = pathlib.Path(cache).absolute() if cache else None
        self._aliases = {name: list(names) for name, names in (aliases or {}).items()}
        self._with_storage = storage
        self._storage = None
        self._state = None
        self._reaper = None
        self._children = []  # holders that this process has to reap
        self._booted = {}  # name -> BootedHost that stands in its place
        self._kept = False

    @classmethod
    def existing(cls, folder=None):
        """The lab that `lab up` made in `folder`."""
        folder = pathlib.Path(folder or default_folder()).absolute()
        lab = cls(folder)
        lab._state = _read_state(folder)
        if lab._state is None:
            raise LabError(f"there is no lab in {folder}; make one with: lab up")
        lab._names = lab._state["hosts"]
        lab._with_storage = STORAGE in lab._state["holders"]
        lab._binaries = pathlib.Path(lab._state["binaries"])
        return lab

    def __enter__(self):
        if self._temporary:
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kzlab-"))
        self.up(owned=True)
        return self

    def __exit__(self, *exception):
        if not self._kept:
            self.down()

    # Up

    def up(self, owned=False):
        """Clears what an earlier lab left in the folder, and makes this one."""
        if os.geteuid() != 0:
            raise LabError("a lab needs root: namespaces, bridges and taps")
        _check_folder(self.folder)
        self.down(forget=False)
        self.folder.mkdir(mode=0o755)
        self.folder.chmod(0o755)  # whatever the umask: a zone's QEMU has a user of its own
        try:
            self._bring_up(owned)
        except BaseException:
            self.down()
            raise

    def _bring_up(self, owned):
        self._state = {"version": VERSION, "id": str(uuid.uuid4()), "boot_id": namespaces.boot_id(),
                       "binaries": str(self._binaries), "hosts": self._names, "holders": {}}
        self._write_state()
        if owned:
            self._start_reaper()
        self.shared.mkdir(mode=0o755)
        for name in [SWITCH, *self._hosts()]:
            self._start_holder(name)
        pids = {name: record["pid"] for name, record in self._state["holders"].items()}
        switch_pid = pids.pop(SWITCH)
        reached = {name: pid for name, pid in pids.items() if name != STORAGE}
        network.wire_switch(switch_pid, reached)
        for name, pid in reached.items():
            network.wire_host(name, pid, bridged=name != CLIENT)
        if self._with_storage:
            network.wire_storage(switch_pid, {name: pid for name, pid in pids.items() if name != CLIENT})
            self.storage.start()

    def _hosts(self):
        return [*self._names, CLIENT, *([STORAGE] if self._with_storage else [])]

    def _start_holder(self, name):
        files = self.folder / ".lab" / name
        (files / "system").mkdir(mode=0o755, parents=True)
        (files / "hosts").write_text(network.hosts_file(self._hosts(), self._aliases))
        (files / "hostname").write_text(f"{name}\n")
        (files / "machine-id").write_text(uuid.uuid4().hex + "\n")
        self._make_root(self.folder / name)
        command = ["unshare", "--net", "--uts", "--mount", "bash", str(HERE / "holder.sh"), name, str(files),
                   str(self.folder / name), *self._make_cgroup(name)]
        errors = files / "holder.log"
        with open(errors, "wb") as log:
            holder = subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", MARKER: str(self.folder)},
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd="/",
                                      start_new_session=True)
        self._children.append(holder)
        with holder.stdout as answer:
            if answer.readline() != b"ready\n":
                raise LabError(f"{name} of the lab did not come up: {errors.read_text()}")
        self._state["holders"][name] = {"pid": holder.pid, "started": namespaces.start_time(holder.pid),
                                        "network": namespaces.network_cookie(holder.pid)}
        self._write_state()

    def _make_root(self, root):
        for folder in (root, root / "var", root / "var" / "lib", root / "var" / "lib" / "zones"):
            folder.mkdir(mode=0o755)
        if self._cache is not None:
            self._cache.mkdir(parents=True, exist_ok=True)
            (root / "var" / "cache").mkdir()
            (root / "var" / "cache" / "zones").symlink_to(self._cache)

    def _make_cgroup(self, name):
        """[folder] that the node is to see as its cgroup file system: zones of one name run on two nodes."""
        folder = _cgroup_folder(self.folder)
        if folder is None:
            return []
        node = folder / name
        node.mkdir(parents=True, exist_ok=True)
        for parent in (folder.parent, folder):
            for controller in ("+cpu", "+memory", "+pids"):
                try:
                    (parent / "cgroup.subtree_control").write_text(controller)
                except OSError:
                    continue  # this kernel has it elsewhere, or not at all
        return [str(node)]

    def _write_state(self):
        folder = self.folder / ".lab"
        folder.mkdir(mode=0o755, exist_ok=True)
        draft = folder / "state.json.new"
        draft.write_text(json.dumps(self._state, indent=2) + "\n")
        draft.rename(folder / "state.json")

    def _start_reaper(self):
        self._reaper = subprocess.Popen([sys.executable, "-B", str(LAB_COMMAND), "--dir", str(self.folder), "reap",
                                         self._state["id"]], stdin=subprocess.PIPE, start_new_session=True)

    def keep(self):
        """The lab is to outlive this process."""
        self._kept = True
        self._end_reaper(b"keep\n")

    def _end_reaper(self, word):
        if self._reaper is None:
            return
        try:
            self._reaper.stdin.write(word)
            self._reaper.stdin.close()
        except BrokenPipeError:
            pass
        self._reaper.wait()
        self._reaper = None

    def reap(self, identity, stream):
        """The reaper's work: when the owner is gone without a word, and this is still its lab, takes it down."""
        if stream.read() == b"":
            state = _read_state(self.folder)
            if state is not None and state["id"] == identity:
                self.down()

    # In use

    @property
    def shared(self):
        return self.folder / "shared"

    @property
    def names(self):
        return list(self._names)

    def node(self, name):
        if name in self._booted:
            return self._booted[name]
        record = (self._state or {}).get("holders", {}).get(name)
        if record is None:
            raise LabError(f"the lab in {self.folder} has no {name}; it has {', '.join(self._hosts())}")
        return Node(self.folder, name, record, self._binaries)

    @property
    def storage(self):
        """The storage host; see storage.py."""
        if self._storage is None:
            if not self._with_storage:
                raise LabError(f"the lab in {self.folder} has no storage host; make one with: lab up --storage")
            self._storage = StorageHost(self.node(STORAGE), self.folder / ".lab" / STORAGE,
                                        self._state["holders"][SWITCH]["pid"])
        return self._storage

    @property
    def client(self):
        """A host beside the zones' hosts, on the same wire."""
        return self.node(CLIENT)

    def trust(self):
        """Every node may administer every other, and knows it by its host key."""
        keys = {name: self.node(name).run(["kz-radd", "--fingerprint"]).stdout.strip() for name in self._names}
        for name in self._names:
            others = [other for other in self._names if other != name]
            for other in others:
                self.node(name).run(["kz-radd", "--authorize", keys[other], other])
            known = self.node(name).path("etc/zones/rad/known_hosts")
            known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            known.write_text("".join(f"{other} {keys[other]}\n" for other in others))

    def services(self):
        """Starts what the target of a migration needs."""
        for name in self._names:
            for daemon in ("kz-radd", "kz-migrd"):
                self.node(name).run([daemon, "--daemon"], timeout=30)

    def boot(self, name):
        """A host with systemd as its PID 1 and kzones installed takes the node's place. The folder `shared` and the
        packages are the lab's."""
        cgroup = _cgroup_folder(self.folder)
        if cgroup is None:
            raise LabError("there is no cgroup v2 file system to boot a host in")
        files = self.folder / ".lab" / f"booted-{name}"
        shutil.copytree(self.folder / ".lab" / name, files, ignore=lambda _, names: set(names) - {"hosts", "hostname"})
        self._booted[name] = BootedHost(self.node(name), files, cgroup / f"booted-{name}", self._binaries,
                                        {self.shared: self.shared} | ({self._cache: "/var/cache/zones"} if self._cache else {}))
        return self._booted[name]

    def status(self):
        """[(name, address, pid of the holder or None, number of its processes besides)]"""
        rows = []
        members = namespaces.find_members(self.folder, self._cookies())
        for name in self._hosts():
            node = self.node(name)
            inode = namespaces.network_inode(node.pid) if node.alive() else None
            inside = [pid for pid in members if inode and namespaces.network_inode(pid) == inode and pid != node.pid]
            rows.append((name, node.address, node.pid if inode else None, len(inside)))
        return rows

    # Down

    def down(self, keep_files=False, forget=True):
        """Ends every process in the lab's namespaces, waits for that, and removes the folder. Does the same for what
        a crashed lab left there."""
        if self.folder is None or not self.folder.exists():
            return
        _check_folder(self.folder)
        if self._state is None:
            self._state = _read_state(self.folder)
        while self._booted:
            self._booted.popitem()[1].down()
        namespaces.end_members(self.folder, self._cookies())
        while self._children:
            self._children.pop().wait()
        if self._storage is not None:
            self._storage.reap()
        _remove_cgroups(self.folder)
        if not keep_files:
            shutil.rmtree(self.folder)
        self._state = None
        self._storage = None
        if forget:
            self._end_reaper(b"down\n")

    def _cookies(self):
        if self._state is None or self._state["boot_id"] != namespaces.boot_id():
            return set()
        return {record["network"] for record in self._state["holders"].values()}


def _read_state(folder):
    try:
        state = json.loads((folder / ".lab" / "state.json").read_text())
    except (OSError, ValueError):
        return None
    return state if state.get("version") == VERSION else None


def _check_folder(folder):
    """A lab removes its folder: it must be one that it made."""
    if folder.is_symlink():
        raise LabError(f"{folder} is a symbolic link; name the folder itself")
    if not folder.exists():
        if not folder.parent.is_dir():
            raise LabError(f"there is no folder {folder.parent}")
        return
    if not folder.is_dir() or folder.stat().st_uid != os.geteuid():
        raise LabError(f"{folder} is not a folder of ours")
    if any(folder.iterdir()) and not (folder / ".lab").is_dir():
        raise LabError(f"{folder} holds files and no lab; name another folder")


def _cgroup_folder(folder):
    for mount in map(pathlib.Path, CGROUP_MOUNTS):
        if (mount / "cgroup.procs").exists() and (mount / "cgroup.subtree_control").exists():
            return mount / f"kzlab-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    return None


def _remove_cgroups(folder):
    top = _cgroup_folder(folder)
    if top is None or not top.exists():
        return
    for path, _, _ in os.walk(top, topdown=False):
        _remove_cgroup(path)


def _remove_cgroup(path, timeout=5):
    """The kernel counts a process that has just ended for a moment longer."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"{path}: {error.strerror}") from None
            time.sleep(0.01)
