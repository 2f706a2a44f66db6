#!/usr/bin/python3
"""What a zone may send, and how fast, is not up to its guest."""
import contextlib
import socket
import time
import unittest

from harness import LabCase, Zone

FORGED_ADDRESS = "10.77.0.222"
FORGED_MAC = "02:08:20:ba:dd:ad"
RATE = 1_000_000  # bytes per second
SENT = 4 << 20
BURST = 256 << 10
PORT = 7000


class LinkProtection(LabCase):
    """ant1 may send from its address alone, and not fast. bee1 has no protection."""

    @classmethod
    def prepare(cls):
        cls.ant = Zone(cls.lab, memory="128M", suspend="none", extra=f"""
            select anet 0
            set link-protection=mac-nospoof,ip-nospoof
            set maxbw={RATE * 8 // 1_000_000}M
            end""")
        cls.bee = Zone(cls.lab, "bee1", 2, memory="128M", suspend="none", extra="""
            select anet 0
            set link-protection=none
            end""")
        cls.ant.create()
        cls.bee.create()

    @contextlib.contextmanager
    def console_of(self, zone):
        """At its prompt, behind all that the console repeats of earlier commands."""
        with zone.console() as console:
            console.terminal.send_line("")
            console.wait_prompt()
            console.run(f": {time.monotonic_ns()}", 90)
            yield console

    def guest(self, zone, *commands):
        with self.console_of(zone) as console:
            return [console.run(command, 90) for command in commands]

    def reaches(self, zone, source=None):
        """Whether the client answers the guest. What neighbours have learnt of another is forgotten before."""
        self.lab.client.run(["ip", "neigh", "flush", "dev", "uplink"])
        said, = self.guest(zone, f"ping -c 1 -w 3 {f'-I {source} ' if source else ''}{self.lab.client.address}")
        return "1 packets received" in said

    def test_a_forged_address_reaches_nobody(self):
        for zone in (self.ant, self.bee):
            self.guest(zone, f"ip addr add {FORGED_ADDRESS}/24 dev eth0")
            self.assertEqual(self.reaches(zone, FORGED_ADDRESS), zone is self.bee, zone.name)
            self.guest(zone, f"ip addr del {FORGED_ADDRESS}/24 dev eth0")
            self.assertTrue(self.reaches(zone))

    def test_a_forged_mac_reaches_nobody(self):
        for zone in (self.ant, self.bee):
            true_mac = self.guest(zone, "cat /sys/class/net/eth0/address")[0].split()[0]
            self.change_mac(zone, FORGED_MAC)
            self.assertEqual(self.reaches(zone), zone is self.bee, zone.name)
            self.change_mac(zone, true_mac)
            self.assertTrue(self.reaches(zone))

    def change_mac(self, zone, mac):
        self.guest(zone, "ip link set eth0 down", f"ip link set eth0 address {mac}", "ip link set eth0 up")

    def seconds_to_send(self, zone):
        with self.lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("", PORT))
            listener.listen()
            listener.settimeout(60)
            with self.console_of(zone) as console:
                console.start(f"head -c {SENT} /dev/zero | nc {self.lab.client.address} {PORT}")
                connection, _ = listener.accept()
                with connection:
                    begun = time.monotonic()
                    got = 0
                    while got < SENT and (data := connection.recv(1 << 16)):
                        got += len(data)
                    took = time.monotonic() - begun
                console.interrupt()
        self.assertEqual(got, SENT)
        return took

    def test_no_more_than_maxbw(self):
        least = (SENT - BURST) / RATE
        slow, fast = self.seconds_to_send(self.ant), self.seconds_to_send(self.bee)
        self.assertGreater(slow, least)
        self.assertLess(fast, slow)


if __name__ == "__main__":
    unittest.main()
