#!/usr/bin/python3
"""Rules for every file of the project that a compiler or formatter does not know.

- no host of a package mirror (read from this machine's own apt set-up) and no path of this checkout
- C++ files have at most MAX_LINES lines
- a header has `#pragma once` and opens with a comment that says what it is for
- a .cc file includes its own header first
- no tabs or blanks at ends of lines; text ends with a newline
- programs in scripts start with an interpreter that every Debian has

    files.py [SOURCE_FOLDER]
"""
import pathlib
import re
import subprocess
import sys

MAX_LINES = 800
CODE = (".cc", ".h", ".c")
TEXT = CODE + (".py", ".sh", ".md", ".txt", ".yaml", ".cfg", ".json", ".cmake", "")
INTERPRETERS = {"#!/bin/sh", "#!/bin/bash", "#!/usr/bin/python3", "#!/bin/busybox sh"}
OWN_INCLUDE = re.compile(r'^#include\s+["<]([^">]+)[">]', re.MULTILINE)
# Folders of every Debian: a path below one of them names no particular machine.
COMMON_FOLDERS = {"/", "/usr", "/usr/src", "/opt", "/srv", "/home", "/root", "/tmp"}


def project_files(top):
    listed = subprocess.run(["git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:  # an unpacked archive
        names = [str(file.relative_to(top)) for file in top.rglob("*") if file.is_file()]
        names = [name for name in names if not name.startswith(("build/", ".git/"))]
    return sorted(name for name in set(names) if (top / name).is_file() and not (top / name).is_symlink())


def mirror_hosts():
    """The hosts that apt fetches from. Debian's own public names may be written anywhere."""
    text = ""
    for folder in ("/etc/apt/sources.list.d",):
        for file in pathlib.Path(folder).glob("*"):
            text += file.read_text(errors="replace") + "\n"
    for file in ("/etc/apt/sources.list", *map(str, pathlib.Path("/etc/apt/apt.conf.d").glob("*"))):
        if pathlib.Path(file).is_file():
            text += pathlib.Path(file).read_text(errors="replace") + "\n"
    hosts = set(re.findall(r"https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)", text))
    return {host for host in hosts if not host.endswith(("debian.org", "localhost"))}


def forbidden_words(top):
    words = {host: "a host of a package mirror" for host in mirror_hosts()}
    for folder in (top, top.parent):
        if str(folder) not in COMMON_FOLDERS:
            words[f"{folder}/"] = "a path of this machine"
    return words


def check_words(text, words):
    for word, kind in words.items():
        position = text.find(word)
        if position >= 0:
            yield text.count("\n", 0, position) + 1, f"holds {kind}"


def check_text(text):
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "does not end with a newline"
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
            return


def check_code(name, text, top):
    lines = text.count("\n")
    if lines > MAX_LINES:
        yield lines, f"{lines} lines; {MAX_LINES} is the most"
    if "\t" in text:
        yield text.count("\n", 0, text.index("\t")) + 1, "a tab"
    path = pathlib.PurePath(name)
    if path.suffix == ".h":
        if "\n#pragma once\n" not in text:
            yield 1, "no #pragma once"
        if not text.startswith(("//", "/*")):
            yield 1, "a header opens with a comment that says what it is for and who may use it"
    if path.suffix == ".cc" and path.parts[0] == "src":
        own = "/".join(path.with_suffix(".h").parts[1:])
        first = OWN_INCLUDE.search(text)
        if (top / "src" / own).is_file() and (first is None or first[1] != own):
            yield 1, f'does not include "{own}" first'


def check_program(text):
    first = text.split("\n", 1)[0]
    if first.startswith("#!") and not any(first == known or first.startswith(known + " ") for known in INTERPRETERS):
        yield 1, f"starts with {first}, which is not one of {', '.join(sorted(INTERPRETERS))}"


def check_file(name, text, top, words):
    path = pathlib.PurePath(name)
    yield from check_words(text, words)
    yield from check_program(text)
    if path.suffix in CODE:
        yield from check_code(name, text, top)
    golden = not {"data", "corpus", "transcripts"}.isdisjoint(path.parts)
    if path.suffix in TEXT and not golden:
        yield from check_text(text)


def main(arguments):
    top = pathlib.Path(arguments[1] if len(arguments) > 1 else pathlib.Path(__file__).resolve().parents[2]).resolve()
    words = forbidden_words(top)
    faults = 0
    names = project_files(top)
    for name in names:
        text = (top / name).read_bytes().decode(errors="replace")
        for line, fault in check_file(name, text, top, words):
            print(f"{name}:{line}: {fault}")
            faults += 1
    print(f"{len(names)} files, {faults} faults")
    return 1 if faults or not names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
