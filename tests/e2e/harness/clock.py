"""The lines of the guest's kz-clock, and what they prove: none is lost, none is printed twice, and how long it stood
still."""
import re
from dataclasses import dataclass

STRAGGLERS = 3
TICK = re.compile(r"tick (\d+) (\d+\.\d{3})(?!\d)")


@dataclass(frozen=True)
class Tick:
    moment: float  # time.monotonic() when the line came
    sequence: int
    guest_time: float  # the guest's own clock


def ticks_of(lines):
    """Of (moment, text) lines, as Terminal.lines() gives them. What is typed meanwhile is shown wherever it came:
    a ^C before a tick, a command between a tick and the end of its line."""
    found = ((moment, TICK.search(text.replace("^C", ""))) for moment, text in lines)
    return [Tick(moment, int(match[1]), float(match[2])) for moment, match in found if match]


def check_consecutive(ticks):
    """AssertionError where a tick is missing or comes again."""
    check_increasing(ticks)
    for earlier, later in zip(ticks, ticks[1:]):
        if later.sequence > earlier.sequence + 1:
            raise AssertionError(f"lines lost: tick {later.sequence} follows tick {earlier.sequence}")


def check_increasing(ticks):
    for earlier, later in zip(ticks, ticks[1:]):
        if later.sequence <= earlier.sequence:
            raise AssertionError(f"lines repeated: tick {later.sequence} follows tick {earlier.sequence}")


def longest_gap_ms(ticks, interval_ms, since=0.0, until=float("inf")):
    """The longest time that the clock stood still within the span: what neighbouring ticks took beyond what they are
    meant to. A line or two that left the machine only when it was ended do not split that time in two."""
    gaps = [(later.moment - earlier.moment) * 1000 - interval_ms * (later.sequence - earlier.sequence)
            for index, earlier in enumerate(ticks) for later in ticks[index + 1:index + 1 + STRAGGLERS + 1]
            if later.moment >= since and earlier.moment <= until]
    return max(0.0, max(gaps, default=0.0))
