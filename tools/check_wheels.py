"""Proves that what the robot installs comes as wheels on a Pi and on a PC, and stays lean.

Asks pip itself, by a dry run for each platform and Python. PyAudio and RPi.GPIO have no Linux
wheels: they are left out here and compiled where they are installed.

    python -m lipsync_tools.check_wheels [--json]
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

SETUP = Path(__file__).parent.parent / "setup.py"
COMPILED = ("pyaudio", "RPi.GPIO")
HEAVY = ("torch", "tensorflow", "jax", "mediapipe", "scipy", "matplotlib")
MACHINES = ("x86_64", "aarch64")
GLIBC = ("2_36", "2_35", "2_34", "2_31", "2_28", "2_27", "2_17", "2_12", "2_5")
# (Python, extras that exist there); the older runtime ends at 3.11.
PYTHONS = (("3.11", "tflite-runtime"), ("3.13", ""))


@dataclass(frozen=True)
class Resolution:
    """What pip would install on one platform; ``error`` is its last line where it cannot."""

    machine: str
    python: str
    extra: str
    packages: tuple[str, ...]
    error: str

    @property
    def heavy(self) -> tuple[str, ...]:
        """Packages that have no place on a robot."""
        return tuple(p for p in self.packages if p.split(" ")[0].lower() in HEAVY)

    @property
    def ok(self) -> bool:
        """True where everything resolves to wheels and nothing heavy is among them."""
        return not self.error and not self.heavy


def requirements(extra: str = "") -> list[str]:
    """REQUIRES (and one extra) of setup.py, read without running it, less what is compiled."""
    found: dict[str, object] = {}
    for node in ast.parse(SETUP.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("REQUIRES", "EXTRAS"):
                found[name] = ast.literal_eval(node.value)
    extras = found["EXTRAS"]
    base = found["REQUIRES"]
    assert isinstance(base, list)
    assert isinstance(extras, dict)
    every = base + (extras[extra] if extra else [])
    return [line for line in every if not line.lower().startswith(tuple(map(str.lower, COMPILED)))]


def for_machine(line: str, machine: str) -> str | None:
    """``line`` with its platform marker decided for ``machine``: pip's own is for this one."""
    requirement, _, marker = line.partition(";")
    if "platform_machine" in marker and f'"{machine}"' not in marker:
        return None
    return requirement.strip()


def resolve(machine: str, python: str, extra: str) -> Resolution:
    """Ask pip what it would install; nothing is installed."""
    wanted = [r for line in requirements(extra) if (r := for_machine(line, machine))]
    platforms = [f"--platform=manylinux_{glibc}_{machine}" for glibc in GLIBC]
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
        *("--disable-pip-version-check", "--no-input", "--quiet", "--report", "-"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={python}"),
        *platforms,
        f"--platform=manylinux2014_{machine}",
        *("--target", "unused"),
        *wanted,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip failed without a word"]
        return Resolution(machine, python, extra, (), lines[-1])
    report = json.loads(done.stdout[done.stdout.index("{") :])
    packages = [item["metadata"] for item in report["install"]]
    names = sorted(f"{p['name']} {p['version']}" for p in packages)
    return Resolution(machine, python, extra, tuple(names), "")


def main() -> int:
    """Print a table (or JSON); exit code 1 where a platform does not resolve."""
    parser = argparse.ArgumentParser(
        prog="check_wheels", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    results = [
        resolve(machine, python, extra)
        for machine in MACHINES
        for python, extras in PYTHONS
        for extra in sorted({"", extras})
    ]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return 0 if all(result.ok for result in results) else 1
    for result in results:
        words = result.error or f"{len(result.packages)} wheels"
        if result.heavy:
            words += f", but heavy: {', '.join(result.heavy)}"
        extra = f"[{result.extra}]" if result.extra else ""
        verdict = "ok " if result.ok else "BAD"
        print(f"{verdict} {result.machine:<8} {result.python} {extra:<17}{words}")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
