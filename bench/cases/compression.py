"""What compression by need does: nothing where a processor limits, everything where the link does.

The slow link is a network namespace of its own whose loopback is shaped; that needs root."""
import os
import subprocess

import lib

TITLE = "records compressed by what limits the channel (aes-128-gcm)"
DATA = ("random", "half", "text")
WAYS = ("off", "adaptive", "lz4", "zstd")


class SlowLink:
    """A namespace with a loopback of 1 Gbit/s."""

    def __init__(self):
        self.name = f"kzbench{os.getpid()}"

    def __enter__(self):
        self._ip("netns", "add", self.name)
        try:
            self._ip("-n", self.name, "link", "set", "lo", "up")
            self._ip("netns", "exec", self.name, "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1gbit",
                     "burst", "1m", "latency", "20ms")
        except BaseException:
            self.__exit__()
            raise
        return ["ip", "netns", "exec", self.name]

    def __exit__(self, *_):
        self._ip("netns", "del", self.name)

    @staticmethod
    def _ip(*words):
        subprocess.run(["ip", *words], check=True)


def table_of(context, title, megabytes, prefix):
    rounds = 2 if context.quick else 5
    table = lib.Table(title, ["MB/s", "CPU s/GB", "sent / data", "wall / off"])
    for data in DATA:
        answers = context.rounds(rounds, {way: lambda way=way: context.program(
            "pump_bench", "aes-128-gcm", megabytes, data, way, prefix=prefix) for way in WAYS})
        off = lib.median([answer["seconds"] for answer in answers["off"]])
        for way, given in answers.items():
            middle = {what: lib.median([answer[what] for answer in given])
                      for what in ("seconds", "cpu_seconds", "sealed_bytes")}
            table.add(f"{data}, {way}", megabytes / middle["seconds"], middle["cpu_seconds"] / megabytes * 1000,
                      middle["sealed_bytes"] / megabytes / 1e6, middle["seconds"] / off)
    return table


def run(context):
    tables = [table_of(context, "loopback: a processor limits", 1000 if context.quick else 4000, [])]
    if os.geteuid() == 0:
        with SlowLink() as prefix:
            tables.append(table_of(context, "1 Gbit/s", 200 if context.quick else 600, prefix))
    return tables
