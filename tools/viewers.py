"""Do viewers of the page disturb the head? How late its ticks are with and without, by turns.

    python -m lipsync_tools.viewers [--viewers 5] [--rounds 6] [--seconds 8] [--json]

A head speaks the shipped sentence over and over, its page runs beside it. In odd rounds nobody
looks, in even ones so many programs read the live view. Lateness is the mover's own figure, of
every tick, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_edge import app, cli
from lipsync_edge.cli import SAMPLE
from lipsync_edge.telemetry import Telemetry
from lipsync_tools.webstage import Head, Page

CONFIG = """\
head: mouth10
audio: {{driver: dummy}}
board: {{driver: simulator}}
service: {{socket: {socket}}}
"""
EDGE_TICKS = 25
"""Left out at both ends of a round: connections come and go there, and the count is not exact."""


def run_head(arguments: list[str], out: Path) -> int:
    """The unmodified program, whose lateness is kept: ``out`` holds each tick's, in seconds."""
    kept: list[Telemetry] = []

    def telemetry() -> Telemetry:
        kept.append(Telemetry())
        return kept[-1]

    app.Telemetry = telemetry  # type: ignore[misc,assignment]
    try:
        return cli.main(arguments)
    finally:
        np.save(out, kept[-1].late_s.values())


async def look(url: str, seconds: float) -> int:
    """Messages that one viewer got in so many seconds."""
    from tornado.websocket import websocket_connect

    connection = await websocket_connect(url)
    count = 0
    try:
        async with asyncio.timeout(seconds):
            while await connection.read_message() is not None:
                count += 1
    except TimeoutError:
        pass
    connection.close()
    return count


async def a_round(url: str, viewers: int, seconds: float) -> list[int]:
    """Messages by viewer."""
    if not viewers:
        await asyncio.sleep(seconds)
    return await asyncio.gather(*(look(url, seconds) for _ in range(viewers)))


def spread(late_s: np.ndarray[Any, Any]) -> dict[str, float]:
    """Of lateness in milliseconds."""
    p50, p99 = np.percentile(late_s * 1e3, (50, 99))
    return {"p50_ms": float(p50), "p99_ms": float(p99), "ticks": len(late_s)}


def measure(folder: Path, viewers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Both spreads, messages a second of the slowest viewer, memory of the page."""
    config, control, kept = folder / "head.yaml", folder / "head.sock", folder / "late.npy"
    config.write_text(CONFIG.format(socket=control))
    marks: list[tuple[int, int]] = []
    counts: list[int] = []
    head = Head(config, control, "--kept", str(kept), module="lipsync_tools.viewers")
    with head, Page(folder, control) as page:
        url = page.address.replace("http", "ws") + "/api/v1/live"
        for k in range(2 * rounds):
            head.ask("hush")
            head.say(SAMPLE)
            head.say(SAMPLE)
            begun = head.status()["ticks"]
            counts += asyncio.run(a_round(url, viewers if k % 2 else 0, seconds))
            marks.append((begun, head.status()["ticks"]))
        rss_mb = page.rss_mb
    late_s = np.load(kept)
    parts = [late_s[a + EDGE_TICKS : b - EDGE_TICKS] for a, b in marks]
    return {
        "viewers": viewers, "none": spread(np.concatenate(parts[0::2])),
        "some": spread(np.concatenate(parts[1::2])), "rounds_p99_ms":
        [spread(part)["p99_ms"] for part in parts], "least_hz": min(counts) / seconds,
        "page_rss_mb": rss_mb,
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Print both lines."""
    parser = argparse.ArgumentParser(prog="viewers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--viewers", type=int, default=5, help="programs that look (default: 5)")
    parser.add_argument("--rounds", type=int, default=6, help="rounds with, and as many without")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a round")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), given.viewers, given.rounds, given.seconds)
    if given.json:
        print(json.dumps(report, indent=2))
        return 0
    for name, words in (("none", "no viewer"), ("some", f"{given.viewers} viewers")):
        row = report[name]
        print(f"{words:<12}ticks late by p50 {row['p50_ms']:.3f} ms, p99 {row['p99_ms']:.3f} ms "
              f"({row['ticks']} ticks)")  # fmt: skip
    print(f"each viewer got {report['least_hz']:.1f} messages a second or more; "
          f"the page has {report['page_rss_mb']:.1f} MB")  # fmt: skip
    return 0


if __name__ == "__main__":
    if "--kept" in sys.argv:
        where = sys.argv.index("--kept")
        words = sys.argv[1:where] + sys.argv[where + 2 :]
        raise SystemExit(run_head(words, Path(sys.argv[where + 1])))
    raise SystemExit(main())
