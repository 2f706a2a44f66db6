"""A real NFS server on a host of the lab: rpcbind and nfs-ganesha, NFS version 3 over TCP.

Their sockets and locks are below /run, which every host of a lab has for itself."""
import socket
import subprocess
import time

from .daemon import Daemon

NFS_PORT = 2049
PORTMAPPER_PORT = 111

CONFIGURATION = """\
NFS_CORE_PARAM {{
    Protocols = 3;
    Enable_UDP = false;
    Enable_NLM = false;
    Enable_RQUOTA = false;
    NFS_Port = {port};
}}
NFS_KRB5 {{
    Active_krb5 = false;
}}
NFSv4 {{
    Graceless = true;
    RecoveryRoot = {state};
}}
{exports}"""
EXPORT = """\
EXPORT {{
    Export_Id = {number};
    Path = {path};
    Pseudo = {path};
    Access_Type = {access};
    Squash = {squash};
    PrivilegedPort = {reserved_ports};
    SecType = sys;
    FSAL {{
        Name = VFS;
    }}
}}
"""


def export(path, access="RW", squash="Root_Squash", reserved_ports=False):
    """A folder of the host, as the host sees it."""
    return {"path": path, "access": access, "squash": squash, "reserved_ports": str(reserved_ports).lower()}


class Ganesha:
    def __init__(self, node, folder, exports, port=NFS_PORT):
        """`folder`: for configuration, log and state; its own. `exports`: what export() returns."""
        self.node = node
        self.exports = list(exports)
        self.port = port
        self._numbers = {}  # of every path that was ever exported: file handles hold them
        self._folder = folder
        self._rpcbind = Daemon(node, folder / "rpcbind")
        self._server = Daemon(node, folder / "ganesha")

    def start(self, timeout=30):
        deadline = time.monotonic() + timeout
        (self._folder / "state").mkdir(parents=True, exist_ok=True)
        self._rpcbind.start(["rpcbind", "-f"])
        self._rpcbind.wait_until(lambda: self._listens(PORTMAPPER_PORT), deadline)
        self._start_server(deadline)

    def stop(self):
        self._server.stop()
        self._rpcbind.stop()

    def reap(self):
        self._server.reap()
        self._rpcbind.reap()

    def pause(self):
        """The server answers nothing any more, while its host takes packets for it."""
        self._server.freeze()

    def resume(self):
        self._server.thaw()

    def restart(self, timeout=30):
        """Ends the NFS server, not the portmapper, and starts it with what `exports` and `port` are now."""
        self._server.stop()
        self._start_server(time.monotonic() + timeout)

    def log(self):
        return self._server.log()

    def _start_server(self, deadline):
        for each in self.exports:
            self._numbers.setdefault(each["path"], len(self._numbers) + 1)
        exports = "".join(EXPORT.format(number=self._numbers[each["path"]], **each) for each in self.exports)
        (self._folder / "ganesha.conf").write_text(
            CONFIGURATION.format(port=self.port, state=self._folder / "state", exports=exports))
        self._server.start(["ganesha.nfsd", "-F", "-f", self._folder / "ganesha.conf", "-L", "STDERR",
                            "-p", "/run/ganesha.pid"])
        self._server.wait_until(self._serves, deadline)

    def _listens(self, port):
        with self.node.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _serves(self):
        """The portmapper knows both its services, and it answers: it registers before it is ready."""
        return all(subprocess.run(self.node.command(["rpcinfo", "-T", "tcp", "127.0.0.1", program, "3"]),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env=self.node.environment(), check=False).returncode == 0
                   for program in ("100003", "100005"))
