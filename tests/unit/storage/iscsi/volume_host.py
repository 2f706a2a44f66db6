"""A host of the lab that uses volumes: talks to iscsi_tool on it."""
import contextlib
import json
import os
import subprocess
import threading

TOOL = os.environ["KZ_ISCSI_TOOL"]


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class VolumeHost:
    """One initiator; a context manager. Requests are answered one after the other."""

    def __init__(self, node, folder, initiator="iqn.2026-11.org.kzones:test", timeout=5000):
        self.folder = folder
        self.chap = folder / "iscsi-chap"
        self.portals = folder / "iscsi-portals"
        folder.mkdir(parents=True, exist_ok=True)
        self._node = node
        self._argv = [TOOL, initiator, self.chap, self.portals, timeout]
        self._tool = None

    def __enter__(self):
        self._tool = self._node.popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self._tool.stdin.close()
        try:
            self._tool.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._tool.kill()
            self._tool.wait()
        self._tool.stdout.close()
        assert self._tool.returncode == 0, f"iscsi_tool ended with {self._tool.returncode}"

    @property
    def pid(self):
        return self._tool.pid

    def ask(self, do, **request):
        self._tool.stdin.write(json.dumps({"do": do} | request) + "\n")
        self._tool.stdin.flush()
        line = self._tool.stdout.readline()
        if not line:
            raise AssertionError(f"iscsi_tool ended: {self._tool.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"], answer["message"])
        return answer

    def open(self, suri, name="v"):
        return self.ask("open", suri=suri, name=name)

    def read(self, offset, size, name="v"):
        return bytes.fromhex(self.ask("read", offset=offset, size=size, name=name)["data"])

    def write(self, offset, data, name="v"):
        self.ask("write_durable", offset=offset, data=data.hex(), name=name)

    def compare_and_write(self, offset, expected, data, name="v"):
        return self.ask("compare_and_write", offset=offset, expected=expected.hex(), data=data.hex(), name=name)["done"]

    def discover(self, portal):
        return self.ask("discover", portal=portal)["volumes"]

    def set_chap(self, text, mode=0o600):
        self.chap.write_text(text)
        self.chap.chmod(mode)


class Later(threading.Thread):
    """A call in a thread of its own, whose result or exception is fetched later."""

    def __init__(self, call):
        super().__init__()
        self._call = call
        self._result = None
        self._error = None
        self.start()

    def run(self):
        try:
            self._result = self._call()
        except Exception as error:  # noqa: BLE001  (raised again by get)
            self._error = error

    def get(self):
        self.join()
        if self._error is not None:
            raise self._error
        return self._result

@contextlib.contextmanager
def refused(case, code, *words):
    """A context in which a request is refused, with all of `words` in its message."""
    with case.assertRaises(Refused) as caught:
        yield
    case.assertEqual(caught.exception.code, code, caught.exception.message)
    for word in words:
        case.assertIn(word, caught.exception.message)
