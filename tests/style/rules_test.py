#!/usr/bin/python3
"""The style checks find what they are for."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import files  # noqa: E402
import layering  # noqa: E402


class Layering(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.write("base/error.h", "")
        self.write("crypto/tls.h", "")
        self.write("monitor/monitor.h", "")

    def write(self, name, text):
        file = self.top / "src" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def faults(self, name, text):
        return list(layering.check_file(self.top / "src", self.write(name, text)))

    def test_the_table_agrees_with_the_order(self):
        self.assertEqual(list(layering.check_table()), [])
        self.assertEqual(set(layering.ALLOWED), set(layering.ORDER))

    def test_a_floor_includes_what_is_below(self):
        self.assertEqual(self.faults("crypto/tls.cc", '#include "crypto/tls.h"\n#include <map>\n#include "base/error.h"\n'), [])

    def test_a_floor_above_is_refused(self):
        self.assertEqual(self.faults("base/a.cc", '\n#include "crypto/tls.h"\n'),
                         ['src/base/a.cc:2: floor base may not include "crypto/tls.h"'])

    def test_a_sibling_is_refused(self):
        self.assertEqual(len(self.faults("install/a.cc", '#include "monitor/monitor.h"\n')), 1)

    def test_only_crypto_names_openssl(self):
        self.assertEqual(len(self.faults("base/a.cc", "#include <openssl/evp.h>\n")), 1)
        self.assertEqual(self.faults("crypto/a.cc", "#include <openssl/evp.h>\n"), [])

    def test_a_missing_file_and_an_unknown_floor_are_refused(self):
        self.assertEqual(len(self.faults("base/a.cc", '#include "error.h"\n')), 1)
        self.assertEqual(len(self.faults("attic/a.cc", "")), 1)

    def test_a_ring_of_files_is_found(self):
        self.assertEqual(layering.find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}), ["b", "c", "b"])
        self.assertIsNone(layering.find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}))


class Files(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.top / "src/base").mkdir(parents=True)
        (self.top / "src/base/fd.h").write_text("")

    def faults(self, name, text, words=None):
        return [fault for _, fault in files.check_file(name, text, self.top, words or {})]

    def test_good_files_pass(self):
        self.assertEqual(self.faults("src/base/fd.h", "// Descriptors. For all.\n#pragma once\n"), [])
        self.assertEqual(self.faults("src/base/fd.cc", '#include "base/fd.h"\n\n#include <map>\n'), [])
        self.assertEqual(self.faults("tools/x", "#!/bin/bash\necho\n"), [])

    def test_forbidden_words_are_found(self):
        self.assertEqual(len(self.faults("README.md", "see http://mirror.example/x\n", {"mirror.example": "a host"})), 1)
        self.assertIn(f"{self.top}/", files.forbidden_words(self.top))
        self.assertNotIn("/tmp/", files.forbidden_words(pathlib.Path("/tmp/checkout")))

    def test_long_files_tabs_and_loose_ends_are_found(self):
        self.assertEqual(len(self.faults("src/base/a.cc", "int a;\n" * 801)), 1)
        self.assertEqual(self.faults("src/base/a.cc", "\tint a;\n"), ["a tab"])
        self.assertEqual(len(self.faults("a.py", "x = 1 \n")), 1)
        self.assertEqual(len(self.faults("a.py", "x = 1")), 1)

    def test_headers_and_their_users(self):
        self.assertEqual(len(self.faults("src/base/fd.h", "#pragma once\n")), 2)
        self.assertEqual(len(self.faults("src/base/fd.cc", '#include <map>\n#include "base/fd.h"\n')), 1)

    def test_interpreters(self):
        self.assertEqual(len(self.faults("x", "#!/usr/bin/env python\n")), 1)


if __name__ == "__main__":
    unittest.main(verbosity=1)
