#!/usr/bin/python3
"""How kz-agent gets into systems: the scripts of a seed's vendor data and of the package for Debian, themselves, where
mounts and systemd are pretended.

    guest_agent_test.py SHARE_FOLDER"""
import gzip
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[3] / "guest/agent"
# What the scripts run; each call is a line of the file "calls".
PROGRAMS = {
    "systemctl": 'case "$*" in cat*) test -e "$at/known" ;; *is-enabled*) test ! -e "$at/disabled" ;; esac',
    "mount": 'for folder; do :; done; test ! -e "$at/nothing" && cp "$at"/seed/* "$folder"',
    "umount": 'rm -f "$1"/*',
    "blkid": "echo /dev/vda3",
    "restorecon": "",
    "chcon": "",
}
# Folders of the host that they would write to are the test's own, in a mount namespace.
ROOT = """set -e
at=$1; shift
for folder in /etc/systemd/system /usr/local/sbin /usr/sbin /opt /var/lib; do mount --bind "$at/root$folder" "$folder"; done
for folder; do mount -o remount,bind,ro "$folder"; done
mount --bind "$at/root/run" /run
PATH="$at/programs:$PATH" exec $script
"""
ENABLED = ["systemctl daemon-reload", "systemctl --quiet enable kz-agent.service", "systemctl --no-block start kz-agent.service"]


class ScriptCase(unittest.TestCase):
    def setUp(self):
        self.at = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for folder in ("run/systemd/system", "etc/systemd/system", "usr/local/sbin", "usr/sbin", "opt", "var/lib"):
            (self.root / folder).mkdir(parents=True)
        for name, text in PROGRAMS.items():
            file = self.at / "programs" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f'#!/bin/sh\nat={self.at}\necho "{name} $*" >>"$at/calls"\n{text}\n')
            file.chmod(0o755)

    @property
    def root(self):
        return self.at / "root"

    def run_script(self, script, *read_only):
        """What it says; it never fails."""
        done = subprocess.run(["unshare", "-r", "-m", "/bin/sh", "-c", ROOT, "sh", str(self.at), *read_only],
                              env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "script": script}, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def calls(self, program="systemctl"):
        calls = (self.at / "calls").read_text().splitlines() if (self.at / "calls").exists() else []
        return [call for call in calls if call.startswith(f"{program} ")]

    def files(self):
        return sorted(str(file.relative_to(self.root)) for file in self.root.rglob("*") if file.is_file())


class VendorData(ScriptCase):
    def setUp(self):
        super().setUp()
        (self.at / "seed").mkdir()
        self.put_program((SHARE / "kz-agent").read_bytes())
        shutil.copy(SHARE / "kz-agent.service", self.at / "seed/kz-agent-service")

    def put_program(self, content):
        (self.at / "seed/kz-agent-gz").write_bytes(gzip.compress(content))

    def start(self, *read_only, shell="sh"):
        said = self.run_script(f"{shell} {SHARE}/vendor-data", *read_only)
        self.assertEqual(list((self.root / "run").glob("kz-*")), [])
        return said

    def check_installed(self, folder, shell="sh", read_only=()):
        self.assertEqual(self.start(*read_only, shell=shell), f"kz-agent: installed as {folder}/kz-agent\n")
        program = self.root / folder.lstrip("/") / "kz-agent"
        self.assertEqual(program.read_bytes(), (SHARE / "kz-agent").read_bytes())
        self.assertEqual(program.stat().st_mode & 0o7777, 0o755)
        unit = self.root / "etc/systemd/system/kz-agent.service"
        self.assertEqual(unit.read_text(),
                         (SHARE / "kz-agent.service").read_text().replace("=/usr/sbin/kz-agent", f"={folder}/kz-agent"))
        self.assertEqual(len(self.files()), 2)
        self.assertEqual(self.calls()[-3:], ENABLED)

    def check_left(self, pattern, *read_only):
        before = self.files()
        self.assertRegex(self.start(*read_only), rf"^kz-agent: {pattern}\n$")
        self.assertEqual(self.files(), before)
        self.assertFalse(set(self.calls()) & set(ENABLED))

    def test_it_installs_with_each_shell_that_may_be_sh(self):
        for shell in ("dash", "bash --posix"):
            with self.subTest(shell):
                for file in self.files():
                    (self.root / file).unlink()
                self.check_installed("/usr/local/sbin", shell)

    def test_once_is_enough(self):
        self.check_installed("/usr/local/sbin")
        (self.at / "calls").unlink()
        self.check_left("this system has it: /etc/systemd/system/kz-agent.service")

    def test_folders_that_are_read_only(self):
        self.check_installed("/opt/kzones", read_only=("/usr/local/sbin", "/usr/sbin"))
        self.assertIn("chcon -t bin_t /opt/kzones/kz-agent", self.calls("chcon"))
        self.assertTrue(any("restorecon -F /opt/kzones/kz-agent" in call for call in self.calls("restorecon")))

    def test_nowhere_to_put_it(self):
        self.check_left("not installed: it does not run here, or .*", "/usr/local/sbin", "/usr/sbin", "/opt", "/var/lib")

    def test_a_program_that_does_not_run(self):
        self.put_program(b"\x7fELF of another machine")
        self.check_left("not installed: it does not run here, or .*")
        (self.at / "seed/kz-agent-gz").write_bytes(b"damaged")
        self.check_left("not installed: it does not run here, or .*")
        self.assertEqual(list((self.root / "opt").iterdir()), [])

    def test_no_systemd(self):
        shutil.rmtree(self.root / "run/systemd")
        self.check_left("not installed: this system is not run by systemd")

    def test_what_the_system_has_is_left(self):
        (self.root / "usr/sbin/kz-agent").write_text("of a package")
        self.check_left("this system has it: /usr/sbin/kz-agent")
        (self.root / "usr/sbin/kz-agent").unlink()
        (self.at / "known").touch()
        self.check_left("this system has it")

    def test_no_seed(self):
        (self.at / "nothing").touch()
        self.check_left("not installed: no partition 'cidata' has it")


class Package(ScriptCase):
    PROGRAM = "usr/local/sbin/kz-agent"
    UNIT = "etc/systemd/system/kz-agent.service"

    def place(self):
        """What a seed has left."""
        (self.root / self.PROGRAM).write_text("of the seed")
        (self.root / self.UNIT).write_text(
            (SHARE / "kz-agent.service").read_text().replace("/usr/sbin/kz-agent", f"/{self.PROGRAM}"))

    def script(self, name, *words):
        self.run_script(" ".join(["/bin/sh", str(SOURCE / "package" / name), *words]))
        return [call.removeprefix("systemctl ").removeprefix("--quiet ").split()[0] for call in self.calls()]

    def test_a_new_one_is_started(self):
        self.assertEqual(self.script("postinst", "configure"), ["enable", "daemon-reload", "is-enabled", "restart"])

    def test_an_upgrade_leaves_what_is_disabled(self):
        (self.at / "disabled").touch()
        self.assertEqual(self.script("postinst", "configure", "0.0.9"), ["daemon-reload", "is-enabled"])

    def test_in_an_image_that_is_being_made(self):
        shutil.rmtree(self.root / "run/systemd")
        self.assertEqual(self.script("postinst", "configure"), ["enable"])

    def test_it_takes_the_place_of_what_a_seed_has_left(self):
        self.place()
        self.assertEqual(self.script("postinst", "configure"),
                         ["is-enabled", "enable", "daemon-reload", "is-enabled", "restart"])
        self.assertEqual(self.files(), [])

    def test_also_if_that_is_disabled(self):
        self.place()
        (self.at / "disabled").touch()
        self.assertEqual(self.script("postinst", "configure"), ["is-enabled", "daemon-reload", "is-enabled"])
        self.assertEqual(self.files(), [])

    def test_what_somebody_else_has_written_stays(self):
        (self.root / self.UNIT).write_text("[Service]\nExecStart=/usr/local/sbin/kz-agent --mine\n")
        (self.root / self.PROGRAM).write_text("mine")
        self.script("postinst", "configure")
        self.assertEqual(self.files(), [self.UNIT, self.PROGRAM])

    def test_removal(self):
        self.assertEqual(self.script("prerm", "upgrade", "0.2"), [])
        self.assertEqual(self.script("prerm", "remove"), ["disable", "stop"])

    def test_equal_input_gives_equal_bytes(self):
        made = sorted(SHARE.glob("kz-agent_*.deb"), key=lambda file: file.stat().st_mtime)
        if not made:
            self.skipTest("there is no dpkg-deb where it was built")
        again = self.at / "again.deb"
        subprocess.run([SOURCE / "make_package.sh", SHARE, made[-1].name.split("_")[1], self.at, again], check=True,
                       umask=0o077)
        self.assertEqual(again.read_bytes(), made[-1].read_bytes())


if __name__ == "__main__":
    SHARE = pathlib.Path(sys.argv.pop(1)) / "guest/agent"
    unittest.main()
