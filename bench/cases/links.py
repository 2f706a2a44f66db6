"""The same through links of 1 and 10 Gbit/s (a token bucket at each host's wire), with the typical page mix: 40 % zeros,
30 % words of a vocabulary as in text and code, 30 % incompressible (zones.MIXES). A zone of up to 2 GiB has one memory
connection unless more are asked for, so the comparison by default is that one; QEMU has two channels."""
import lib
import moves
import zones

TITLE = "live migration of the typical page mix through links"
RATES = ("1gbit", "10gbit")


def run(context):
    memory, used = map(context.size, (1536, 1024) if context.quick else (3072, 2048))
    tables, targets = [], lib.Targets()
    with zones.Hosts(context) as lab, moves.Pair(lab, "typical", memory, used) as pair:
        for rate in RATES:
            lab.limit(rate)
            answers = pair.measure(context, 1 if context.quick else 3, ["aes-128-gcm"])
            table, middle = moves.table_of(f"{rate} ({memory} MiB, {used} filled)", answers, used)
            tables.append(table)
            if rate == "1gbit":
                targets.at_most("1 Gbit/s: wall / QEMU's TLS",
                                middle["aes-128-gcm" + moves.ONE]["seconds"] / middle["qemu aes-128-gcm"]["seconds"], 0.5)
    return [*tables, targets.table]
