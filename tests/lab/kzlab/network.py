"""The wires of a lab: a switch, one more for storage, and what hangs on them.

    switch namespace:  bridge kzswitch -- port-NODE === uplink (in the node's namespace)
                       bridge kzstorage -- san-NODE === storage (in the node's namespace)
    zone host:         uplink in bridge kzbr0, which carries the host's address; zones' taps join kzbr0
    client:            uplink carries the address
    storage host:      storage carries the address
"""
import subprocess

from .namespaces import LabError

PREFIX = "10.77.0"
BRIDGE = "kzbr0"
SWITCH = "kzswitch"
STORAGE_PREFIX = "10.78.0"
STORAGE_SWITCH = "kzstorage"
STORAGE_HOST = "storage1"
# The last byte of the address. node1..node40 follow from 11.
FIXED_HOSTS = {"client": 2, STORAGE_HOST: 10}
FIRST_NODE = 11
# No spanning tree and no snooping: a port forwards from its first moment, and every frame goes everywhere.
BRIDGE_OPTIONS = "forward_delay 0 stp_state 0 mcast_snooping 0"


def host_number(name):
    if name in FIXED_HOSTS:
        return FIXED_HOSTS[name]
    digits = name.removeprefix("node")
    if not digits.isdigit() or not 1 <= int(digits) <= 40:
        raise LabError(f"'{name}' is not a name of a host: node1 to node40, storage1, client")
    return FIRST_NODE - 1 + int(digits)


def address_of(name):
    return f"{STORAGE_PREFIX if name == STORAGE_HOST else PREFIX}.{host_number(name)}"


def hosts_file(names, aliases):
    """`aliases`: name of host -> further names of it."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [" ".join([address_of(name), name, *aliases.get(name, ())]) for name in names]
    return "\n".join(lines) + "\n"


def _ip_batch(pid, lines):
    done = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"],
                          input="\n".join(lines) + "\n", capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"ip: {done.stderr.strip()}")


def wire_switch(switch_pid, holders):
    """`holders`: name of host -> pid of its holder."""
    lines = [f"link add {SWITCH} type bridge {BRIDGE_OPTIONS}", f"link set {SWITCH} up"]
    for name, pid in holders.items():
        lines += [f"link add port-{name} type veth peer name uplink netns {pid}",
                  f"link set port-{name} master {SWITCH} up"]
    _ip_batch(switch_pid, lines)


def wire_host(name, pid, bridged):
    address = f"{address_of(name)}/24"
    lines = ["link set lo up"]
    if bridged:
        # With an address of its own the bridge does not take on that of each tap that joins.
        mac = f"02:6b:7a:00:00:{host_number(name):02x}"
        lines += [f"link add {BRIDGE} address {mac} type bridge {BRIDGE_OPTIONS}",
                  f"link set uplink master {BRIDGE} up", f"link set {BRIDGE} up",
                  f"addr add {address} dev {BRIDGE}"]
    else:
        lines += ["link set uplink up", f"addr add {address} dev uplink"]
    _ip_batch(pid, lines)


def wire_storage(switch_pid, holders):
    """A network for storage beside the other, and everybody's second (the storage host's only) wire to it."""
    lines = [f"link add {STORAGE_SWITCH} type bridge {BRIDGE_OPTIONS}", f"link set {STORAGE_SWITCH} up"]
    for name, pid in holders.items():
        lines += [f"link add san-{name} type veth peer name storage netns {pid}",
                  f"link set san-{name} master {STORAGE_SWITCH} up"]
    _ip_batch(switch_pid, lines)
    for name, pid in holders.items():
        _ip_batch(pid, ["link set lo up", "link set storage up",
                        f"addr add {STORAGE_PREFIX}.{host_number(name)}/24 dev storage"])


def set_storage_port(switch_pid, name, state):
    """"disabled" drops every frame from and to the host, without a sign of it; "forwarding" ends that."""
    done = subprocess.run(["nsenter", f"--net=/proc/{switch_pid}/ns/net", "bridge", "link", "set", "dev",
                           f"san-{name}", "state", state], capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"bridge: {done.stderr.strip()}")
