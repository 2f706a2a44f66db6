"""A zone of a test: configured for a lab, driven by the commands that an administrator types."""
import json
import re
import time

from kzlab import LabError

# One zone, one number: its address.
FIRST_ADDRESS = 100


class Console:
    """zlogin -C on a terminal, with the guest's shell on it."""

    def __init__(self, zone, node):
        self.prompt = re.escape(f"{zone.name}:") + r"[^ ]*# "
        self.terminal = node.terminal(["zlogin", "-C", zone.name])
        self.terminal.expect(re.escape(f"[Connected to zone '{zone.name}' console]"))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.terminal.close()

    def expect(self, pattern, timeout=60):
        return self.terminal.expect(pattern, timeout)

    def wait_prompt(self, timeout=90):
        self.expect(self.prompt, timeout)

    def start(self, command):
        """Types a command that goes on; its echo is passed over."""
        self.terminal.send_line(command)
        self.expect(re.escape(command) + r"\r*\n", 30)

    def run(self, command, timeout=60):
        """Types a command at the prompt and returns what it printed before the next prompt."""
        self.start(command)
        begin = self.terminal.position
        match = self.expect(self.prompt, timeout)
        return self.terminal.text[begin:match.start()].replace("\r", "")

    def interrupt(self):
        self.terminal.send("\x03")
        self.wait_prompt(30)

    def leave(self):
        self.terminal.send("\r~.")
        self.expect(r"console closed\]")
        return self.terminal.wait()


class Zone:
    """`disk` is a path or a storage URI, `suspend` a path; unless told otherwise both lie in the lab's shared folder.
    `extra` is further text for zonecfg."""

    def __init__(self, lab, name="ant1", number=1, node="node1", memory="256M", cpus=1, disk=None, suspend=None,
                 extra=""):
        self.lab = lab
        self.name = name
        self.home = node  # where commands go unless another node is named
        self.address = f"10.77.0.{FIRST_ADDRESS + number}"
        self.memory = memory
        self.cpus = cpus
        self.disk = disk or lab.shared / f"{name}.disk"
        self.suspend_path = suspend or lab.shared / f"{name}.suspend"
        self.extra = extra

    def configuration(self):
        """The commands of zonecfg, one a line."""
        storage = self.disk if re.match(r"[a-z]+:", str(self.disk)) else f"file://{self.disk}"
        lines = ["create -b", "set brand=linux-kz",
                 "add device", f"set storage={storage}", "set bootpri=0", "end",
                 "add anet", f"set allowed-address={self.address}/24", "end",
                 "add capped-memory", f"set physical={self.memory}", "end",
                 "add virtual-cpu", f"set ncpus={self.cpus}", "end"]
        if self.suspend_path != "none":
            lines += ["add suspend", f"set path={self.suspend_path}", "end"]
        return lines + [line for line in self.extra.splitlines() if line.strip()]

    def node(self, name=None):
        return self.lab.node(name or self.home)

    def zoneadm(self, *words, node=None, check=True, timeout=120, input=None):
        return self.node(node).run(["zoneadm", "-z", self.name, *words], check=check, timeout=timeout, input=input)

    def zonecfg(self, *words, node=None, check=True):
        return self.node(node).run(["zonecfg", "-z", self.name, *words], check=check)

    def configure(self, node=None):
        self.zonecfg("; ".join(self.configuration()), node=node)

    def install(self, size="128M"):
        self.zoneadm("install", "-m", "mini", "-x", f"install-size={size}", timeout=300)

    def boot(self, node=None, wait=True):
        self.zoneadm("boot", node=node)
        if wait:
            with self.console(node) as console:
                console.wait_prompt()

    def create(self):
        """Configured, installed, booted to its prompt."""
        self.configure()
        self.install()
        self.boot()

    def console(self, node=None):
        return Console(self, self.node(node))

    def state(self, node=None):
        """(state, auxiliary state) as `zoneadm list` says; ("unknown", "") where no such zone is configured."""
        done = self.zoneadm("list", "-p", node=node, check=False)
        if done.returncode != 0:
            if "No such zone configured" in done.stderr:
                return "unknown", ""
            raise LabError(f"zoneadm list -p: status {done.returncode}\n{done.stderr}")
        fields = [column.replace("\\:", ":") for column in re.split(r"(?<!\\):", done.stdout.rstrip("\n"))]
        return fields[2], fields[9] if len(fields) > 9 else ""

    def wait_state(self, state, auxiliary=None, node=None, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            now = self.state(node)
            if now[0] == state and auxiliary in (None, now[1]):
                return
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} is {now} and not {(state, auxiliary)} after {timeout} s")
            time.sleep(0.05)

    def history(self, node=None):
        """The journal's entries of this zone on a host, oldest first."""
        return json.loads(self.zoneadm("history", "--json", node=node).stdout)
