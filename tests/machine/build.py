"""Builds what the guest boots, from Debian's packages: a root file system, wheels, a kernel.

Each part is kept in the cache folder under a key of what it is made of. Whatever runs inside a root
file system runs by mmdebstrap, which mounts in a name space of its own and leaves nothing behind.

    python -m tests.machine.build          prints the paths as JSON
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
CACHE = PROJECT / ".cache/machine"
SUITE = "trixie"  # what Raspberry Pi OS is made of: systemd 257, Python 3.13
ROBOT = (
    "systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "make", "python3", "python3-venv",
    "alsa-utils", "i2c-tools", "libportaudio2",
)  # fmt: skip
COMPILE = (
    "python3", "python3-venv", "python3-dev", "gcc", "libc6-dev", "portaudio19-dev",
    "ca-certificates",
)  # fmt: skip
SOURCE = (
    "lipsync_edge", "tools", "models", "systemd", "firmware", "docs", "setup.py", "pyproject.toml",
    "README.md", "LICENSE", "Makefile",
)  # fmt: skip
PINS = "gpiod>=2.2"  # Blinka asks for it on a Pi, which the guest is taken for
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
DISK = "1500M"
LEAN = (
    "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io",
    '--aptopt=APT::Install-Recommends "false"',
    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale", "doc")),
)  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """A User-Mode Linux binary, and an archive with its modules (the content of lib/modules)."""

    binary: Path
    modules: Path


@dataclass(frozen=True)
class Machine:
    """What is needed to boot."""

    kernel: Kernel
    disk: Path  # ext4, never written to


def machine(cache: Path = CACHE) -> Machine:
    """All parts, built where the cache lacks them. CalledProcessError where a step fails."""
    cache.mkdir(parents=True, exist_ok=True)
    kernel = find_kernel(cache)
    return Machine(kernel, _disk(cache, kernel, _base(cache), _wheels(cache)))


def find_kernel(cache: Path = CACHE) -> Kernel:
    """The one in $LIPSYNC_MACHINE or ../shared/machine, else one of our own."""
    given = os.environ.get("LIPSYNC_MACHINE")
    for folder in [Path(given)] if given else [PROJECT.parent / "shared/machine"]:
        binaries, modules = sorted(folder.glob("linux-uml*")), sorted(folder.glob("modules*.tar*"))
        if binaries and modules:
            return Kernel(binaries[-1], modules[-1])
    inputs = [(HERE / "kernel" / name).read_bytes() for name in KERNEL_INPUTS]
    folder = cache / f"kernel-{key(inputs)}"
    if not (folder / "modules.tar").exists():
        part = _fresh(cache / "kernel.part")
        _tell(["sh", str(HERE / "kernel/build.sh"), str(part)])
        _only(part, folder)
    return Kernel(folder / "linux-uml", folder / "modules.tar")


KERNEL_INPUTS = ("build.sh", "inside.sh", "uml.config", "i2c-pca9685-sim.c")


def key(parts: Iterable[bytes | str]) -> str:
    """A short name for exactly these parts, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:16]


def _base(cache: Path) -> Path:
    """Debian alone, as an archive."""
    words = ["mmdebstrap", *LEAN, f"--include={','.join(ROBOT)}", SUITE]
    tar = cache / f"base-{key(words)}.tar"
    if not tar.exists():
        part = cache / "part-base.tar"
        _tell([*words, str(part)])
        _only(part, tar)
    return tar


def _wheels(cache: Path) -> Path:
    """The robot's Python packages for the guest's Python, by `make wheels` in a Debian with a
    compiler."""
    inputs = [SUITE, *COMPILE, PINS, *(_read(n) for n in ("setup.py", "tools/install.sh"))]
    tar = cache / f"wheels-{key(inputs)}.tar"
    if not tar.exists():
        part = cache / "part-wheels.tar"
        environment = [f"{name}={value}" for name, value in _pip().items()]
        collect = _words("env", *environment, "sh", "/root/source/tools/install.sh", "wheels")
        _tell([
            "mmdebstrap", *LEAN, "--format=null", f"--include={','.join(COMPILE)}",
            *_certificates(), *_source_in(),
            f'--customize-hook=chroot "$1" {collect}',
            f'--customize-hook=tar -C "$1/root/wheels" -cf {shlex.quote(str(part))} .',
            SUITE, "/dev/null",
        ])  # fmt: skip
        _only(part, tar)
    return tar


def _disk(cache: Path, kernel: Kernel, base: Path, wheels: Path) -> Path:
    """The guest's disk: Debian, and on it the robot by `make install`."""
    own = sorted((HERE / "guest").iterdir())
    inputs = [
        base.name,
        wheels.name,
        kernel.modules.read_bytes(),
        DISK,
        Path(__file__).read_bytes(),
    ]
    inputs += [path.read_bytes() for path in own] + [data for _, data in _source()]
    disk = cache / f"disk-{key(inputs)}.ext4"
    if not disk.exists():
        part = cache / "part-disk.ext4"
        part.unlink(missing_ok=True)
        _tell([
            "mmdebstrap", "--quiet", "--variant=custom", "--skip=setup,update,cleanup",
            "--format=null", f'--setup-hook=tar -C "$1" -xf {shlex.quote(str(base))}',
            f'--customize-hook=mkdir -p "$1/usr/lib/modules" "$1/root/wheels" "$1{GUEST}"',
            f'--customize-hook=tar --no-same-owner -C "$1/usr/lib/modules" '
            f"-xf {shlex.quote(str(kernel.modules))}",
            f'--customize-hook=tar -C "$1/root/wheels" -xf {shlex.quote(str(wheels))}',
            f'--customize-hook=cp {_words(*own)} "$1{GUEST}"', *_source_in(),
            f'--customize-hook=chroot "$1" sh {GUEST}/prepare.sh',
            # Without the mounts below the root, which a plain bind leaves out.
            f'--customize-hook=mkdir "$1.plain" && mount --bind "$1" "$1.plain" && '
            f'mke2fs -q -F -t ext4 -L root -d "$1.plain" {shlex.quote(str(part))} {DISK}; '
            'code=$?; umount "$1.plain"; rmdir "$1.plain"; exit $code',
            SUITE, "/dev/null",
        ])  # fmt: skip
        _only(part, disk)
    return disk


GUEST = "/usr/local/lib/guest"


def _pip() -> dict[str, str]:
    """Pip's settings of this computer, which say where packages come from, less its folders."""
    own = {k: v for k, v in os.environ.items() if k.startswith("PIP_") and k != "PIP_FIND_LINKS"}
    own |= {"PIP_CERT": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    return own | {"WHEELS": "/root/wheels", "PINS": PINS}


def _certificates() -> list[str]:
    if not CERTIFICATES.exists():
        return []
    return [f"--customize-hook=copy-in {CERTIFICATES} {CERTIFICATES.parent}"]


def _source() -> list[tuple[str, bytes]]:
    """Every file that `make install` may read, by its path in the project."""
    found = []
    for name in SOURCE:
        top = PROJECT / name
        paths = sorted(top.rglob("*")) if top.is_dir() else [top]
        found += [
            (str(path.relative_to(PROJECT)), path.read_bytes())
            for path in paths
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return found


def _source_in() -> list[str]:
    """Hooks that put the project to /root/source."""
    pack = f"tar -C {shlex.quote(str(PROJECT))} --exclude=__pycache__ -cf - {_words(*SOURCE)}"
    unpack = 'tar --no-same-owner -C "$1/root/source" -xf -'
    return [f'--customize-hook=mkdir -p "$1/root/source" && {pack} | {unpack}']


def _words(*words: object) -> str:
    return shlex.join(str(word) for word in words)


def _read(name: str) -> bytes:
    return (PROJECT / name).read_bytes()


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _only(part: Path, whole: Path) -> None:
    """What was built gets its name; others of its kind are out of date."""
    for old in whole.parent.glob(f"{whole.name.partition('-')[0]}-*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    part.rename(whole)


def _tell(words: Sequence[str]) -> None:
    """Run it; what it has to say is shown only where it fails."""
    print(f"machine: {words[0]} ... {words[-2]}", file=sys.stderr, flush=True)
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise subprocess.CalledProcessError(done.returncode, words[0])


if __name__ == "__main__":
    print(json.dumps(asdict(machine()), default=str, indent=2))
