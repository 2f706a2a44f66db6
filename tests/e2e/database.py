"""A Debian zone with a PostgreSQL, and its clients outside the zone: pgbench, and sessions of psql.

Servers are installed on no host for this: psql is a client's, and pgbench, which Debian has in the server's package, is
taken out of the zone's own disk."""
import collections
import dataclasses
import hashlib
import os
import pathlib
import re
import select
import signal
import subprocess
import time

from harness.packages import default_cache
from install_test import content, debugfs

# Every client counts its own transactions: one that is lost leaves a hole, and a second one of a number is refused.
SCHEMA = "create table transfers (client int, number int, delta int not null, primary key (client, number))"
TRANSFER = """\\set number :number + 1
\\set account random(1, 100000)
\\set teller random(1, 10)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :account;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :teller;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
INSERT INTO transfers VALUES (:client_id, :number, :delta);
END;
"""
# The server listens before the zone has its address, and trusts the one client that there is.
COMMANDS = """
commands:
  - |
    for cluster in /etc/postgresql/*/main; do
        echo "listen_addresses = '*'" >$cluster/conf.d/lab.conf
        echo "host all postgres {client}/32 trust" >>$cluster/pg_hba.conf
    done
    runuser -u postgres -- /usr/lib/postgresql/*/bin/pg_checksums --enable -D /var/lib/postgresql/*/main
"""


def write_manifest(folder, client_address):
    """The shipped default with a database, in a file of the manifest's name; that changes with the text, so that no
    base of an earlier text is taken from the cache."""
    shipped = (default_cache().parent.parent / "share/kzones/manifests/default.yaml").read_text()
    text = shipped.replace("packages:\n", "packages:\n  - postgresql\n") + COMMANDS.format(client=client_address)
    name = f"database-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    file = pathlib.Path(folder) / f"{name}.yaml"
    file.write_text(text.replace("name: default", f"name: {name}"))
    return file


class ServerFiles:
    """What the server has on the zone's disk, as long as the zone is not up."""

    def __init__(self, disk):
        self._disk = disk
        # /inode/mode/user/group/name/size/
        self.version = re.search(r"^/\d+/\d+/0/0/(\d+)/", debugfs(disk, "ls -p /usr/lib/postgresql"), re.MULTILINE)[1]

    def take_program(self, name, folder):
        file = pathlib.Path(folder) / name
        debugfs(self._disk, f"dump /usr/lib/postgresql/{self.version}/bin/{name} {file}")
        file.chmod(0o755)
        return file

    def take_data(self, folder):
        debugfs(self._disk, f"rdump /var/lib/postgresql/{self.version}/main {folder}")
        return pathlib.Path(folder) / "main"

    def log(self):
        return content(self._disk, f"/var/log/postgresql/postgresql-{self.version}-main.log")


class Session:
    """A client's connection: psql, which ends with the first error or when the connection does."""

    def __init__(self, node, address):
        self.process = node.popen(["stdbuf", "-oL", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
                                   f"host={address} user=postgres dbname=postgres"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._asked = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)

    def ask(self, statement, timeout=120):
        """The rows that are the answer, one a line."""
        self.send(statement)
        return self.answer(timeout)

    def send(self, statement):
        self._asked += 1
        self.process.stdin.write(f"{statement};\nselect 'answer {self._asked}';\n".encode())
        self.process.stdin.flush()

    def answer(self, timeout=120):
        """To what was sent last."""
        end = f"answer {self._asked}\n"
        deadline = time.monotonic() + timeout
        text = ""
        while not text.endswith(end):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"{'the session ended' if ready else f'no {end.strip()} in {timeout} s'}\n{text}")
            text += data.decode()
        return text.removesuffix(end).rstrip("\n")


@dataclasses.dataclass(frozen=True)
class Transaction:
    client: int
    moment: float  # time.time() when the client had the answer to its COMMIT


class Pgbench:
    """Transfers by some clients, each with a connection of its own, until end() is called."""
    CLIENTS = 2

    def __init__(self, program, node, address, folder):
        self._program, self._node, self._folder = program, node, pathlib.Path(folder)
        self._server = ["-h", address, "-U", "postgres"]
        self._database = "postgres"
        self._process = None

    def fill(self):
        self._node.run([self._program, *self._server, "-i", "-q", "-s", "1", self._database], timeout=300)

    def start(self):
        script = self._folder / "transfer.sql"
        script.write_text(TRANSFER)
        with open(self._folder / "pgbench.out", "wb") as output:
            self._process = self._node.popen(
                [self._program, *self._server, "-n", "-c", str(self.CLIENTS), "-M", "prepared", "-T", "86400",
                 "-D", "number=0", "-f", script, "-l", f"--log-prefix={self._folder}/transactions", self._database],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def said(self):
        return (self._folder / "pgbench.out").read_text()

    def running(self):
        return self._process.poll() is None

    def end(self):
        """Ends it as its own timer would, and returns its status: 0 if no client had an error."""
        self._process.send_signal(signal.SIGALRM)
        return self._process.wait(120)

    def kill(self):
        if self._process is not None and self.running():
            self._process.kill()
            self._process.wait()

    def processed(self):
        """What pgbench says itself."""
        return int(re.search(r"^number of transactions actually processed: (\d+)", self.said(), re.MULTILINE)[1])

    def transactions(self):
        """Those that the clients know to be committed, in that order; after the end."""
        # client, number, microseconds, script, second and microsecond of the end
        (log,) = self._folder.glob("transactions.*")
        rows = [list(map(int, line.split()[:6])) for line in log.read_text().splitlines()]
        return sorted((Transaction(row[0], row[4] + row[5] / 1e6) for row in rows),
                      key=lambda transaction: transaction.moment)

    def count_by_client(self):
        return dict(collections.Counter(transaction.client for transaction in self.transactions()))
