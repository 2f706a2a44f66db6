"""What the end-to-end and fault tests share. Importing it makes the lab's modules importable too."""
import pathlib
import sys

sys.dont_write_bytecode = True
TESTS = pathlib.Path(__file__).resolve().parents[2]
for folder in (TESTS / "e2e", TESTS / "lab"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from .case import LabCase, wait_until  # noqa: E402
from .clock import Tick, check_consecutive, longest_gap_ms, ticks_of  # noqa: E402
from .consoles import Consoles  # noqa: E402
from .zone import Console, Zone  # noqa: E402

__all__ = ["Console", "Consoles", "LabCase", "Tick", "Zone", "check_consecutive", "longest_gap_ms", "ticks_of", "wait_until"]
