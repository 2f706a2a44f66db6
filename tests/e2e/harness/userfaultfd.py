"""Whether zones of this machine may run before their memory is there."""
import pathlib

PERMISSION = pathlib.Path("/proc/sys/vm/unprivileged_userfaultfd")


def allow_userfaultfd(case):
    """As share/sysctl.d does on a host where kzones is installed; until the class has ended."""
    before = PERMISSION.read_text()
    case.addClassCleanup(lambda: PERMISSION.write_text(before))
    PERMISSION.write_text("1")
