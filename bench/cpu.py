"""CPU seconds of all that bench/run started, whoever its parent has become.

bench/run works in a child: its own process is where the child's descendants end up that leave their parents (daemons
do), and waits for them. So what each process used is in /proc as long as it lives, and in the account of who waited for
it afterwards; that includes machines that ended within the span that is measured.
"""
import ctypes
import os
import pathlib
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
TICK = os.sysconf("SC_CLK_TCK")


def work_in_child(main):
    """Runs main() in a child and ends with its status."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    sys.stdout.flush()
    worker = os.fork()
    if worker == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        sys.exit(main())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child has it too, and clears up
    while True:
        pid, status = os.wait()
        if pid == worker:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _processes():
    """{pid: (parent, CPU seconds of its own, of its children who have ended)}"""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = pathlib.Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        own, children = (sum(map(int, fields[at:at + 2])) / TICK for at in (11, 13))
        found[int(name)] = (int(fields[1]), own, children)
    return found


def _below(processes, top):
    children = {}
    for pid, (parent, *_) in processes.items():
        children.setdefault(parent, []).append(pid)
    found, todo = [], [top]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def total():
    """Of all that was started so far but bench/run itself; take differences. Exact to some 10 ms."""
    seconds, members = _account()
    while True:
        # Who ends while /proc is read may be seen neither there nor in its parent's account.
        again, members_again = _account()
        if members_again == members:
            return seconds
        seconds, members = again, members_again


def _account():
    processes = _processes()
    ours = [os.getppid(), *_below(processes, os.getppid())]
    spared = (os.getppid(), os.getpid())
    return sum(processes[pid][2] + (0 if pid in spared else processes[pid][1]) for pid in ours), set(ours)


class Frozen:
    """Processes that stand still while others are measured."""

    def __init__(self, pids):
        self._pids = list(pids)

    def __enter__(self):
        self._signal(signal.SIGSTOP)
        return self

    def __exit__(self, *exception):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for pid in self._pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
