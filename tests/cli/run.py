#!/usr/bin/python3
"""Runs the declarative tests of the commands: run.py --bin DIR FILE.test...

A .test file is a story: its blocks run in order on one host of their own (a temporary KZONES_ROOT), with DIR first on
the PATH. A line is blank, a comment (#), or a directive; text that follows a directive on lines indented by four
blanks belongs to it, empty lines between those included.

  Before the first block:
    REQUIRES root | NAME...      the file is skipped (status 77) without root's rights, or without these programs
    SETUP COMMAND                a shell command that must succeed

  A block:
    NAME text                    what is shown
    RUN COMMAND                  a shell command (in the temporary folder; $ROOT is the host's root)
    STDIN text                   its input; none: /dev/null
    EXPECT text                  its whole stdout, exactly; without any EXPECT there must be none
    EXPECT_HAS text              each of these lines occurs somewhere in a line of stdout
    EXPECT_REGEX pattern         all of stdout, without its last newline, matches ('.' matches newlines, too)
    STDERR, STDERR_HAS, STDERR_REGEX   the same for stderr
    EXIT number                  its exit status (0)
    TIMEOUT seconds              (30)

  A block on a terminal has TTY instead of RUN, and the dialogue as it is to be seen:
    TTY COMMAND
        zonecfg:ant1> [[create -b]]
        zonecfg:ant1> [[cre^I-b|create -b]]
        zonecfg:ant1> [[^D]]
  What is in [[ ]] is typed, once all before it has been seen. ^X is a control character; unless the text ends with
  one, a newline is typed after it. Behind '|' stands what is seen of it, when that is not what was typed. Trailing
  blanks of a line do not count. EXIT and TIMEOUT may be given.

$ROOT in an expectation stands for the root. The first block that fails ends the file.
"""

import argparse
import errno
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

SKIPPED = 77
FILE_DIRECTIVES = {"REQUIRES", "SETUP"}
BLOCK_DIRECTIVES = {"RUN", "TTY", "STDIN", "EXIT", "TIMEOUT", "EXPECT", "EXPECT_HAS", "EXPECT_REGEX",
                    "STDERR", "STDERR_HAS", "STDERR_REGEX"}
INPUT = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


class Malformed(Exception):
    """The .test file itself is wrong."""


class Failure(Exception):
    """A block did not do what it should."""


def parse(path):
    """The directives before the first block, and the blocks: each a dict of directive to text."""
    head, blocks = {}, []
    last, blanks = None, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("    ") and last is not None:
            owner, name = last
            owner[name] = (owner[name] + "\n" if owner[name] else "") + blanks + line[4:]
            blanks = ""
            continue
        if not line.strip():
            blanks += "\n"
            continue
        blanks = ""
        if line.startswith("#"):
            last = None
            continue
        name, _, text = line.partition(" ")
        if name == "NAME":
            blocks.append({"NAME": text})
            last = None
            continue
        owner = blocks[-1] if blocks else head
        if name not in (BLOCK_DIRECTIVES if blocks else FILE_DIRECTIVES):
            raise Malformed(f"{path}:{number}: '{name}' has no place here")
        owner[name] = (owner[name] + "\n" + text) if name in owner else text
        last = (owner, name)
    for block in blocks:
        if ("RUN" in block) == ("TTY" in block):
            raise Malformed(f"{path}: block '{block['NAME']}' needs one of RUN and TTY")
    return head, blocks


def missing_requirement(head):
    for word in head.get("REQUIRES", "").split():
        if word == "root" and os.geteuid() != 0:
            return "root's rights"
        if word != "root" and shutil.which(word) is None:
            return word
    return None


def check_stream(block, name, actual, root):
    """Compares what was printed with the directives of this stream, EXPECT or STDERR."""
    def wanted(suffix):
        return block[name + suffix].replace("$ROOT", root)

    label = "stdout" if name == "EXPECT" else "stderr"
    shown = f"{label} was:\n{actual}"
    for line in wanted("_HAS").splitlines() if name + "_HAS" in block else []:
        if not any(line in printed for printed in actual.splitlines()):
            raise Failure(f"'{line}' is not in {label}\n{shown}")
    if name + "_REGEX" in block and not re.fullmatch(wanted("_REGEX"), actual.removesuffix("\n"), re.DOTALL):
        raise Failure(f"{label} does not match {wanted('_REGEX')}\n{shown}")
    is_partial = name + "_HAS" in block or name + "_REGEX" in block
    exact = wanted("") if name in block else None if is_partial else ""
    if exact is not None and actual != (exact + "\n" if exact else ""):
        raise Failure(f"{label} should be:\n{exact}\n{shown}")


def check_status(block, status):
    expected = int(block.get("EXIT") or 0)
    if status != expected:
        raise Failure(f"the exit status is {status}, not {expected}")


def end_group(process):
    """Ends what a block has left running in its own session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_block(block, environment, folder):
    timeout = float(block.get("TIMEOUT") or 30)
    stdin = block["STDIN"] + "\n" if "STDIN" in block else None
    process = subprocess.Popen(
        ["/bin/sh", "-c", block["RUN"]], cwd=folder, env=environment, start_new_session=True, text=True,
        errors="replace", stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        end_group(process)
        out, err = process.communicate()
        raise Failure(f"not done after {timeout:g} s\nstdout was:\n{out}\nstderr was:\n{err}") from None
    root = environment["ROOT"]
    try:
        check_status(block, process.returncode)
    except Failure as failure:
        raise Failure(f"{failure}\nstdout was:\n{out}\nstderr was:\n{err}") from None
    check_stream(block, "EXPECT", out, root)
    check_stream(block, "STDERR", err, root)


def control_characters(text):
    return re.sub(r"\^([@-_])", lambda match: chr(ord(match.group(1)) - 64), text)


def parse_dialogue(text):
    """[(what is seen, what is then typed or None, what is seen of that)] in order."""
    steps, position = [], 0
    for match in INPUT.finditer(text):
        typed, _, seen = match.group(1).partition("|")
        ends_itself = re.search(r"\^[@-_]$", typed)
        keys = control_characters(typed) + ("" if ends_itself else "\n")
        steps.append((text[position:match.start()], keys, seen or ("" if ends_itself else typed)))
        position = match.end()
    steps.append((text[position:], None, ""))
    return steps


def render(raw):
    """What a terminal of unlimited size shows: carriage returns, backspaces and escape sequences applied."""
    raw = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()=>].?)", "", raw)
    lines, column = [[]], 0
    for char in raw:
        if char == "\n":
            lines.append([])
            column = 0
        elif char == "\r":
            column = 0
        elif char == "\b":
            column = max(0, column - 1)
        elif char >= " ":
            line = lines[-1]
            line.extend(" " * (column - len(line)))
            line[column:column + 1] = [char]
            column += 1
        elif char == "\t":
            column += 8 - column % 8
    return "\n".join("".join(line).rstrip() for line in lines)


class Terminal:
    def __init__(self, command, environment, folder):
        self.raw = b""
        self.ended = False
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve("/bin/sh", ["/bin/sh", "-c", "exec " + command], environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))

    def screen(self):
        return render(self.raw.decode(errors="replace"))

    def read_some(self, deadline):
        """False when nothing more comes before the deadline."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            chunk = os.read(self.fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            chunk = b""
        self.raw += chunk
        self.ended = not chunk
        return not self.ended

    def wait_for(self, expected, deadline):
        while self.screen() != expected:
            if not self.read_some(deadline):
                raise Failure(f"the terminal should show:\n{expected}\nit shows:\n{self.screen()}")

    def wait_for_end(self, deadline):
        while not self.ended:
            if not self.read_some(deadline) and not self.ended:
                raise Failure(f"the command does not end; the terminal shows:\n{self.screen()}")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        os.close(self.fd)
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def without_trailing_blanks(text):
    return "\n".join(line.rstrip() for line in text.split("\n"))


def run_terminal_block(block, environment, folder):
    command, _, dialogue = block["TTY"].partition("\n")
    deadline = time.monotonic() + float(block.get("TIMEOUT") or 30)
    terminal = Terminal(command, environment, folder)
    seen = ""
    try:
        for text, keys, typed in parse_dialogue(dialogue.replace("$ROOT", environment["ROOT"])):
            seen += text
            if keys is not None:
                terminal.wait_for(without_trailing_blanks(seen), deadline)
                os.write(terminal.fd, keys.encode())
            seen += typed
        status = terminal.wait_for_end(deadline)
        wanted = without_trailing_blanks(seen).rstrip("\n")
        if terminal.screen().rstrip("\n") != wanted:
            raise Failure(f"the terminal should show:\n{wanted}\nit shows:\n{terminal.screen()}")
        check_status(block, status)
    finally:
        terminal.close()


def run_file(path, bin_folder):
    head, blocks = parse(path)
    missing = missing_requirement(head)
    if missing:
        print(f"{path.name}: skipped: needs {missing}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="kz-cli-") as folder:
        root = os.path.join(folder, "root")
        os.mkdir(root)
        environment = {"PATH": f"{bin_folder}:{os.environ.get('PATH', '/usr/bin:/bin:/usr/sbin:/sbin')}",
                       "KZONES_ROOT": root, "ROOT": root, "HOME": folder, "TERM": "dumb", "LC_ALL": "C.UTF-8",
                       "RUNNER": f"{os.path.abspath(__file__)} --bin {bin_folder}"}
        for command in head.get("SETUP", "").splitlines():
            subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=environment, check=True, timeout=120)
        for block in blocks:
            try:
                (run_block if "RUN" in block else run_terminal_block)(block, environment, folder)
            except Failure as failure:
                print(f"FAILED {path.name}: {block['NAME']}\n{failure}")
                return 1
            print(f"ok     {path.name}: {block['NAME']}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path, help="the folder with the programs")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    results = []
    for path in options.files:
        try:
            results.append(run_file(path, options.bin.resolve()))
        except Malformed as problem:
            print(problem)
            results.append(2)
    sys.exit(max((r for r in results if r != SKIPPED), default=SKIPPED))


if __name__ == "__main__":
    main()
