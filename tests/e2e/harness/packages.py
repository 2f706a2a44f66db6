"""The packages that zones are made of, fetched before a lab is up: a lab has no way to the world.

The product fetches them itself, by installing a zone on a root of its own; what it leaves in var/cache/zones is what
the lab's nodes are given."""
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from kzlab import LabError
from kzlab.lab import DEFAULT_BINARIES

ZONE = "fetch"


def default_cache(binaries=DEFAULT_BINARIES):
    return pathlib.Path(binaries).parent / "cache" / "zones"


def ensure_packages(binaries=DEFAULT_BINARIES, cache=None):
    """Returns the cache, filled. Quick when it is: what it holds is used as it is."""
    cache = pathlib.Path(cache or default_cache(binaries))
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "filling", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any((cache / "sets").glob("*")):
            _fill(pathlib.Path(binaries), cache, "mini", "128M")
    return cache


def ensure_base(manifest="default", source=None, binaries=DEFAULT_BINARIES, cache=None):
    """The same for the base system of a manifest, or of the one of that name in the file `source`: minutes the first
    time. An older one than apt could give now will do."""
    cache = pathlib.Path(cache or default_cache(binaries))
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "filling", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = [json.loads(file.read_text()) for file in (cache / "bases").glob("*.json")]
        if not any(record["name"] == manifest for record in records):
            _fill(pathlib.Path(binaries), cache, str(source or manifest), "1536M")
    return cache


def _fill(binaries, cache, manifest, size):
    root = pathlib.Path(tempfile.mkdtemp(prefix="kzfetch-"))
    try:
        (root / "var/cache").mkdir(parents=True)
        (root / "var/cache/zones").symlink_to(cache)
        configuration = (f"create -b; set brand=linux-kz; add device; set storage=file://{root}/disk; set bootpri=0; end; "
                         "add capped-memory; set physical=256M; end")
        for command in (["zonecfg", "-z", ZONE, configuration], ["zoneadm", "-z", ZONE, "install", "-m", manifest,
                                                                 "-x", f"install-size={size}"]):
            environment = os.environ | {"KZONES_ROOT": str(root), "PATH": f"{binaries}:{os.environ['PATH']}"}
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0:
                raise LabError(f"fetching packages: {' '.join(command)}\n{done.stdout}{done.stderr}")
    finally:
        shutil.rmtree(root)
