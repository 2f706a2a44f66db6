#!/usr/bin/python3
"""What a zone may send is not up to its guest."""
import unittest

from harness import LabCase, Zone

FORGED_ADDRESS = "10.77.0.222"


class LinkProtection(LabCase):
    """ant1 may send from its address alone, and not fast. bee1 has no protection."""

    @classmethod
    def prepare(cls):
        cls.ant = Zone(cls.lab, memory="128M", suspend="none", extra="""
            select anet 0
            set link-protection=mac-nospoof,ip-nospoof
            set maxbw=8M
            end""")
        cls.bee = Zone(cls.lab, "bee1", 2, memory="128M", suspend="none", extra="""
            select anet 0
            set link-protection=none
            end""")
        cls.ant.create()
        cls.bee.create()

    def guest(self, zone, *commands):
        with zone.console() as console:
            console.terminal.send_line("")
            console.wait_prompt()
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


if __name__ == "__main__":
    unittest.main()
