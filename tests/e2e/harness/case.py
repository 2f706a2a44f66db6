"""LabCase: tests that share a lab, and show what its hosts logged when they fail."""
import sys
import time
import unittest

from kzlab import Lab

from .packages import ensure_packages

LOG_TAIL = 60  # lines


def wait_until(condition, what, timeout=30):
    """Waits for condition() to be true and returns what it gave."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not in {timeout} s")
        time.sleep(0.02)
    return value


class LabCase(unittest.TestCase):
    """Tests in one lab; a class sets `nodes`, `services` when its zones move between them, `storage` when it needs the
    storage host, and `aliases` for further names of hosts. A test leaves zones as it found them, or uses one of its
    own."""
    nodes = ("node1",)
    services = False
    storage = False
    aliases = None
    packages = True
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cache = ensure_packages() if cls.packages else None
        cls.lab = cls.enterClassContext(Lab(nodes=cls.nodes, cache=cache, storage=cls.storage, aliases=cls.aliases))
        if cls.services:
            cls.lab.trust()
            cls.lab.services()
        try:
            cls.prepare()
        except BaseException:
            show_logs(cls.lab)
            raise

    @classmethod
    def prepare(cls):
        """What the tests of the class share, such as a booted zone."""

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            show_logs(self.lab)
        return result


def show_logs(lab):
    for name in lab.names:
        for file in sorted(lab.node(name).path("var/log/zones").rglob("*")):
            if not file.is_file() or file.name == "journal.jsonl":
                continue
            lines = file.read_text(errors="replace").splitlines()[-LOG_TAIL:]
            print(f"--- {name}: {file.name}", *lines, sep="\n", file=sys.stderr)
