#!/usr/bin/env python3
"""Does in the guest what the test outside asks for, by files in a folder that both see.

A request `in/NAME` holds {"run": [words], "user": name, "timeout_s": seconds} or {"kill": unit,
"signal": number}; its answer `out/NAME` {"code", "out", "err", "began_s", "ended_s"} by the guest's
monotonic clock. Requests run side by side. It is a tool of the test: no robot has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

POLL_S = 0.05


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the request says is done; times in seconds."""
    if "kill" in request:
        return kill(str(request["kill"]), int(request["signal"]))
    words = [str(word) for word in request["run"]]
    if user := request.get("user"):
        words = ["runuser", "-u", user, "--", *words]
    began_s = time.monotonic()
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL, timeout=float(request.get("timeout_s", 60)), cwd="/",
        )  # fmt: skip
        result = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
    except subprocess.TimeoutExpired:
        result = {"code": -1, "out": "", "err": "timed out in the guest"}
    except OSError as error:
        result = {"code": -1, "out": "", "err": str(error)}
    return result | {"began_s": began_s, "ended_s": time.monotonic()}


def kill(unit: str, number: int) -> dict[str, Any]:
    """A signal for the unit's main process; ``began_s`` is the moment before it."""
    show = ["systemctl", "show", "--value", "-p", "MainPID", unit]
    pid = int(subprocess.run(show, capture_output=True, text=True, check=True).stdout)
    began_s = time.monotonic()
    os.kill(pid, number)
    return {"code": 0, "out": str(pid), "err": "", "began_s": began_s, "ended_s": time.monotonic()}


def serve(path: Path, out: Path) -> None:
    """Answer one request; the answer appears whole."""
    result = answer(json.loads(path.read_text()))
    part = out / f".{path.name}"
    part.write_text(json.dumps(result))
    part.rename(out / path.name)


def main(folder: Path) -> None:
    """For ever. The file `alive` tells that this boot's agent listens."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (folder / "alive").write_text(boot)
    while True:
        for path in sorted((folder / "in").iterdir()):
            if not path.name.startswith("."):
                taken = path.rename(folder / "taken" / path.name)
                threading.Thread(target=serve, args=(taken, folder / "out")).start()
        time.sleep(POLL_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
