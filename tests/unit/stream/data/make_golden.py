#!/usr/bin/python3
"""Writes the golden files of src/stream, from the layouts in record.h, keys.h and hello.h alone.

A second implementation of the formats: it shares no code with the product. Needs python3-cryptography.
"""
import hashlib
import hmac
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

HERE = pathlib.Path(__file__).parent
SECRET = bytes(range(32))
SALT = bytes(range(32, 48))
LANE = 16 * 1024
CIPHERS = {
    "aes-128-ccm": (16, AESCCM),
    "aes-128-gcm": (16, AESGCM),
    "aes-256-gcm": (32, AESGCM),
    "chacha20-poly1305": (32, ChaCha20Poly1305),
    "none": (0, None),
}


def hkdf(secret, salt, info, length):
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    out = block = b""
    counter = 1
    while len(out) < length:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
        counter += 1
    return out[:length]


def seal_record(name, aead, salt, kind, sequence, payload):
    header = struct.pack("<IBBHQ", len(payload), kind, 0, 0, sequence)
    if aead is None:
        return header + payload
    lane = LANE if name == "aes-128-ccm" else max(1, len(payload))
    parts = [payload[at:at + lane] for at in range(0, len(payload), lane)] or [b""]
    body = tags = b""
    for index, part in enumerate(parts):
        number = int.from_bytes(salt[4:], "little") ^ (sequence << 8 | index)
        nonce = salt[:4] + number.to_bytes(8, "little")
        sealed = aead.encrypt(nonce, part, header)
        body += sealed[:-16]
        tags += sealed[-16:]
    return header + body + tags


def pattern(size, sequence):
    return bytes((i * 31 + sequence) & 0xFF for i in range(size))


def main():
    for name, (key_size, make) in CIPHERS.items():
        info = f"kzones golden {name} channel 3 forward".encode()
        material = hkdf(SECRET, SALT, info, key_size + 12)
        aead = make(material[:key_size]) if make else None
        salt = material[key_size:]
        stream = seal_record(name, aead, salt, 1, 0, pattern(100, 0))
        stream += seal_record(name, aead, salt, 1, 1, pattern(20000, 1))
        stream += seal_record(name, aead, salt, 2, 2, b"")
        (HERE / f"records-{name}.bin").write_bytes(stream)

    session = bytes(range(0xA0, 0xB0))
    hello = b"KZMIGR01" + session + struct.pack("<II", 7, 1) + bytes(range(0xC0, 0xD0))
    key = hkdf(SECRET, session, b"kzones hello proof", 32)
    (HERE / "hello.bin").write_bytes(hello + hmac.new(key, hello, hashlib.sha256).digest())


if __name__ == "__main__":
    main()
