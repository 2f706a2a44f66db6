"""What grows with a zone's memory, and what does not: live migration, suspend, and the first tick of a resume."""
import lib
import zones

TITLE = "guests of 0.5 to 8 GiB, a quarter of it filled with the typical page mix"
CIPHER = "aes-128-gcm"


def run(context):
    sizes = (1024, 8192) if context.quick else (512, 1024, 2048, 4096, 8192)
    rounds = 1 if context.quick else 5
    table = lib.Table("medians", ["migrate s", "gap ms", "suspend s", "outage s", "first tick s", "all memory s", "MB/s",
                                  "image MiB"])
    first_tick = {}
    for size in sizes:
        memory = context.size(size)
        with zones.userfaultfd(), zones.Hosts(context) as lab, \
                zones.BenchZone(lab, memory, memory // 4, "typical") as zone:
            zone.migrate(CIPHER)
            answers = context.rounds(rounds, {"migrate": lambda: zone.migrate(CIPHER), "suspend": zone.suspend_and_resume})
        moved, stopped = (lib.middles(answers[name]) for name in ("migrate", "suspend"))
        first_tick[size] = stopped["first_tick"]
        table.add(f"{memory} MiB", moved["seconds"], moved["gap_ms"], stopped["suspend"], stopped["outage"],
                  stopped["first_tick"], stopped["all_memory"], memory / 4 * 1.048576 / stopped["all_memory"],
                  stopped["image_bytes"] / 2**20)
    targets = lib.Targets()
    targets.at_most("lazy resume: boot to first tick at 8 GiB, s", first_tick[8192], 0.5)
    targets.at_most("lazy resume: first tick at 8 GiB / at 1 GiB", first_tick[8192] / first_tick[1024], 1.25)
    return [table, targets.table]
