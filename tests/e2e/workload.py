"""The guest's workload of the tests: a fast clock and a memory load on the console, and what they prove together."""
import re
import uuid

from harness import check_consecutive, ticks_of, wait_until

CLOCK = "kz-clock -i 10"
BOOTING = "[NOTICE: Zone booting up]"


def fresh_prompt(console):
    """Passes over all history: the guest's shell answers now."""
    word = f"now-{uuid.uuid4().hex[:8]}-"
    console.terminal.send_line(f"echo {word}$((6*7))")
    console.expect(word + "42\r*\n")
    console.wait_prompt()


def memory_pattern(page, memload_pass, words=8):
    """The first words of a page of kz-memload -x after that pass, as bytes."""
    mask = (1 << 64) - 1

    def mix(value):
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & mask
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB & mask
        return value ^ (value >> 31)

    base = (page << 32) ^ (memload_pass + 1)
    return b"".join(mix((base * 512 + word) & mask).to_bytes(8, "little") for word in range(words))


class Workload:
    """Runs on a console that stays connected. Only what came since the guest last booted counts."""

    def __init__(self, console, memload="kz-memload -m 48 -r 20"):
        self.console = console
        console.start(f"{CLOCK} & {memload}")
        console.expect(r"memload pass \d+ pages \d+ ok")

    def lines(self):
        lines = self.console.terminal.lines()
        boots = [index for index, (_, text) in enumerate(lines) if BOOTING in text]
        return lines[boots[-1]:] if boots else lines

    def ticks(self):
        """All of them; AssertionError when one is missing or came twice."""
        lines = self.lines()
        ticks = ticks_of(lines)
        try:
            check_consecutive(ticks)
        except AssertionError as error:
            sequence = re.search(r"\d+$", str(error))[0]
            index = next(index for index, (_, text) in enumerate(lines) if f"tick {sequence} " in text)
            shown = "\n".join(repr(text) for _, text in lines[max(index - 6, 0):index + 6])
            raise AssertionError(f"{error}; around it:\n{shown}") from None
        return ticks

    def wait_ticks(self, count, timeout=60):
        """Waits for so many more ticks and for the memory load's next word, and checks both."""
        first = ticks_of(self.lines())[-1].sequence
        wait_until(lambda: ticks_of(self.lines())[-1].sequence >= first + count, f"{count} ticks", timeout)
        self.console.terminal.expect(r"memload pass \d+ pages \d+ ok", timeout)
        self.check_memory()
        return self.ticks()

    def check_memory(self):
        failures = [text for _, text in self.lines() if "MEMLOAD FAILED" in text]
        if failures:
            raise AssertionError(failures[0])
