"""What the installer asks of pip and apt for a computer's pins, and for one without network.

In place of Python, apt and compilers stand scripts that write down how they were called.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_systemd import ROOT, run

PYTHON = """#!/bin/sh
# Python {version}, with a venv that holds {held}.
echo "PYPI=${{PYPI:-}} $*" >>{log}
case "$*" in
"-m venv "*)
    for last; do :; done
    mkdir -p "$last/bin"
    cp "$0" "$last/bin/python"
    ;;
*"pip show --quiet {held}") ;;
*"pip show "* | *"{missing}"*) exit 1 ;;
"-c "*"(3, 13)"*) exit {newer} ;;
"-c "*version_info*) echo {version} ;;
esac
"""
PI4, PI5 = "Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 5 Model B Rev 1.0"
RPI, LGPIO = "RPi.GPIO>=0.7.1", "rpi-lgpio>=0.6"


class Desk:
    """Fakes in a folder that is searched first."""

    def __init__(self, folder: Path) -> None:
        self.log, self.bin = folder / "log", folder / "bin"
        self.bin.mkdir()
        for name, text in {
            "apt-get": f'#!/bin/sh\necho "apt-get $*" >>{self.log}\n',
            "cc": "#!/bin/sh\n", "id": "#!/bin/sh\necho 0\n",
        }.items():  # fmt: skip
            self.program(name, text)
        self.python()

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def python(self, version: str = "3.11", held: str = "nothing", missing: str = "<none>") -> None:
        newer = int(version >= "3.13")
        self.program("python3", PYTHON.format(
            log=self.log, version=version, held=held, missing=missing, newer=newer
        ))  # fmt: skip

    def run(self, what: str, path: str = os.environ["PATH"], **words: str) -> list[str]:
        """What was called, line by line."""
        self.log.write_text("")
        surroundings = {"PATH": f"{self.bin}:{path}", "PYTHON": str(self.bin / "python3"), **words}
        name, *arguments = what.split()
        done = run("/bin/sh", ROOT / "tools" / name, *arguments, **surroundings)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.log.read_text().splitlines()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def by_pip(calls: list[str], command: str) -> list[str]:
    """The packages that pip was asked for, one a call; with PYPI=1, where that was set."""
    return [
        call.split()[0].removeprefix("PYPI=") + " " + call.split()[-1]
        for call in calls
        if f"-m pip {command} " in call
    ]


@pytest.mark.parametrize(
    ("board", "library"),
    [(PI4, RPI), (PI5, LGPIO), ("Raspberry Pi 500 Rev 1.0", LGPIO),
     ("Raspberry Pi Compute Module 5 Rev 1.0", LGPIO), ("Some PC", None)],
)  # fmt: skip
def test_each_board_gets_the_library_for_its_pins(
    desk: Desk, tmp_path: Path, board: str, library: str | None
) -> None:
    calls = desk.run("install.sh install", DESTDIR=str(tmp_path / "root"), BOARD=board)
    asked = [name for name in by_pip(calls, "install") if "lipsync-edge" not in name]
    # PYPI=1: lgpio compiles its own sources, for no system has its library for sure.
    assert asked == ([f"1 {library}"] if library else [])
    assert not [call for call in calls if "uninstall" in call]


@pytest.mark.parametrize(
    ("board", "asked", "held"), [(PI5, {}, "RPi.GPIO"), (PI4, {"PINS": "rpi-lgpio"}, "RPi.GPIO"),
                                 (PI4, {}, "rpi-lgpio")]
)  # fmt: skip
def test_two_libraries_for_the_pins_are_one_too_many(
    desk: Desk, tmp_path: Path, board: str, asked: dict[str, str], held: str
) -> None:
    desk.python(held=held)
    calls = desk.run("install.sh install", DESTDIR=str(tmp_path / "root"), BOARD=board, **asked)
    assert by_pip(calls, "uninstall") == [f" {held}"]
    last = by_pip(calls, "install")[-1]
    assert last == "1 " + asked.get("PINS", LGPIO if board == PI5 else RPI)
    uninstalled = next(k for k, call in enumerate(calls) if "uninstall" in call)
    installed = next(k for k, call in enumerate(calls) if call.endswith(last.split()[1]))
    assert uninstalled < installed


@pytest.mark.parametrize(("version", "packages"), [("3.11", []), ("3.13", ["swig"])])
def test_a_newer_python_compiles_the_library_for_the_pins(
    desk: Desk, version: str, packages: list[str]
) -> None:
    desk.python(version)
    calls = desk.run(f"system-packages.sh pins {desk.bin}/python3", path="")
    installed = [call.split()[4:-1] for call in calls if call.startswith("apt-get install")]
    assert installed == ([packages] if packages else [])


@pytest.mark.parametrize("board", [PI4, PI5, "Some PC"])
def test_all_that_a_pi_without_network_needs_is_collected(
    desk: Desk, tmp_path: Path, board: str
) -> None:
    desk.python("3.13", missing="ensurepip")
    desk.program("swig", "#!/bin/sh\n")
    wheels = str(tmp_path / "wheels")
    calls = desk.run("install.sh wheels", BOARD=board, WHEELS=wheels)
    program, *pins = by_pip(calls, "wheel")
    assert program.endswith("setuptools>=70.1")
    assert pins == {PI4: [f"1 {RPI}"], PI5: [f"1 {LGPIO}"]}.get(board, [])
    assert all(f"--wheel-dir {wheels} " in call for call in calls if "pip wheel" in call)
    # PyAudio compiles, too, so what that needs is looked for first.
    (asked,) = [k for k, call in enumerate(calls) if call.startswith("apt-get install")]
    assert "python3-venv" in calls[asked]
    assert asked < next(k for k, call in enumerate(calls) if "pip wheel" in call)
