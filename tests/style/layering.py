#!/usr/bin/python3
"""Holds the include graph of src/ against the order of floors (DESIGN.md, section 3).

A floor may include itself and the floors that ALLOWED names, which are all below it. Nobody but crypto names OpenSSL or ipsec-mb.
Also: an include in quotes is spelled from src/ and exists, and the floors hold no cycle of files.

    layering.py [SOURCE_FOLDER]
"""
import pathlib
import re
import sys

ORDER = ("agent base os crypto zone zonecfg storage store qemu stream image migrate monitor install client rad cli bin").split()


def _below(floor, *without):
    return {other for other in ORDER[:ORDER.index(floor)] if other not in without}


ALLOWED = {
    "agent": set(),
    "base": set(),
    "os": {"base"},
    "crypto": {"base", "os"},
    "zone": {"base"},
    "zonecfg": {"base", "zone"},
    "storage": {"base", "os", "crypto", "zone"},
    "store": {"base", "os", "crypto", "zone", "zonecfg", "storage"},
    "qemu": {"base", "os", "zone", "storage"},
    "stream": {"base", "os", "crypto"},
    "image": {"base", "os", "crypto", "stream", "storage"},
    "migrate": {"base", "os", "crypto", "zone", "zonecfg", "storage", "store", "qemu", "stream", "image"},
    "monitor": _below("monitor"),
    "install": {"base", "os", "crypto", "zone", "storage"},
    "client": _below("client"),
    "rad": {"base", "os", "crypto", "zone", "zonecfg", "storage", "store", "stream", "migrate", "client"},
    "cli": {"agent", "base", "os", "zone", "zonecfg", "storage", "store", "migrate", "install", "client"},
    "bin": _below("bin"),
}
# Header folders of a library, and the one floor that may know them.
PRIVATE_HEADERS = {"openssl/": "crypto", "intel-ipsec-mb": "crypto"}
INCLUDE = re.compile(r'^[ \t]*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def check_table():
    for floor, allowed in ALLOWED.items():
        for other in allowed:
            if ORDER.index(other) >= ORDER.index(floor):
                yield f"the table lets {floor} include {other}, which is not below it"


def includes_of(file):
    text = file.read_text()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1] == '"', match[2]


def check_include(source, file, floor, quoted, name):
    for prefix, owner in PRIVATE_HEADERS.items():
        if name.startswith(prefix) and floor != owner:
            yield f"only src/{owner} may include <{prefix}...>"
    if not quoted:
        return
    target = name.split("/")[0]
    if not (source / name).is_file():
        yield f'"{name}" is not a file of src/ (includes are spelled "floor/file.h")'
    elif target != floor and target not in ALLOWED[floor]:
        yield f'floor {floor} may not include "{name}"'


def check_file(source, file):
    relative = file.relative_to(source)
    floor = relative.parts[0]
    if floor not in ALLOWED:
        yield f"{relative}: there is no floor '{floor}'"
        return
    for line, quoted, name in includes_of(file):
        for fault in check_include(source, file, floor, quoted, name):
            yield f"src/{relative}:{line}: {fault}"


def find_cycle(graph):
    """A list of files that include each other in a ring, or None."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for following in sorted(graph.get(node, ())):
            if cycle := visit(following):
                return cycle
        path.pop()
        done.add(node)
        return None

    for node in sorted(graph):
        if cycle := visit(node):
            return cycle
    return None


def main(arguments):
    top = pathlib.Path(arguments[1] if len(arguments) > 1 else pathlib.Path(__file__).resolve().parents[2])
    source = top / "src"
    files = sorted(file for file in source.rglob("*") if file.suffix in (".cc", ".h"))
    faults = list(check_table())
    for file in files:
        faults += check_file(source, file)
    graph = {str(file.relative_to(source)): {name for _, quoted, name in includes_of(file) if quoted} for file in files}
    if cycle := find_cycle(graph):
        faults.append(f"these include each other: {' -> '.join(cycle)}")
    for fault in faults:
        print(fault)
    print(f"{len(files)} files, {len(faults)} faults")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
