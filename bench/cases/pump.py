"""One channel of a migration without QEMU: unix socket, pump, TCP over loopback, pump, unix socket."""
import lib

TITLE = "a pair of pumps over loopback TCP, incompressible data, against the same line without sealing"
PEERS = ("copy", "splice", "direct")


def run(context):
    rounds, megabytes = (3, 1000) if context.quick else (7, 4000)
    kinds = [*PEERS, "none"]
    for cipher in lib.CIPHERS:
        kinds += [cipher, f"{cipher}/openssl"] if cipher != "chacha20-poly1305" else [cipher]
    answers = context.rounds(rounds, {kind: lambda kind=kind: context.program("pump_bench", kind, megabytes) for kind in kinds})
    table = lib.Table(f"{megabytes} MB; CPU seconds of the whole line, by GB; KB of a record",
                      ["MB/s", "CPU s/GB", "sealing", "opening", "wall / copy", "CPU / copy", "spread of CPU", "KB"])
    gigabytes = megabytes / 1000
    copy = {what: lib.median([answer[what] for answer in answers["copy"]]) for what in ("seconds", "cpu_seconds")}
    for kind, given in answers.items():
        middle = {what: lib.median([answer[what] for answer in given])
                  for what in ("seconds", "cpu_seconds", "seal_cpu_seconds", "open_cpu_seconds", "records")}
        pumps = kind != "direct"
        table.add(kind, megabytes / middle["seconds"], middle["cpu_seconds"] / gigabytes,
                  middle["seal_cpu_seconds"] / gigabytes if pumps else None,
                  middle["open_cpu_seconds"] / gigabytes if pumps else None, middle["seconds"] / copy["seconds"],
                  middle["cpu_seconds"] / copy["cpu_seconds"], lib.spread([answer["cpu_seconds"] for answer in given]),
                  megabytes * 1000 / middle["records"] if middle["records"] else None)
    return [table]
