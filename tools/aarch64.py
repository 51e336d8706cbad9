"""Are the bundles' goldens equal to the bit on an emulated Raspberry Pi? ``make test-aarch64``.

An arm64 Python is unpacked from Debian's packages, with an apt state of its own that leaves the
machine's alone; the runtime's arm64 wheels lie beside it, and qemu-user runs both. Everything is
kept in a cache folder. The runtime asks the kernel for the processor's caches and dies of a PC's
answer: qemu serves it a Pi's files from the same folder, so no mount and no namespace is needed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipsync_edge.errors import LipsyncError

PROJECT = Path(__file__).parent.parent
CHECK = PROJECT / "tools/golden_check.py"
RUNTIME = "ai-edge-litert==2.3.0"
WHEELS = (RUNTIME, "numpy>=2", "pyyaml>=6")
PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
CORES = 4
_CPUINFO = """processor\t: {k}
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

"""


def find_qemu() -> str:
    """The emulator's path. Raises LipsyncError."""
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        if path := shutil.which(name):
            return path
    raise LipsyncError(
        "There is no qemu-aarch64 here.", "Install it: apt-get install --no-install-recommends "
        "qemu-user"
    )  # fmt: skip


def sources(etc: Path) -> None:
    """Write the machine's Debian sources to ``etc``, without their limits to a processor."""
    apt = Path("/etc/apt")
    own = [apt / "sources.list.d/debian.sources", apt / "sources.list"]
    found = [path for path in own if path.is_file() and path.read_text().strip()]
    for path in found or sorted((apt / "sources.list.d").glob("*")):
        text = re.sub(r"(?m)^Architectures:.*\n", "", path.read_text())
        (etc / path.name).write_text(re.sub(r"\[?\barch=\S+?(?=[\s\]])\]?", "", text))


def download(apt: Path) -> list[Path]:
    """The arm64 packages of a Python with all that it needs, by an apt with a state of its own."""
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    sources(apt / "etc")
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "Dir::State": apt,
        "Dir::State::lists": apt / "lists", "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache", "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": apt / "etc", "APT::Sandbox::User": "root",
        "Acquire::Languages": "none", "APT::Get::AllowUnauthenticated": "false",
    }  # fmt: skip
    words = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items())]
    tell([*words, "update"])
    tell([*words, "install", "-y", "--no-install-recommends", "--download-only", *PACKAGES])
    return sorted((apt / "cache/archives").glob("*.deb"))


def tell(words: Sequence[str | Path]) -> str:
    """Run a command; its standard output. Raises LipsyncError with the end of what it said."""
    try:
        done = subprocess.run(words, text=True, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LipsyncError(f"{words[0]} is missing.", "This check needs Debian's tools.") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-600:]
        raise LipsyncError(f"{' '.join(map(str, words))[:200]}: {done.returncode}: {said}")
    return done.stdout


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack to ``root``, and let qemu find there what the kernel of a Pi would say."""
    for package in packages:
        tell(["dpkg-deb", "-x", package, root])
    for name in ("bin", "lib"):
        if not (root / name).exists():  # since Debian 13 everything is in /usr
            (root / name).symlink_to(f"usr/{name}")
    system = root / "sys/devices/system/cpu"
    every = f"0-{CORES - 1}"
    files = {"possible": every, "present": every, "online": every, "kernel_max": "31"}
    for k in range(CORES):
        files |= {f"cpu{k}/cpufreq/cpuinfo_{m}_freq": "1400000" for m in ("max", "min")}
        for name in ("core_id", "thread_siblings_list", "core_cpus_list"):
            files[f"cpu{k}/topology/{name}"] = str(k)
        for name in ("core_siblings_list", "package_cpus_list", "cluster_cpus_list"):
            files[f"cpu{k}/topology/{name}"] = every
        files |= {f"cpu{k}/topology/{name}_id": "0" for name in ("physical_package", "cluster")}
    for name, text in files.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(f"{text}\n")
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text("".join(_CPUINFO.format(k=k) for k in range(CORES)))


def python_of(root: Path) -> Path:
    """The unpacked interpreter. Raises LipsyncError."""
    found = sorted((root / "usr/bin").glob("python3.[0-9]*"))
    if not found:
        raise LipsyncError(f"{root} holds no Python.", "Remove the cache folder and try again.")
    return found[-1]


def set_up(cache: Path) -> tuple[Path, Path]:
    """The root of the arm64 system and the folder of its wheels, made where they are missing."""
    root, site, done = cache / "root", cache / "site", cache / "done"
    recipe = json.dumps([PACKAGES, WHEELS])
    if not done.exists() or done.read_text() != recipe:
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        print("unpacking an arm64 Python", flush=True)
        unpack(download(cache / "apt"), root)
        version = python_of(root).name.removeprefix("python")
        print(f"installing {RUNTIME} for arm64 and Python {version}", flush=True)
        platforms = [word for p in PLATFORMS for word in ("--platform", f"{p}_aarch64")]
        tell([sys.executable, "-m", "pip", "install", "--quiet", "--target", site, *platforms,
              "--python-version", version, "--implementation", "cp", "--only-binary=:all:",
              *WHEELS])  # fmt: skip
        shutil.rmtree(cache / "apt")
        done.write_text(recipe)
    return root, site


def run_there(qemu: str, cpu: str, cache: Path, bundles: list[Path]) -> list[dict[str, Any]]:
    """What golden_check says on the emulated machine."""
    root, site = set_up(cache)
    words: list[str | Path] = [qemu, "-cpu", cpu, "-L", root, "-E", f"PYTHONHOME={root / 'usr'}",
             "-E", f"PYTHONPATH={site}:{PROJECT}", "-E", "PYTHONDONTWRITEBYTECODE=1",
             python_of(root), "-P", CHECK, *bundles]  # fmt: skip
    found: list[dict[str, Any]] = json.loads(tell(words))
    return found


def main() -> int:
    """Command line; 0 when every golden is equal to the bit, here and there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("bundles", type=Path, nargs="*", help="default: all shipped ones")
    parser.add_argument("--cache", type=Path, default=Path(".cache/aarch64"))
    parser.add_argument("--cpu", default="cortex-a53", help="never max: its results are wrong")
    a = parser.parse_args()
    shipped = sorted(path.parent for path in (PROJECT / "models").glob("*/card.yaml"))
    bundles = [path.resolve() for path in a.bundles or shipped]
    try:
        there = run_there(find_qemu(), a.cpu, a.cache.resolve(), bundles)
        here = json.loads(tell([sys.executable, "-P", CHECK, *bundles]))
    except LipsyncError as error:
        print(f"test-aarch64: {error}", file=sys.stderr)
        return 1
    if {found["machine"] for found in there} != {"aarch64"}:
        print("test-aarch64: this did not run on aarch64", file=sys.stderr)
        return 1
    for found in (*here, *there):
        told = (
            "{machine:8} {runtime}  {bundle}: {frames} frames, {frames_off} differ from the golden"
        )
        print((told + ", by {worst_steps:.0f} steps of the output at most").format(**found))
    return int(any(found["frames_off"] or found["moved"] < 0.1 for found in (*here, *there)))


if __name__ == "__main__":
    raise SystemExit(main())
