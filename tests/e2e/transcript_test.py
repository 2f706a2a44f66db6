#!/usr/bin/python3
"""The replayer of transcripts tells a session that is as shown from one that is not."""
import unittest

import harness  # noqa: F401
from kzlab import Lab
from kzlab.screen import displayed

import transcript


class Screen(unittest.TestCase):
    def test_line_editors_leave_what_the_user_sees(self):
        self.assertEqual(displayed("one\r\ntwo"), "one\ntwo")
        self.assertEqual(displayed("abX\bc\r\n"), "abc\n")
        self.assertEqual(displayed("\x1b[6nprompt> l\r\x1b[Kprompt> ls\r\n"), "prompt> ls\n")
        self.assertEqual(displayed("ab\x1b[3Dxy\x1b[1C!"), "xy !")


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab(nodes=("node1",)))

    def replay(self, text, **options):
        file = self.lab.folder / "session.txt"
        file.write_text(text)
        return transcript.replay(file, self.lab, **options)

    def test_a_session_as_shown(self):
        shown = self.replay("% two terminals\n@one node1\n# cat\n< hello\\r\nhello\nhello\n@two node1\n"
                            "# echo '   7 a'; echo b; echo b\n{{ +\\d+}} a\n+ b\n# hostname\n${HOST}\n#\n"
                            "@one\n< \\x04\n# exit\n", replacements={"HOST": "node1"})
        self.assertIn("node1\n# ", shown["two"])

    def test_any_lines_between(self):
        self.replay("@one node1\n# seq 1 9\n1\n...\n8\n9\n# seq 1 3\n...\n# exit\n")

    def test_other_output_is_refused(self):
        for expected in ("1\n2", "1\n2\n3\n4", "1\n2\n{{[a-z]}}", "...\n2"):
            with self.assertRaisesRegex(transcript.TranscriptError, "(?s)line 2, terminal one: expected.*but there is"):
                self.replay(f"@one node1\n# seq 1 3\n{expected}\n# exit\n", timeout=0.3)

    def test_output_is_waited_for_across_terminals(self):
        self.replay("@one node1\n# read -r x </tmp/kzlab-pipe; echo got $x\n@two node1\n# echo fish >/tmp/kzlab-pipe\n#\n"
                    "@one\ngot fish\n#\n".replace("/tmp/kzlab-pipe", self.pipe()))

    def pipe(self):
        path = self.lab.folder / "pipe"
        self.lab.node("node1").run(["mkfifo", path])
        return str(path)

    def test_a_program_with_a_line_editor(self):
        self.replay("@one node1\n# /usr/bin/python3 -q\n< print(6 * 7)\\r\n...\n42\n< \\x04\n...\n# exit\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
