"""`make run` in a terminal: the face there, the page beside it, and Ctrl-C ends both."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lipsync_tools.webstage import until

LAUNCH = [sys.executable, "-m", "lipsync_edge.web.launch", "--set", "audio.driver=dummy"]
LAUNCH += ["--set", "board.driver=simulator"]


def hello(address: str) -> Any:
    try:
        with urllib.request.urlopen(f"{address}/api/v1/hello", timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError):
        return {}


class Terminal:
    """A program in a terminal of its own, without a screen beside it."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.text = ""
        pid, self._fd = pty.fork()
        if not pid:
            os.chdir(folder)
            for name in ("DISPLAY", "WAYLAND_DISPLAY"):
                os.environ.pop(name, None)
            os.execv(words[0], words)
        self.pid = pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while part := os.read(self._fd, 65536):
                self.text += part.decode(errors="replace")
        except OSError:  # the program has ended
            pass

    def type(self, data: bytes) -> None:
        os.write(self._fd, data)

    def wait(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        self._reader.join(10)
        return os.waitstatus_to_exitcode(status)


def test_ctrl_c_ends_the_head_and_its_page(tmp_path: Path) -> None:
    terminal = Terminal(LAUNCH, tmp_path)
    try:
        address = until(lambda: re.findall(r"http://localhost:\d+", terminal.text))[0]
        assert re.search(r"PIN \d{3} \d{3}", terminal.text)
        until(lambda: hello(address).get("engine") == "up", word="a head that is up")
        until(lambda: any("⠀" < c <= "⣿" for c in terminal.text), word="a face in the terminal")
        assert (tmp_path / ".cache/run/robot.yaml").exists()
    finally:
        terminal.type(b"\x03")
        code = terminal.wait()
    assert "outputs off" in terminal.text
    assert "Traceback" not in terminal.text
    assert code == 0
    assert hello(address) == {}


def test_without_a_terminal_it_speaks_and_ends(tmp_path: Path) -> None:
    words = [*LAUNCH, "--ui", "plain", "--for", "3"]
    done = subprocess.run(
        words, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    address = re.findall(r"http://localhost:\d+", done.stdout)[0]
    assert "hops" in done.stdout
    assert hello(address) == {}
