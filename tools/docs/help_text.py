"""What a program's help says: its synopsis, and its sub-commands with their options. Read from `PROGRAM help` or
`PROGRAM --help`, in the form that src/cli/help_text.h prints."""
import dataclasses
import re
import subprocess

TIMEOUT = 30  # seconds
WORD = r"[a-z][a-z0-9-]*"
# What a usage says in place of a name of the user's.
PLACEHOLDERS = {"cipher", "dir", "file"}
# An option, and what one blank after it is not another option, a bracket or a bar: its argument.
OPTION = re.compile(r"(?<![\w:-])(-[A-Za-z]+|--[a-z][a-z-]*)(?: (?!-)([^\s\[\]{}|][^\s\[\]{}]*))?")


@dataclasses.dataclass
class Entry:
    """A sub-command."""
    name: str
    usage: list  # lines
    description: str

    @property
    def text(self):
        return " ".join(self.usage)

    def options(self):
        """{option: the words it may be followed by, or None when it takes no argument}"""
        found = {}
        for option, argument in OPTION.findall(self.text):
            self._add(found, option, argument)
        return found

    @staticmethod
    def _add(found, option, argument):
        if option.startswith("--") or len(option) == 2:
            words = found.setdefault(option, None if not argument else [])
            if argument:
                found[option] = (words or []) + [word for word in _words(argument, option == "-x") if word not in (words or [])]
            return
        for letter in option[1:]:  # several flags in one word
            found.setdefault("-" + letter, None)

    def operands(self):
        """Words that stand for themselves behind the sub-command: incomplete|unavailable."""
        rest = re.sub(r"\[[^\[\]]*\]", " ", self.usage[0]).split()
        return _words(rest[1]) if len(rest) > 1 and "|" in rest[1] and not rest[1].startswith("-") else []


def _words(argument, literal=False):
    """auto|live|warm -> [auto, live, warm]; MS, manifest -> []. Of -x a single word stands for itself too."""
    parts = argument.rstrip(".").split("|")
    if len(parts) == 1 and not literal:
        return []
    return [re.sub(r"=.*", "=", part) for part in parts if re.fullmatch(rf"{WORD}(=\S*)?", part) and part not in PLACEHOLDERS]


@dataclasses.dataclass
class Help:
    program: str
    synopsis: list  # lines
    entries: list
    text: str  # what follows the synopsis when there are no entries


def run(program, *words):
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    if done.returncode != 0:
        raise SystemExit(f"{program.name} {' '.join(words)}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def read_help(program):
    """The help of a program: pathlib.Path."""
    synopsis, _, rest = run(program, "--help" if program.name in WITHOUT_HELP_COMMAND else "help").partition("\n\n")
    lines = [line.strip() for line in re.sub(r"^usage:", "", synopsis).splitlines()]
    own = []
    while lines and lines[0].startswith(program.name):
        own.append(lines.pop(0))
    rest = "\n".join(lines) + rest if lines else rest
    return Help(program.name, own, list(_entries(program.name, rest)), rest)


WITHOUT_HELP_COMMAND = {"zlogin", "kz-radd", "kz-migrd", "kz-zones"}


def _entries(program, text):
    usage, description = [], []
    for line in text.splitlines():
        if line.startswith("\t    "):
            usage.append(line.strip())
        elif line.startswith("\t"):
            description.append(line.strip())
        elif line.strip():
            if usage:
                yield Entry(_name(usage), usage, " ".join(description))
            usage, description = [line.strip()], []
    if usage and description:
        yield Entry(_name(usage), usage, " ".join(description))


def _name(usage):
    return usage[0].split()[0]
