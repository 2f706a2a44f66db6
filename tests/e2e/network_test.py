#!/usr/bin/python3
"""Networks of a zone: several anets, VLANs, hosts without a bridge, and what the network is told after a move."""
import re
import select
import socket
import struct
import threading
import time
import unittest

from harness import LabCase, Zone, wait_until
from kzlab import Pinger, TcpEcho

PACKET_AUXDATA = 8
SOL_PACKET = 263
TP_STATUS_VLAN_VALID = 1 << 4
ETH_P_ALL, ETH_P_ARP, ETH_P_RARP, ETH_P_IPV6, ETH_P_8021Q = 0x0003, 0x0806, 0x8035, 0x86DD, 0x8100
EVERYBODY = b"\xff" * 6
ADDRESS6 = "fd77::101"
CONNECTIONS_LOST = "which nobody can connect to, and whose connections are lost when the zone moves"


def binary_mac(text):
    return bytes.fromhex(text.replace(":", ""))


class Wire:
    """All that passes the client's end of its wire, as (moment, VLAN or None, frame without tag)."""

    def __init__(self, node):
        self._socket = node.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("uplink", ETH_P_ALL))
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.mac = self._socket.getsockname()[4]
        self.frames = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _run(self):
        while not self._stop.is_set():
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            frame, ancillary, _, _ = self._socket.recvmsg(65536, 256)
            vlan = None
            for level, kind, data in ancillary:
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                    status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
                    vlan = tci & 0xFFF if status & TP_STATUS_VLAN_VALID else None
            self.frames.append((time.monotonic(), vlan, frame))

    def ask_arp(self, address, vlan=None):
        """Who has the address? `vlan` None: untagged."""
        tag = b"" if vlan is None else struct.pack("!HH", ETH_P_8021Q, vlan)
        arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, self.mac, bytes(4), bytes(6), socket.inet_aton(address))
        self._socket.send(EVERYBODY + self.mac + tag + struct.pack("!H", ETH_P_ARP) + arp + bytes(18))

    def answers(self, address):
        """(VLAN, MAC) of every ARP reply for the address to us."""
        return [(vlan, frame[22:28]) for _, vlan, frame in list(self.frames)
                if frame[:6] == self.mac and frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2"
                and frame[28:32] == socket.inet_aton(address)]

    def announcements(self, mac):
        """Moments of the RARP frames, gratuitous ARPs and unsolicited advertisements that `mac` sent, by kind and
        address."""
        found = {}
        for moment, _, frame in list(self.frames):
            kind = frame[6:12] == mac and announcement(frame)
            if kind:
                found.setdefault(kind, []).append(moment)
        return found


def announcement(frame):
    protocol = int.from_bytes(frame[12:14], "big")
    if protocol == ETH_P_RARP and frame[:6] == EVERYBODY:
        return "rarp", None
    if protocol == ETH_P_ARP and frame[28:32] == frame[38:42]:
        return "arp", socket.inet_ntoa(frame[28:32])
    if protocol == ETH_P_IPV6 and frame[20] == 58 and frame[54] == 136 and not frame[58] & 0x40:
        return "advertisement", socket.inet_ntop(socket.AF_INET6, frame[62:78])
    return None


class Network(LabCase):
    """ant1 has three anets: on the hosts' bridge, in VLAN 10, and on a bridge of its own. bee1 is in VLAN 20, with the
    address that ant1 has in VLAN 10. node3 has no bridge."""
    nodes = ("node1", "node2", "node3")
    services = True
    shared_address = "10.80.0.1"

    @classmethod
    def prepare(cls):
        for name in ("node1", "node2"):
            cls.lab.node(name).run(["ip", "link", "add", "aside0", "type", "bridge", "forward_delay", "0"])
            cls.lab.node(name).run(["ip", "link", "set", "aside0", "up"])
            cls.lab.node(name).run(["ip", "addr", "add", "10.81.0.254/24", "dev", "aside0"])
        cls.ant = Zone(cls.lab, memory="128M", extra=f"""
            select anet 0
            set allowed-address=10.77.0.101/24,{ADDRESS6}/64
            end
            add anet
            set id=2
            set lower-link=aside0
            set allowed-address=10.81.0.1/24
            end
            add anet
            set id=1
            set vlan-id=10
            set allowed-address={cls.shared_address}/24
            end""")
        cls.bee = Zone(cls.lab, "bee1", 2, memory="128M", extra=f"""
            select anet 0
            set vlan-id=20
            set allowed-address={cls.shared_address}/24
            end""")
        cls.ant.create()
        cls.bee.create()
        cls.macs = cls.macs_of(cls.ant)
        cls.bee_mac = cls.macs_of(cls.bee)[0]
        # A client that never asks where the zone is: a silent zone stays silent.
        cls.lab.client.run(["ip", "neigh", "replace", cls.ant.address, "lladdr", cls.macs[0], "dev", "uplink", "nud",
                            "permanent"])

    @classmethod
    def macs_of(cls, zone):
        with zone.console() as console:
            console.terminal.send_line("")
            console.wait_prompt()
            said = console.run("cat /sys/class/net/eth*/address")
        return re.findall(r"^([0-9a-f:]{17})$", said, re.MULTILINE)

    def guest(self, *commands):
        with self.ant.console() as console:
            console.terminal.send_line("")
            console.wait_prompt()
            return [console.run(command) for command in commands]

    def move(self):
        """Returns when it was over, and the new home."""
        there = "node2" if self.ant.home == "node1" else "node1"
        self.ant.zoneadm("migrate", there, timeout=180)
        self.ant.home = there
        return time.monotonic()

    def check_vlans(self):
        with Wire(self.lab.client) as wire:
            wire.ask_arp(self.shared_address, 30)
            wire.ask_arp(self.shared_address, 10)
            wire.ask_arp(self.shared_address, 20)
            wait_until(lambda: len(wire.answers(self.shared_address)) >= 2, "answers on both VLANs")
            self.assertEqual(sorted(wire.answers(self.shared_address)),
                             [(10, binary_mac(self.macs[1])), (20, binary_mac(self.bee_mac))])

    def test_addresses_are_in_the_order_of_ids_and_the_same_on_both_hosts(self):
        self.assertEqual(len(set(self.macs)), 3)
        for place, address in enumerate((self.ant.address, self.shared_address, "10.81.0.1")):
            self.assertIn(f"inet {address}/24", self.guest(f"ip addr show eth{place}")[0])
        self.move()
        self.assertEqual(self.macs_of(self.ant), self.macs)
        self.ant.node().run(["ping", "-c", "1", "-w", "20", "10.81.0.1"])

    def test_vlans_do_not_hear_each_other(self):
        self.check_vlans()
        self.move()
        self.check_vlans()

    def test_silent_zone_is_reached_right_after_the_move(self):
        with Wire(self.lab.client) as wire, TcpEcho(self.lab.client, self.ant.address) as echo, \
                Pinger(self.lab.client, self.ant.address) as pinger:
            wait_until(lambda: pinger.answers, "the first answer")
            begun, source = time.monotonic(), self.ant.home
            over = self.move()
            wait_until(lambda: max(pinger.answers.values()) > over, "an answer after the move")
            echo.wait_for_all()
            mac = binary_mac(self.macs[0])
            # More than the five that QEMU sends unasked, counted from when its state is in.
            wanted = {("rarp", None): 8, ("arp", self.ant.address): 3, ("advertisement", ADDRESS6): 3}
            wait_until(lambda: all(len(wire.announcements(mac).get(kind, [])) >= count
                                   for kind, count in wanted.items()), "announcements of each kind")
            outage, pause = pinger.outage_ms(begun, over), self.ant.history(source)[-1]["pause_ms"]
            self.assertLess(outage, pause + 2000)
            tagged = [vlan for _, vlan, frame in wire.frames if frame[6:12] == binary_mac(self.macs[1])]
            self.assertEqual(set(tagged), {10})

    def test_guest_that_cannot_announce_itself_is_announced(self):
        self.guest("rmmod virtio_net")
        try:
            with Wire(self.lab.client) as wire:
                self.move()
                wanted = [("rarp", None), ("arp", self.ant.address), ("advertisement", ADDRESS6)]
                wait_until(lambda: all(len(wire.announcements(binary_mac(self.macs[0])).get(kind, [])) >= 5
                                       for kind in wanted), "five announcements of each kind")
                found = wire.announcements(binary_mac(self.macs[1]))
                self.assertIn(("arp", self.shared_address), found)
        finally:
            self.guest("modprobe virtio_net", "/etc/kz/network-up")
        self.ant.node().run(["ping", "-c", "1", "-w", "20", "10.81.0.1"])

    def test_resumed_zone_is_announced(self):
        self.ant.zoneadm("suspend", timeout=180)
        with Wire(self.lab.client) as wire, Pinger(self.lab.client, self.ant.address) as pinger:
            self.ant.zoneadm("boot", timeout=180)
            over = time.monotonic()
            wait_until(lambda: pinger.answers and max(pinger.answers.values()) > over, "an answer after the resume")
            mac, kind = binary_mac(self.macs[0]), ("arp", self.ant.address)
            wait_until(lambda: len(wire.announcements(mac).get(kind, [])) >= 3, "three announcements")

    def test_host_without_a_bridge(self):
        node = self.lab.node("node3")
        node.run(["ip", "link", "del", "kzbr0"])
        lone = Zone(self.lab, "cee1", 3, node="node3", memory="64M")
        lone.configure()
        lone.install()
        lone.zoneadm("boot")
        self.assertIn(f"anet 0: this host has no bridge; using user-mode networking, {CONNECTIONS_LOST}",
                      "".join(file.read_text() for file in node.path("var/log/zones").glob("cee1*.log")))
        lone.zoneadm("halt")
        lone.zonecfg("select anet 0; set vlan-id=10; end")
        refused = lone.zoneadm("boot", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("anet 0: VLAN 10 needs a bridge, and this host has none", refused.stderr)


if __name__ == "__main__":
    unittest.main()
