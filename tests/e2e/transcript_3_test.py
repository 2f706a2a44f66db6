#!/usr/bin/python3
"""The third founding transcript: suspend and resume, watched on the console."""
import datetime
import pathlib
import re
import unittest

from harness import LabCase, Zone
from transcript import replay

SESSION = pathlib.Path(__file__).parent / "transcripts" / "3-suspend-resume.txt"
DATE = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]+ +\d+ \d\d:\d\d:\d\d UTC \d{4}"


class SuspendAndResume(LabCase):
    @classmethod
    def prepare(cls):
        cls.zone = Zone(cls.lab, "kzone1", suspend="none")
        cls.zone.create()
        cls.lab.node("node1").run(["mkdir", "-p", "/system/zones/kzone1"])

    def test_the_session_runs_line_for_line(self):
        shown = replay(SESSION, self.lab, {"DATE": DATE}, timeout=90)
        dates = [datetime.datetime.strptime(" ".join(text.split()), "%a %b %d %H:%M:%S UTC %Y")
                 for text in re.findall(DATE, shown["console"])]
        self.assertEqual(dates, sorted(dates), "the loop went back in time")
        self.assertGreaterEqual(len(dates), 3)


if __name__ == "__main__":
    unittest.main()
