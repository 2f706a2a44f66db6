"""What `zoneadm list` costs on a host with many zones, none of which is up."""
import os
import resource
import subprocess
import tempfile
import time

import lib

TITLE = "zoneadm list -cv with 1, 100 and 1000 configured zones"
COUNTS = (1, 100, 1000)


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def listing(context, environment):
    begun, used = time.monotonic(), children_cpu()
    done = subprocess.run([context.build / "bin/zoneadm", "list", "-cv"], env=environment, capture_output=True, check=True)
    return {"lines": done.stdout.count(b"\n"), "seconds": time.monotonic() - begun, "cpu_seconds": children_cpu() - used}


def run(context):
    table = lib.Table("medians", ["zones shown", "ms", "CPU ms", "spread of ms"])
    with tempfile.TemporaryDirectory() as root:
        environment = os.environ | {"KZONES_ROOT": root}
        for before, count in zip((0, *COUNTS), COUNTS):
            for made in range(before, count):
                text = (f"create -b; set brand=linux-kz; add device; set storage=file://{root}/{made}.disk; "
                        "set bootpri=0; end; add capped-memory; set physical=256M; end")
                subprocess.run([context.build / "bin/zonecfg", "-z", f"z{made}", text], env=environment, check=True)
            answers = context.rounds(5 if context.quick else 15, {"list": lambda: listing(context, environment)})["list"]
            middle = lib.middles(answers)
            table.add(f"{count}", middle["lines"] - 1, middle["seconds"] * 1000, middle["cpu_seconds"] * 1000,
                      lib.spread([answer["seconds"] for answer in answers]))
    return [table]
