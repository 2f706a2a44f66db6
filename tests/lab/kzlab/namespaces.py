"""The namespaces of a lab: who lives in them, and how to end them.

A lab's network namespaces are known by the kernel's cookie, which is never used twice, not by their inode, which is.
So clearing what a crashed lab left cannot hit another lab that was given the same inode since. Every process that
the lab starts also carries MARKER in its environment: a lab that died before it wrote its state is found by that.
"""
import ctypes
import os
import pathlib
import signal
import socket
import threading
import time

MARKER = "KZLAB_MEMBER"
CLONE_NEWNET = 0x40000000
SO_NETNS_COOKIE = 71
BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


class LabError(Exception):
    """Something about the lab itself, or a command in it, went wrong; the text says what."""


def boot_id():
    return BOOT_ID.read_text().strip()


def start_time(pid):
    """Clock ticks since boot at which the process started: with the pid it names one process for ever."""
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def is_process(pid, started):
    try:
        return start_time(pid) == started
    except (OSError, ValueError, IndexError):
        return False


def network_inode(pid):
    """None when the process has ended."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def socket_in_namespace_of(pid, *arguments):
    """A socket that belongs to the network namespace of `pid`; it keeps belonging to it wherever it is used."""
    result = []

    def create():  # a thread has a namespace of its own, and ours shall not change
        try:
            fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(fd, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                result.append(socket.socket(*arguments))
            finally:
                os.close(fd)
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


def network_cookie(pid):
    """None when the process has ended."""
    try:
        with socket_in_namespace_of(pid, socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
    except OSError:
        return None


def all_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_marked(pid, folder):
    try:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{MARKER}={folder}".encode() in environment.split(b"\0")


def find_members(folder, cookies):
    """The processes in the lab's namespaces: those whose namespace has one of `cookies`, or holds a marked process.
    Never one of the namespace of init, nor of our own."""
    spared = {network_inode("self"), network_inode(1)}
    by_inode = {}
    for pid in all_processes():
        inode = network_inode(pid)
        if inode is not None and inode not in spared:
            by_inode.setdefault(inode, []).append(pid)
    members = []
    for pids in by_inode.values():
        if any(_is_marked(pid, folder) for pid in pids) or (cookies and _has_cookie(pids, cookies)):
            members += pids
    return members


def _has_cookie(pids, cookies):
    for pid in pids:
        cookie = network_cookie(pid)
        if cookie is not None:
            return cookie in cookies
    return False


def end_members(folder, cookies, timeout=20):
    """Kills every process in the lab's namespaces and waits for their end, new ones included."""
    deadline = time.monotonic() + timeout
    while members := find_members(folder, cookies):
        if time.monotonic() > deadline:
            raise LabError(f"these processes of the lab do not end: {members}")
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
