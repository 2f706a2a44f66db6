#!/usr/bin/python3
"""The man pages and the completions that the build has made: they are well-formed, and say what the programs know.

    docs_test.py BIN SHARE
"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "docs"))
from help_text import Entry, read_help  # noqa: E402

COMPLETED = ("zoneadm", "suriadm", "sysconfig")


def output(*words, stdin=None):
    return subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


class ManPages(unittest.TestCase):
    def test_well_formed(self):
        pages = sorted((SHARE / "man").glob("*.8"))
        self.assertGreaterEqual(len(pages), 7)
        for page in pages:
            with self.subTest(page=page.name):
                shown = output("groff", "-man", "-ww", "-Tutf8", "-Kutf8", str(page))
                self.assertEqual((shown.returncode, shown.stderr), (0, ""))

    def test_hold_all_subcommands(self):
        for program in COMPLETED:
            page = (SHARE / "man" / f"{program}.8").read_text()
            for entry in read_help(BIN / program).entries:
                self.assertIn("\\fB" + entry.name.replace("-", "\\-"), page)


class Bash(unittest.TestCase):
    def complete(self, *words):
        """What the shell offers for the last word."""
        script = (f"source {SHARE}/completions/bash/kzones; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
                  f"COMP_CWORD={len(words) - 1}; _kzones; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        done = output("bash", "--norc", "-c", script)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_subcommands(self):
        self.assertEqual(self.complete("zoneadm", "-z", "web1", "mig"), ["migrate"])
        names = {entry.name for entry in read_help(BIN / "zoneadm").entries}
        self.assertLessEqual(names, set(self.complete("zoneadm", "")))

    def test_options_and_their_words(self):
        self.assertIn("--max-pause", self.complete("zoneadm", "-z", "web1", "migrate", "--m"))
        self.assertEqual(self.complete("zoneadm", "-z", "web1", "migrate", "-t", "w"), ["warm"])
        self.assertIn("discard-image", self.complete("zoneadm", "-z", "web1", "boot", "-x", ""))
        self.assertEqual(self.complete("zoneadm", "mark", "inc"), ["incomplete"])
        self.assertEqual(self.complete("suriadm", "lookup-u"), ["lookup-uri"])


class OtherShells(unittest.TestCase):
    def test_syntax(self):
        for shell, files in (("zsh", [SHARE / "completions/zsh/_kzones"]),
                             ("fish", sorted((SHARE / "completions/fish").glob("*.fish")))):
            self.assertTrue(shutil.which(shell), f"{shell} is not there: tools/setup installs it")
            for file in files:
                done = output(shell, "-n", str(file))
                self.assertEqual((done.returncode, done.stderr), (0, ""), file)

    def test_fish_offers(self):
        offered = output("fish", "--no-config", "-c",
                         f"source {SHARE}/completions/fish/zoneadm.fish; complete -C 'zoneadm migrate -t '").stdout
        self.assertEqual({"auto", "live", "warm", "cold"}, set(re.findall(r"^\w+", offered, re.MULTILINE)))


class Usage(unittest.TestCase):
    """The reader of help texts."""

    def test_options(self):
        entry = Entry("migrate", ["migrate [-nq] [-t auto|live] [--max-pause MS] [-x a-word] [-x other-word[=ID,...]] host"], "")
        self.assertEqual(entry.options(), {"-n": None, "-q": None, "-t": ["auto", "live"], "--max-pause": [],
                                           "-x": ["a-word", "other-word"]})
        self.assertEqual(Entry("mark", ["mark incomplete|unavailable"], "").operands(), ["incomplete", "unavailable"])


if __name__ == "__main__":
    BIN, SHARE = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    del sys.argv[1:3]
    unittest.main()
