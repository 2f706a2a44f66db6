"""What the cases of bench/run share.

A case is a module in bench/cases with TITLE and run(context), which returns a list of Tables.
"""
import json
import os
import platform
import statistics
import subprocess

CIPHERS = ("aes-128-gcm", "aes-256-gcm", "aes-128-ccm", "chacha20-poly1305")


class Context:
    """How a case runs programs and how much of it."""

    def __init__(self, build, quick, scale=1.0, crowded=False):
        self.build = build
        self.quick = quick
        self.crowded = crowded  # other machines may run here
        self._scale = scale

    def size(self, megabytes):
        """Of a machine, or of what is filled of it; even."""
        return int(megabytes * self._scale) // 2 * 2

    def program(self, name, *words, prefix=()):
        """The one line of JSON that a program of bench/programs answers with; None when it says that it cannot.
        `prefix`: words before the command, to run it somewhere else."""
        command = [*prefix, self.build / "bench" / name, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 1 and not done.stdout:
            return None
        done.check_returncode()
        return json.loads(done.stdout)

    def rounds(self, count, members):
        """Runs every member of `members` ({name: function}) in turn, `count` times; {name: [answers]}. A member whose
        first answer is None is left out."""
        answers = {name: [] for name in members}
        for _ in range(count):
            for name in list(answers):
                answer = members[name]()
                if answer is None:
                    del answers[name]
                else:
                    answers[name].append(answer)
        return answers


def median(values):
    return statistics.median(values)


def spread(values):
    """(highest - lowest) / median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


class Targets:
    """What is to be reached, and whether it was: a table of its own."""

    def __init__(self):
        self.table = Table("to reach", ["measured", "target", ""])

    def at_most(self, what, measured, limit):
        self.table.add(what, measured, f"<= {limit}", "reached" if measured <= limit else "NOT reached")

    def at_least(self, what, measured, limit):
        self.table.add(what, measured, f">= {limit}", "reached" if measured >= limit else "NOT reached")


def middles(answers):
    """{what: median} of a member's answers."""
    return {what: median([answer[what] for answer in answers]) for what in answers[0]}


class Table:
    """Rows of a name and values; a value is a number, a string or None."""

    def __init__(self, title, columns):
        self.title = title
        self.columns = columns
        self.rows = []

    def add(self, name, *values):
        assert len(values) == len(self.columns)
        self.rows.append((name, values))

    @staticmethod
    def _show(value):
        if value is None:
            return "-"
        if isinstance(value, float):
            return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
        return str(value)

    def text(self):
        lines = [["", *self.columns]] + [[name, *map(self._show, values)] for name, values in self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        shown = [self.title]
        for line in lines:
            cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            shown.append("  " + "  ".join(cells).rstrip())
        return "\n".join(shown)

    def data(self):
        return {"title": self.title, "rows": [{"name": name, **dict(zip(self.columns, values))} for name, values in self.rows]}


def load():
    """The load of the last minute: what else this machine did."""
    return round(os.getloadavg()[0], 2)


def _first_match(file, key):
    try:
        with open(file) as lines:
            for line in lines:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return "unknown"


def machine():
    """Whose figures these are."""
    flags = _first_match("/proc/cpuinfo", "flags").split()
    known = [flag for flag in ("aes", "vaes", "vpclmulqdq", "avx2", "avx512f", "sha_ni") if flag in flags]
    memory = int(_first_match("/proc/meminfo", "MemTotal").split()[0]) // 1024
    with open("/etc/os-release") as release:
        system = dict(line.rstrip().split("=", 1) for line in release if "=" in line).get("PRETTY_NAME", "Linux").strip('"')
    return {
        "cpu": f"{os.cpu_count()} x {_first_match('/proc/cpuinfo', 'model name')} ({' '.join(known)})",
        "memory": f"{memory} MiB",
        "system": f"{system}, Linux {platform.release()}, {platform.machine()}",
        "load": f"{load()} in the last minute",
    }
