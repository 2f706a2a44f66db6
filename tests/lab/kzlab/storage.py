"""The storage host of a lab: `storage1`, on a network of its own to which every node has a second wire.

    DIR/storage1/zones, DIR/storage1/suspend    what it exports by NFS, as /zones and /suspend: root of another host is
                                                nobody there, so both are open to everybody
    DIR/storage1/luns                           the files behind the LUNs of its iSCSI target, which has none at first:
                                                lab.storage.iscsi.add_lun(...)

A node that is cut from it still reaches its peers, and nothing tells it: its frames are dropped on the way, carrier
and all connections stay.
"""
from . import network
from .ganesha import Ganesha, export
from .target import Target

NAME = "storage1"
EXPORTS = ("/zones", "/suspend")


class StorageHost:
    def __init__(self, node, files, switch_pid):
        """`files`: the lab's folder for what the servers keep."""
        self.node = node
        self.nfs = Ganesha(node, files / "nfs", [export(path) for path in EXPORTS])
        self.iscsi = Target(node, node.root / "luns")
        self._switch_pid = switch_pid

    def start(self):
        for path in EXPORTS:
            folder = self.path(path)
            folder.mkdir()
            folder.chmod(0o1777)
            self.node.run(["sh", "-c", 'mkdir "$1" && mount --bind "$2" "$1"', "sh", path, folder])
        self.iscsi.start()
        self.nfs.start()

    def path(self, inside):
        """Where the file of an export is: "/zones/disk0"."""
        return self.node.root / inside.lstrip("/")

    def cut(self, name):
        """From now on nothing gets from the node to the storage host, nor back."""
        network.set_storage_port(self._switch_pid, name, "disabled")

    def restore(self, name):
        network.set_storage_port(self._switch_pid, name, "forwarding")

    def pause(self):
        """The host stays, and takes what arrives; its servers do nothing with it."""
        self.nfs.pause()
        self.iscsi.stop()

    def resume(self):
        self.nfs.resume()
        self.iscsi.go_on()

    def reap(self):
        """After the lab has ended all its processes."""
        self.nfs.reap()
        self.iscsi.reap()
