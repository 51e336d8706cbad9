"""`make run`: a head and its page beside it, for whoever wants to see what this is.

    python -m lipsync_edge.web.launch [arguments of `lipsync-edge run`]

The head is the unmodified program in the foreground, face and all; the page is a process of its
own, whose words go to a log. Whatever ends the head ends the page. In a terminal the head speaks
its sentence and stays until Ctrl-C; elsewhere it ends with the sentence.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from lipsync_edge.client import Client
from lipsync_edge.errors import ControlError
from lipsync_edge.web.pairing import make_pin

SAMPLE = Path(__file__).parents[1] / "samples/hello.wav"
FOLDER = Path(".cache/run")
CONFIG = """\
# The head of `make run`, yours to change, by hand or on the page. Remove it to begin anew.
head: mouth10   # jaw, jaw-lips, mouth10, face26, or the path of your own profile
"""
FIRST_PORT, N_PORTS = 8080, 20
POLL_S = 0.2


def main(arguments: Sequence[str]) -> int:
    """Start both; the head's exit code."""
    folder = FOLDER.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lipsync-edge-") as private:
        control = f"{private}/control.sock"
        page, address = start_page(folder, control)
        try:
            return run_head([*head_words(arguments, folder, control)], control, arguments)
        finally:
            page.terminate()
            page.wait()
            print(f"The page at {address} has ended too.")


def start_page(folder: Path, control: str) -> tuple[subprocess.Popen[bytes], str]:
    """The page and its address, which is printed and opened where there is a screen."""
    port = free_port()
    words = [sys.executable, "-m", "lipsync_edge.web", "--socket", control, "--port", str(port)]
    words += ["--tls-port", "0", "--state-dir", str(folder)]
    with (folder / "page.log").open("wb") as log:
        page = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    address = f"http://localhost:{port}"
    while page.poll() is None and not answers(address):
        with contextlib.suppress(subprocess.TimeoutExpired):
            page.wait(POLL_S)
    pin = make_pin(folder)
    print(f"The head's page: {address}   (PIN {pin[:3]} {pin[3:]}, once, for ten minutes)")
    if has_screen():
        webbrowser.open(address)
    return page, address


def answers(address: str) -> bool:
    """Whether the page is there."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/hello", timeout=5):
            return True
    except OSError:
        return False


def head_words(arguments: Sequence[str], folder: Path, control: str) -> list[str]:
    """The command of the head: as it was asked for, with a socket, and a config to save to."""
    words = [sys.executable, "-m", "lipsync_edge", "run"]
    if not any(word.endswith((".yaml", ".yml")) for word in arguments):
        config = folder / "robot.yaml"
        if not config.exists():
            config.write_text(CONFIG)
        words.append(str(config))
    words += [*arguments, "--set", f"service.socket={control}"]
    if not stays(arguments) and not plays(arguments):
        words += ["--play", str(SAMPLE)]
    return words


def run_head(words: Sequence[str], control: str, arguments: Sequence[str]) -> int:
    """Its exit code. Ctrl-C reaches it by itself; SIGTERM is passed on."""
    greets = stays(arguments) and not plays(arguments)
    signal.signal(signal.SIGINT, lambda *_: None)  # ours to survive; a child does not inherit it
    head = subprocess.Popen(words)
    signal.signal(signal.SIGTERM, lambda *_: head.terminate())
    try:
        while True:
            try:
                return head.wait(timeout=POLL_S if greets else None)
            except subprocess.TimeoutExpired:
                greets = not greet(control)
    finally:
        head.terminate()
        head.wait()


def greet(control: str) -> bool:
    """Let the head speak its sentence; False where it is not ready yet."""
    try:
        with Client(control) as head, SAMPLE.open("rb") as sound:
            if ready := bool(head.status().get("ready")):
                head.say(sound)
            return ready
    except ControlError:
        return False


def stays(arguments: Sequence[str]) -> bool:
    """Whether somebody sits there who can end it."""
    return sys.stdin.isatty() and "--for" not in arguments


def plays(arguments: Sequence[str]) -> bool:
    """Whether it was said what to speak."""
    return any(word.startswith("--play") for word in arguments)


def free_port() -> int:
    """8080, or the next one that nobody has."""
    for port in range(FIRST_PORT, FIRST_PORT + N_PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    return 0


def has_screen() -> bool:
    """Whether a browser could show something. One in the terminal would take it from the face."""
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown and shutil.which("xdg-open")) or sys.platform == "darwin"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
