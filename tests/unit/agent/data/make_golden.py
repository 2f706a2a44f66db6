#!/usr/bin/python3
"""Makes frames.bin: every frame of the agent's protocol once, by the description in src/agent/wire.h and messages.h and
not by their code. Written once; a change of it is a change of the protocol.

    make_golden.py FILE
"""
import struct
import sys

MAX_PAYLOAD = 16 * 1024
NONCE = 0x1122334455667788


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def frame(kind, session, stream, payload=b""):
    head = b"Kz" + struct.pack("<BBII", kind, stream, session, len(payload))
    return head + struct.pack("<I", crc32c(head + payload)) + payload


def text(value):
    return struct.pack("<H", len(value)) + value.encode()


def masked(data):
    return bytes(byte ^ (NONCE >> (8 * (index % 8))) & 0xFF for index, byte in enumerate(data))


def main():
    mark = b"\xff" * (16 + MAX_PAYLOAD + 32)
    frames = [
        frame(1, 0, 0, struct.pack("<IQBQ", 1, NONCE, 1, 1_700_000_000_123_456_789)),
        frame(2, 0, 0, struct.pack("<IQ", 1, NONCE) + text("kz-agent 0.1.0")),
        frame(3, 0, 0),
        frame(4, 7, 0, b"\x02" + text("root") + text("") + struct.pack("<HH", 24, 80) + text("uname -a")),
        frame(5, 7, 0, text("pts/3")),
        frame(6, 8, 0, text("no user 'x' in the zone")),
        frame(7, 7, 0, masked(b"what goes in")),
        frame(8, 7, 2),
        frame(9, 7, 1, struct.pack("<I", 32768)),
        frame(10, 7, 0, struct.pack("<HH", 50, 132)),
        frame(11, 7, 0, b"\x0f"),
        frame(12, 7, 0, b"\x02\x09"),
        frame(13, 7, 0),
        frame(14, 3, 0, struct.pack("<BQ", 2, 1_700_000_000_000_000_000)),
        frame(15, 3, 0, struct.pack("<IQ", 22, 5) + text("Invalid argument")),
        frame(16, 0, 0, struct.pack("<BH", 1, 2) + text("eth0") + text("192.0.2.1/24") + text("eth1") + text("2001:db8::1/64")),
    ]
    with open(sys.argv[1], "wb") as file:
        file.write(mark + b"".join(frames))


if __name__ == "__main__":
    main()
