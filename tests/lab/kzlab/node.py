"""One host of a lab: commands in it, terminals on it, its files."""
import os
import subprocess

from .namespaces import MARKER, LabError, is_process, socket_in_namespace_of
from .network import address_of
from .terminal import Terminal

# What of the caller's environment a node sees.
PASSED = ("HOME", "TERM", "TZ", "USER", "LOGNAME")
PASSED_PREFIXES = ("ASAN_", "UBSAN_", "TSAN_", "LSAN_", "KZ_")


class Node:
    def __init__(self, folder, name, record, binaries):
        self.name = name
        self.root = folder / name
        self.address = address_of(name)
        self.pid = record["pid"]
        self._started = record["started"]
        self._folder = folder
        self._binaries = binaries

    def alive(self):
        return is_process(self.pid, self._started)

    def environment(self, extra=None):
        kept = {key: value for key, value in os.environ.items()
                if key in PASSED or key.startswith(PASSED_PREFIXES)}
        return kept | {
            "PATH": f"{self._binaries}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "KZONES_ROOT": str(self.root),
            "PS1": f"{self.name}# ",
            MARKER: str(self._folder),
        } | (extra or {})

    def command(self, argv, cwd=None):
        """The argv that runs `argv` in the node."""
        if not self.alive():
            raise LabError(f"{self.name} of the lab in {self._folder} is not up")
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--uts=/proc/{self.pid}/ns/uts",
                f"--mount=/proc/{self.pid}/ns/mnt", f"--wdns={cwd or '/'}", "--", *map(str, argv)]

    def popen(self, argv, cwd=None, env=None, **options):
        return subprocess.Popen(self.command(argv, cwd), env=self.environment(env), **options)

    def run(self, argv, check=True, input=None, timeout=120, cwd=None, env=None):
        """Runs to the end and returns a subprocess.CompletedProcess with text. With `check`, a status other than 0
        is a LabError that shows the output. The command's standard input is `input`, or empty."""
        shown = f"{self.name}# {' '.join(map(str, argv))}"
        try:
            done = subprocess.run(self.command(argv, cwd), env=self.environment(env), input=input or "", text=True,
                                  errors="replace", capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{shown}\nnot done after {timeout} s\n{_text(error.stdout)}{_text(error.stderr)}") from None
        if check and done.returncode != 0:
            raise LabError(f"{shown}\nstatus {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def terminal(self, argv, cwd=None, env=None, rows=24, columns=100):
        """Runs `argv` on a terminal of its own."""
        return Terminal(self.command(argv, cwd), self.environment({"TERM": "dumb"} | (env or {})), rows, columns)

    def socket(self, *arguments):
        return socket_in_namespace_of(self.pid, *arguments)

    def path(self, inside):
        """Where a file is that the host calls `inside` ("var/log/zones/...")."""
        return self.root / str(inside).lstrip("/")


def _text(output):
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
