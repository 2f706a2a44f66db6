"""A second kernel for a Debian zone: the package of another flavour with its own maintainer scripts, but only with the
modules that a zone's machine needs, so that a slow machine installs it in seconds."""
import fcntl
import pathlib
import re
import shutil
import subprocess
import tempfile

FLAVOUR = "linux-image-amd64"
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio_rng", "ext4", "crc32c_generic", "button",
           "evdev")


def _run(*argv, cwd=None):
    done = subprocess.run(list(map(str, argv)), cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}")
    return done.stdout


def _newest(flavour):
    depends = _run("apt-cache", "depends", "--important", flavour)
    return re.search(r"Depends: (linux-image-[^\s]*)", depends)[1]


def _needed_files(tree, release):
    """The modules with all that they need, by what each says of itself, and the lists that come with them."""
    folder = tree / "lib/modules" / release
    files = {file.stem.replace("-", "_"): file for file in folder.rglob("*.ko")}
    needed = set(folder.glob("modules.*"))
    waiting = [name for name in MODULES if name in files]
    while waiting:
        file = files[waiting.pop()]
        if file in needed:
            continue
        needed.add(file)
        depends = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())[1].decode()
        waiting += [name.replace("-", "_") for name in depends.split(",") if name]
    return needed


def _shrink(tree, release):
    needed = _needed_files(tree, release)
    for file in (tree / "lib/modules" / release).rglob("*"):
        if file.is_file() and file not in needed:
            file.unlink()
    for folder in sorted((tree / "lib/modules" / release).rglob("*/"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    shutil.rmtree(tree / "usr", ignore_errors=True)
    for file in (tree / "boot").glob("System.map-*"):
        file.unlink()
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Depends|Recommends|Suggests|Breaks): .*\n", "", control.read_text(), flags=re.MULTILINE))
    (tree / "DEBIAN/md5sums").unlink(missing_ok=True)


def second_kernel(cache):
    """(package file, kernel release). Fetched once; what the cache holds is used without a network."""
    cache = pathlib.Path(cache) / "test-kernels"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = sorted(cache.glob("linux-image-*.deb"))
        if not ready:
            ready = [_make(cache)]
    return ready[-1], ready[-1].stem.removeprefix("linux-image-")


def _make(cache):
    name = _newest(FLAVOUR)
    release = name.removeprefix("linux-image-")
    with tempfile.TemporaryDirectory(prefix="kzkernel-") as folder:
        folder = pathlib.Path(folder)
        _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name, cwd=folder)
        tree = folder / "tree"
        _run("dpkg-deb", "-R", next(folder.glob("*.deb")), tree)
        _shrink(tree, release)
        _run("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, folder / "small.deb")
        shutil.copy(folder / "small.deb", cache / ".new")
    return (cache / ".new").rename(cache / f"{name}.deb")
