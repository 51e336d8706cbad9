"""What the robot's work costs: per hop, per tick, at start, in memory.

Medians and p99 over many rounds on the shipped sample and the shipped model; the machine may be
busy, so compare figures of one run only.

    python -m lipsync_tools.bench [--json] [--head mouth10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_edge import config
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.resample import Resampler, to_float
from lipsync_edge.audio.ring import Ring
from lipsync_edge.audio.wav import open_source
from lipsync_edge.build import make_board, make_model
from lipsync_edge.cli import SAMPLE
from lipsync_edge.clock import Bell, MonotonicClock
from lipsync_edge.features import Features
from lipsync_edge.motion import Motion, MotionSpec
from lipsync_edge.planner import Planner
from lipsync_edge.servos.gate import Gate
from lipsync_edge.servos.rig import Rig
from lipsync_edge.timeline import Timeline, TimelineSpec

STREAM_HZ = 48_000


def timed(rounds: int, work: Callable[[int], Any], warm_up: int = 50) -> dict[str, float]:
    """Median and p99 of ``work(k)`` in microseconds."""
    for k in range(warm_up):
        work(k)
    spent = np.zeros(rounds)
    for k in range(rounds):
        begun = time.perf_counter_ns()
        work(warm_up + k)
        spent[k] = time.perf_counter_ns() - begun
    return {
        "p50_us": float(np.percentile(spent, 50)) / 1e3,
        "p99_us": float(np.percentile(spent, 99)) / 1e3,
    }


def sound() -> np.ndarray[Any, np.dtype[np.int16]]:
    """The shipped sample, once."""
    source = open_source(str(SAMPLE))
    parts = []
    while len(part := source.read(65536)):
        parts.append(part)
    return np.concatenate(parts)


def measure_parts(head: str, rounds: int) -> dict[str, dict[str, float]]:
    """Cost of each part on the way, each alone."""
    settings = config.load(None, [("board.driver", "simulator")], head=head)
    clock = MonotonicClock()
    model = make_model(settings, clock)
    rig = Rig(settings.head, model.axes)
    board = make_board(settings, rig, clock)
    board.open()
    spec = model.spec
    features = Features(spec)
    samples = to_float(sound())
    frames = [
        samples[k : k + spec.frame_length]
        for k in range(0, len(samples) - spec.frame_length, spec.hop_length)
    ]
    rows = [features.relative(features.mel_db(frame)) for frame in frames]
    poses = [model.step(row).copy() for row in rows]
    timeline = Timeline(TimelineSpec(len(model.axes), spec.hop_s * STREAM_HZ, 4e3, 1e4))
    motion = Motion(rig, STREAM_HZ, MotionSpec(), model.axes, settings.head.personality)
    gate = Gate(rig.min_us, rig.max_us, rig.slew_us_per_s)
    n, hop = len(frames), spec.hop_s * STREAM_HZ
    blocks = [frame[: spec.hop_length] for frame in frames]
    step = motion.step(0.0, timeline)

    def decode(k: int) -> None:
        if np.isfinite(poses[k % n]).all():
            timeline.put(k * hop, poses[k % n])

    result = {
        "features": timed(rounds, lambda k: features.push(blocks[k % n])),
        "inference": timed(rounds, lambda k: model.step(rows[k % n])),
        "decode": timed(rounds, decode),
    }
    newest = timeline.newest
    widths = [motion.step(newest - 50 * hop + k * hop / 4, timeline).widths_us for k in range(200)]
    result["motion"] = timed(rounds, lambda k: motion.step(newest - (k % 200) * hop / 4, timeline))
    result["gate"] = timed(rounds, lambda k: gate.pass_(widths[k % 200], 0.02))
    result["board"] = timed(rounds, lambda k: board.write(widths[k % 200]))
    board.close()
    result |= measure_audio(rounds)
    assert not step.starved
    return result


def measure_planner(rounds: int) -> list[dict[str, float]]:
    """Cost of the planner alone by servos and ticks ahead, on random targets."""
    rng, rows = np.random.default_rng(0), []
    for n_servos, ahead in ((1, 8), (13, 8), (26, 8), (52, 8), (26, 4), (26, 16), (26, 32)):
        planner = Planner(np.full(n_servos, 0.5), 0.2, 0.1, ahead, 0.01)
        targets = rng.random((100, n_servos, ahead))
        weights = rng.uniform(0.5, 20.0, (100, n_servos, ahead))
        figures = timed(rounds // 5, lambda k: planner.step(targets[k % 100], weights[k % 100]))  # noqa: B023
        rows.append({"servos": n_servos, "ahead": ahead, **figures})
    return rows


def measure_audio(rounds: int) -> dict[str, dict[str, float]]:
    """Cost of the callback's courier per block, and of the resampler per hop."""
    ring, out = Ring(STREAM_HZ), np.zeros(256, np.int16)
    block = np.arange(256, dtype=np.int16)
    courier = BlockCourier(ring, Bell(), int(0.2 * STREAM_HZ), None)
    resampler = Resampler(STREAM_HZ, 16_000)
    hop = np.zeros(480, np.float32)
    return {
        "resampler": timed(rounds, lambda k: resampler.push(hop)),
        "callback": timed(rounds, lambda k: courier.carry(block, out, k * 0.005, 0.01, False)),
    }


def wall_s(arguments: list[str], rounds: int = 5) -> float:
    """Median wall time of ``python ARGUMENTS`` in seconds."""
    spent = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def measure_start(head: str, rounds: int = 3) -> dict[str, float]:
    """Import time, and start to ready and memory of a real `lipsync-edge run`, medians."""
    run = [sys.executable, "-m", "lipsync_edge", "run", "--json", "--head", head, "--for", "2"]
    run += ["--set", "audio.driver=dummy", "--set", "board.driver=simulator"]
    reports = [
        json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
        for _ in range(rounds)
    ]
    bare_s = wall_s(["-c", "pass"])
    return {
        "import_s": wall_s(["-c", "import lipsync_edge.app"]) - bare_s,
        "ready_s": statistics.median(report["ready_s"] for report in reports),
        "peak_rss_mb": statistics.median(report["peak_rss_mb"] for report in reports),
    }


def measure_page(viewers: int = 5, seconds: float = 3.0) -> dict[str, float]:
    """Memory of a real `lipsync-edge-web` while so many look, and messages a second to each."""
    from lipsync_tools.viewers import CONFIG, a_round
    from lipsync_tools.webstage import Head, Page

    with tempfile.TemporaryDirectory() as name:
        config, control = Path(name) / "head.yaml", Path(name) / "head.sock"
        config.write_text(CONFIG.format(socket=control))
        with Head(config, control), Page(Path(name), control, "--state-dir", name) as page:
            url = page.address.replace("http", "ws") + "/api/v1/live"
            counts = asyncio.run(a_round(url, viewers, seconds))
            return {"page_rss_mb": page.rss_mb, "page_viewers": viewers,
                    "page_messages_hz": min(counts) / seconds}  # fmt: skip


def main() -> int:
    """Print the table or JSON."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--head", default="mouth10", help="head profile (default: mouth10)")
    parser.add_argument("--rounds", type=int, default=3000, help="rounds per part")
    arguments = parser.parse_args()
    parts = measure_parts(arguments.head, arguments.rounds)
    planner = measure_planner(arguments.rounds)
    start = measure_start(arguments.head)
    page = measure_page()
    per_hop = ("resampler", "features", "inference", "decode")
    per_tick = ("motion", "gate", "board")
    hop_us = sum(parts[name]["p50_us"] for name in per_hop)
    tick_us = sum(parts[name]["p50_us"] for name in per_tick)
    callback_us = parts["callback"]["p50_us"]
    load = hop_us / 10_000 + tick_us / 20_000 + callback_us / (256 / STREAM_HZ * 1e6)
    report = {"head": arguments.head, "parts": parts, "hop_us": hop_us, "tick_us": tick_us,
              "planner": planner,
              "load_of_one_core": load, **start, **page}  # fmt: skip
    if arguments.json:
        print(json.dumps(report, indent=2))
        return 0
    print(f"{'part':<12}{'p50 us':>10}{'p99 us':>10}   runs every")
    period = dict.fromkeys(per_hop, "hop (10 ms)") | dict.fromkeys(per_tick, "tick (20 ms)")
    for name, figures in parts.items():
        every = period.get(name, "block (256 samples)")
        print(f"{name:<12}{figures['p50_us']:>10.1f}{figures['p99_us']:>10.1f}   {every}")
    print(f"all together: {100 * load:.1f} % of one core (head {arguments.head})")
    for row in planner:
        print(f"planner, {row['servos']:>2} servos, {row['ahead']:>2} ticks ahead: "
              f"{row['p50_us']:.0f} us")  # fmt: skip
    print(f"import {start['import_s']:.2f} s, start to ready {start['ready_s']:.2f} s, "
          f"peak memory {start['peak_rss_mb']:.0f} MB")  # fmt: skip
    print(f"page with {page['page_viewers']} viewers: {page['page_rss_mb']:.1f} MB, "
          f"{page['page_messages_hz']:.0f} messages a second to each")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
