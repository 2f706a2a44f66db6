"""A program on a terminal: what a user at a screen does, with the moment at which each piece of output came."""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

from .namespaces import LabError


class TerminalTimeout(LabError):
    """What was expected did not come in time."""


class TerminalClosed(LabError):
    """The program ended before what was expected came."""


class Terminal:
    def __init__(self, argv, environment, rows, columns):
        self.argv = argv
        self._text = ""
        self._lines = []  # complete ones
        self._line = b""  # what has come of the next
        self._seen = 0  # what expect() has gone past
        self._open = True
        self._changed = threading.Condition()
        self._wake_read, self._wake_write = os.pipe()  # closing the write end ends the reader
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        try:
            self._process = subprocess.Popen(["setsid", "--ctty", *argv], stdin=slave, stdout=slave, stderr=slave,
                                             env=environment)
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _read(self):
        tail = b""
        while True:
            ready, _, _ = select.select([self._master, self._wake_read], [], [])
            try:
                data = os.read(self._master, 65536) if self._master in ready else b""
            except OSError:  # EIO: nobody has the terminal open any more
                data = b""
            now = time.monotonic()
            with self._changed:
                if not data:
                    self._open = False
                    self._changed.notify_all()
                    return
                *ended, rest = data.split(b"\n")
                for piece in ended:
                    self._lines.append((now, (self._line + piece).decode(errors="replace").rstrip("\r")))
                    self._line = b""
                self._line += rest
                tail += data
                whole = len(tail) - _incomplete_suffix(tail)
                self._text += tail[:whole].decode(errors="replace")
                tail = tail[whole:]
                self._changed.notify_all()

    @property
    def text(self):
        """All output so far."""
        with self._changed:
            return self._text

    def is_open(self):
        """False when the program has ended and all its output was read."""
        with self._changed:
            return self._open

    @property
    def position(self):
        """Where in `text` the last match of expect() ended."""
        return self._seen

    def expect(self, pattern, timeout=30):
        """Waits until `pattern` (a regular expression) stands in the output after the last match; returns the match.
        TerminalTimeout and TerminalClosed show what stood there instead."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = expression.search(self._text, self._seen)
                if match:
                    self._seen = match.end()
                    return match
                rest = self._text[self._seen:]
                if not self._open:
                    raise TerminalClosed(f"{self._name()} ended before /{pattern}/ came; it had printed:\n{rest[-4000:]}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TerminalTimeout(f"{self._name()}: no /{pattern}/ in {timeout} s; there is:\n{rest[-4000:]}")
                self._changed.wait(left)

    def send(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self._master, data):]

    def send_line(self, text=""):
        """As typed, with the Enter key."""
        self.send(text + "\r")

    def resize(self, rows, columns):
        """As a window that is dragged: the program gets SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def lines(self):
        """Complete lines of the output so far: (time at which the end of the line came, text)."""
        with self._changed:
            return list(self._lines)

    def wait(self, timeout=30):
        """Waits for the program's end and returns its status."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TerminalTimeout(f"{self._name()} did not end in {timeout} s; its last output:\n"
                                  f"{self.text[-4000:]}") from None
        self._reader.join(5)
        return status

    def close(self):
        """Hangs up, as closing a window does; kills what does not heed that."""
        if self._process.poll() is None:
            for number in (signal.SIGHUP, signal.SIGKILL):
                try:
                    os.killpg(self._process.pid, number)
                    self._process.wait(2)
                    break
                except subprocess.TimeoutExpired:
                    continue
                except ProcessLookupError:
                    break
            self._process.wait()
        if self._master >= 0:
            os.close(self._wake_write)
            self._reader.join()
            os.close(self._wake_read)
            os.close(self._master)
            self._master = -1

    def _name(self):
        words = self.argv[self.argv.index("--") + 1:] if "--" in self.argv else self.argv
        return " ".join(words)


def _incomplete_suffix(data):
    """The number of bytes at the end that begin a UTF-8 character without ending it."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return back if length > back else 0
    return 0
