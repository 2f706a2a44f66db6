#!/usr/bin/python3
"""Writes golden.kzimage, from the layout in src/image/format.h alone: a second implementation of the format.

Needs python3-cryptography.
"""
import hashlib
import hmac
import pathlib
import struct
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

HERE = pathlib.Path(__file__).parent
KEYSOURCE = bytes([0xA1]) * 32
SALT = bytes(range(32))
ZONE = uuid.UUID("4c4ca53c-7a5a-4a3e-9e2d-0123456789ab").bytes
IMAGE = uuid.UUID("00112233-4455-4677-8899-aabbccddeeff").bytes
LANE = 16 * 1024


def hkdf(info, length):
    key = hmac.new(SALT, KEYSOURCE, hashlib.sha256).digest()
    out = block = b""
    counter = 1
    while len(out) < length:
        block = hmac.new(key, block + info.encode() + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:length]


MAC_KEY = hkdf("kzones image mac", 32)


class Channel:
    def __init__(self, purpose, number):
        material = hkdf(f"kzones {purpose} aes-128-ccm channel {number} forward", 16 + 12)
        self.aead, self.salt, self.sequence = AESCCM(material[:16]), material[16:], 0

    def record(self, payload):
        header = struct.pack("<IBBHQ", len(payload), 1 if payload else 2, 0, 0, self.sequence)
        body = tags = b""
        for lane, part in enumerate([payload[at:at + LANE] for at in range(0, len(payload), LANE)] or [b""]):
            number = int.from_bytes(self.salt[4:], "little") ^ (self.sequence << 8 | lane)
            sealed = self.aead.encrypt(self.salt[:4] + number.to_bytes(8, "little"), part, header)
            body, tags = body + sealed[:-16], tags + sealed[-16:]
        self.sequence += 1
        return header + body + tags


def with_mac(block):
    block = block.ljust(4064, b"\0")
    return block + hmac.new(MAC_KEY, block, hashlib.sha256).digest()


def header():
    texts = ["ant1", "pc-q35-7.2", "7.2.22", "qemu64", "virtio-blk-pci,id=disk0", "virtio-net-pci,id=net0"]
    strings = b"".join(struct.pack("<H", len(text)) + text.encode() for text in texts)
    block = b"KZIMAGE1" + struct.pack("<IIBBHI", 1, 4096, 1, 1, 0, 2) + SALT + ZONE + IMAGE
    block += struct.pack("<QQQII", 7, 512 << 20, 1763778600123, 2, len(strings)) + strings
    block = block.ljust(4032, b"\0")
    return with_mac(block + hashlib.sha256(block).digest())


def pattern(size, first):
    return bytes((first + i * 31) & 0xFF for i in range(size))


def main():
    image = header()
    plain = [[pattern(20000, 1), pattern(100, 2)], [pattern(500, 3)]]
    channels = [Channel("image", 0), Channel("image", 1)]
    entries = [[], []]
    order = [(1, plain[1][0]), (0, plain[0][0]), (0, plain[0][1]), (1, b""), (0, b"")]
    offsets = [0, 0]
    sealed_bytes = 0
    for number, payload in order:
        image = image.ljust((len(image) + 511) // 512 * 512, b"\xee")  # gaps are allowed and mean nothing
        record = channels[number].record(payload)
        entries[number].append(struct.pack("<QQII", len(image), offsets[number], len(payload), len(record)))
        offsets[number] += len(payload)
        sealed_bytes += len(record)
        image += record
    index = struct.pack("<I", 2)
    for number in range(2):
        index += struct.pack("<IIQ", number, 0, len(entries[number])) + b"".join(entries[number])
    sealer = Channel("image index", 0)
    sealed_index = sealer.record(index) + sealer.record(b"")
    index_offset = len(image)
    image += sealed_index
    image = image.ljust((len(image) + 4095) // 4096 * 4096, b"\0")
    image += with_mac(b"KZIMGEND" + struct.pack("<QQQQQ", index_offset, len(sealed_index), 3, sum(offsets),
                                                sealed_bytes) + IMAGE)
    (HERE / "golden.kzimage").write_bytes(image)


if __name__ == "__main__":
    main()
