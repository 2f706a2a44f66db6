"""A real sshd on a host of a lab, and an ssh that knows nothing but what the lab gives it.

Everything lies in DIR/NODE/ssh of the lab: host keys, authorized_keys, the configuration of both. The server listens
in the host's own network namespace, and what root of that host runs by it finds the host's KZONES_ROOT."""
import os
import shutil
import socket
import subprocess

from harness import wait_until

SSHD = "/usr/sbin/sshd"
PORT = 22


def _make_key(file):
    file.unlink(missing_ok=True)
    file.with_suffix(".pub").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", file.name, "-f", file], check=True,
                   stdin=subprocess.DEVNULL)
    return file.with_suffix(".pub").read_text()


class Sshd:
    """The server of one host; a context manager."""

    def __init__(self, node):
        self.node = node
        self.folder = node.path("ssh")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.public_key = self.renew_host_key()
        self.authorized = self.folder / "authorized_keys"
        self.authorized.write_text("")
        environment = node.environment()
        self._configuration = self.folder / "sshd_config"
        self._configuration.write_text(f"""\
ListenAddress {node.address}:{PORT}
HostKey {self.folder / "host_key"}
PidFile none
AuthorizedKeysFile {self.authorized}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv KZONES_ROOT={environment["KZONES_ROOT"]} PATH={environment["PATH"]}
""")
        self._server = None

    def renew_host_key(self):
        return _make_key(self.folder / "host_key")

    def __enter__(self):
        self.node.run(["mkdir", "-p", "/run/sshd"])  # where sshd locks its unprivileged part up
        with open(self.folder / "sshd.log", "ab") as log:
            self._server = self.node.popen([SSHD, "-D", "-e", "-f", self._configuration], stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
        wait_until(self._answers, f"sshd on {self.node.name}", 15)
        return self

    def _answers(self):
        if self._server.poll() is not None:
            raise AssertionError(f"sshd did not start: {(self.folder / 'sshd.log').read_text()}")
        with self.node.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return probe.connect_ex((self.node.address, PORT)) == 0

    def __exit__(self, *exception):
        self._server.terminate()
        self._server.wait()

    def restart(self):
        self.__exit__()
        self.__enter__()


class SshClient:
    """How root of a host uses ssh: a key of its own, which `servers` let in, and known_hosts of its own."""

    def __init__(self, node, servers):
        self.folder = node.path("ssh-client")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        public = _make_key(self.folder / "id_ed25519")
        self.known_hosts = self.folder / "known_hosts"
        for server in servers:
            with open(server.authorized, "a", encoding="utf-8") as file:
                file.write(public)
        self.know(servers)
        (self.folder / "config").write_text(f"""\
UserKnownHostsFile {self.known_hosts}
GlobalKnownHostsFile none
IdentityFile {self.folder / "id_ed25519"}
IdentitiesOnly yes
IdentityAgent none
HashKnownHosts no
CheckHostIP no
{"".join(f'''
Host alias-of-{server.node.name}
HostName {server.node.name}
HostKeyAlias {server.node.name}
''' for server in servers)}""")
        wrapper = self.folder / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder / "config"} "$@"\n')
        wrapper.chmod(0o755)
        self.environment = {"KZONES_SSH": str(wrapper)}

    def know(self, servers):
        self.known_hosts.write_text("".join(f"{server.node.name} {server.public_key}" for server in servers))


def available():
    return os.path.exists(SSHD) and shutil.which("ssh") is not None
