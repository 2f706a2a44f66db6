#!/usr/bin/python3
"""The systemd units: systemd itself checks them, and says how exposed each service is.

    systemd_units.py FOLDER

FOLDER holds the units as they are installed. Status 77 (skipped), said aloud, where systemd-analyze is missing.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HIGHEST_EXPOSURE = 2.6
SKIPPED = 77


def exposure(unit):
    """The number of `systemd-analyze security`, 0 (confined) to 10."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
                          capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    if not found:
        raise SystemExit(f"{unit.name}: systemd-analyze security said nothing: {done.stdout}{done.stderr}")
    return float(found[1])


def faults_of_verify(folder):
    """What systemd does not understand in the units; the programs that they name need not be installed."""
    with tempfile.TemporaryDirectory() as temp:
        copies = []
        for unit in sorted(folder.glob("kz-*.*")):
            copy = pathlib.Path(temp) / unit.name
            copy.write_text(re.sub(r"^(ExecStart|ExecStop)=.*", r"\1=/bin/true", unit.read_text(), flags=re.MULTILINE))
            copies.append(str(copy))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True,
                              timeout=60, check=False)
        return [line for line in done.stderr.splitlines() if "kz-" in line]


def main():
    folder = pathlib.Path(sys.argv[1])
    services = sorted(folder.glob("*.service"))
    if not services:
        raise SystemExit(f"no units in {folder}")
    if not shutil.which("systemd-analyze"):
        print("SKIPPED: systemd-analyze is not installed (package systemd): nobody has judged the units")
        return SKIPPED
    faults = faults_of_verify(folder)
    for unit in services:
        value = exposure(unit)
        print(f"{unit.name}: exposure {value}")
        if value >= HIGHEST_EXPOSURE:
            faults.append(f"{unit.name}: exposure {value} is not below {HIGHEST_EXPOSURE}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
