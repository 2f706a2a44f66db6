"""Authenticated encryption by one processor, in 16 KiB messages, as sealed records use it."""
import lib

TITLE = "AEAD on one core: GB per second of CPU time, 16 KiB messages"
MESSAGE = 16384
LIBRARIES = ("kz-ipsec_mb", "kz-openssl", "openssl", "gnutls")


def run(context):
    rounds, seconds = (3, 0.2) if context.quick else (7, 1.0)
    tables = []
    for way in ("seal", "open"):
        tables.append(lib.Table(way, [*LIBRARIES, "ours / openssl", "ours / gnutls", "spread of ours"]))
    for cipher in lib.CIPHERS:
        members = {library: lambda library=library: context.program("aead_bench", cipher, library, MESSAGE, seconds)
                   for library in LIBRARIES}
        answers = context.rounds(rounds, members)
        for way, table in zip(("seal", "open"), tables):
            speeds = {library: [answer[f"{way}_bytes_per_cpu_second"] / 1e9 for answer in given]
                      for library, given in answers.items()}
            medians = {library: lib.median(values) for library, values in speeds.items()}
            ours = "kz-ipsec_mb" if "kz-ipsec_mb" in medians else "kz-openssl"
            table.add(cipher, *(medians.get(library) for library in LIBRARIES), medians[ours] / medians["openssl"],
                      medians[ours] / medians["gnutls"], lib.spread(speeds[ours]))
    return tables
