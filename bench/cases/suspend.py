"""A running zone is suspended and goes on, here or on the other host, beside libvirt's save and restore and QEMU's own
migration to a file, raw and through zstd. All images lie in the same folder. Ours are compressed and sealed; the others
are not sealed. `outage` is what the guest misses, without the time between the commands."""
import contextlib

import cpu
import lib
import libvirt
import peer
import zones

TITLE = "suspend and resume (3 GiB, 2 GiB filled with the typical page mix)"
MEMORY, USED = 3072, 2048
COLUMNS = ["outage s", "suspend s", "first tick s", "all memory s", "CPU s", "image MiB", "image / used"]


def columns_of(here, used):
    image = here["image_bytes"] / 2**20
    return (*(here[what] for what in ("outage", "suspend", "first_tick", "all_memory", "cpu_seconds")), image, image / used)


def judge(middle, used):
    targets = lib.Targets()
    lazy, warm = middle["zoneadm"], middle["zoneadm, to the other host"]
    targets.at_most("outage of suspend to first tick on the other host, s", warm["outage"], 1.0)
    if "libvirt" in middle:
        targets.at_most("outage on the other host / libvirt's save and restore",
                        warm["outage"] / middle["libvirt"]["outage"], 0.2)
    targets.at_most("lazy resume: boot to first tick, s", lazy["first_tick"], 0.5)
    targets.at_least("lazy resume: MB/s until all memory is in", used * 1.048576 / lazy["all_memory"], 500)
    targets.at_most("image / used memory", lazy["image_bytes"] / 2**20 / used, 0.6)
    return targets.table


def run(context):
    used = context.size(USED)
    with contextlib.ExitStack() as stack:
        stack.enter_context(zones.userfaultfd())
        lab = stack.enter_context(zones.Hosts(context))
        zone = stack.enter_context(zones.BenchZone(lab, context.size(MEMORY), used, "typical"))
        other = stack.enter_context(peer.Peer(zone, lab.folder / "peer"))
        domain = stack.enter_context(libvirt.Libvirt(zone, lab.folder / "libvirt")) if libvirt.installed() else None

        def alone(who, work):
            """All machines but `who` stand still."""
            pids = {zone: lambda: [zone.machine()[1]], other: other.pids, domain: domain.pids if domain else None}
            with cpu.Frozen([pid for one, find in pids.items() if one not in (who, None) for pid in find()]):
                return work()

        members = {
            "zoneadm": lambda: alone(zone, zone.suspend_and_resume),
            "zoneadm, to the other host": lambda: alone(zone, lambda: zone.suspend_and_resume(to=zone.other())),
            "QEMU to a file": lambda: alone(other, lambda: other.save_and_restore(False)),
            "QEMU through zstd -1": lambda: alone(other, lambda: other.save_and_restore(True)),
            "libvirt": lambda: alone(domain, domain.save_and_restore) if domain else None,
        }
        if not context.quick:
            members["zoneadm, boot -x eager"] = lambda: alone(zone, lambda: zone.suspend_and_resume(options=("-x", "eager")))
        alone(zone, lambda: zone.suspend_and_resume(to=zone.other()))  # the other host knows the zone then
        answers = context.rounds(2 if context.quick else 5, members)
    table = lib.Table("medians", COLUMNS)
    middle = {name: lib.middles(given) for name, given in answers.items()}
    for name, here in middle.items():
        table.add(name, *columns_of(here, used))
    return [table, judge(middle, used)]
