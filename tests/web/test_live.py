"""The live view in a real browser, beside what `lipsync-edge render` says of the same sound."""

from __future__ import annotations

import csv
import io
import math
import re
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from stage import Stage

from lipsync_edge.cli import SAMPLE
from lipsync_edge.mouth import opening
from lipsync_tools.webstage import until

Array = NDArray[np.float64]

WATCH = """() => {
  // What is drawn, and when it can be seen: it is drawn before this frame, shown with it at the
  // earliest, and surely when the next one begins.
  window.seen = []; let last = '', drawn = null;
  const look = (now) => {
    if (drawn) { window.seen.push([...drawn, now]); drawn = null; }
    const face = document.querySelector('[data-opening]');
    if (face && face.dataset.at && face.dataset.at !== last) {
      last = face.dataset.at;
      drawn = [Number(last), Number(face.dataset.opening)];
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


@pytest.fixture
def page(stage: Stage, chromium: Any) -> Any:
    """The live view, with a head behind it."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 800})
    opened.goto(f"{stage.page.address}/#live")
    opened.wait_for_selector("[data-opening][data-at]")
    yield opened
    opened.close()


def browser_clock_s(page: Any) -> float:
    """CLOCK_MONOTONIC minus the browser's performance.now(), by the fastest of many questions."""
    asked = []
    for _ in range(40):
        before = Stage.now()
        told_s = page.evaluate("performance.now()") / 1e3
        after = Stage.now()
        asked.append((after - before, (before + after) / 2 - told_s))
    return min(asked)[1]


def rendered(stage: Stage) -> tuple[Array, Array]:
    """Time in the sound and how far the mouth is to be open then, by `lipsync-edge render`."""
    words = [sys.executable, "-m", "lipsync_edge", "render", str(SAMPLE)]
    words += ["--config", str(stage.config)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    poses = [{k[5:]: float(v) for k, v in row.items() if k.startswith("pose.")} for row in rows]
    return (
        np.array([float(row["time_s"]) for row in rows]),
        np.array([opening(pose) for pose in poses]),
    )


def likeness(at_s: Array, drawn: Array, time_s: Array, wanted: Array) -> tuple[float, float]:
    """The best correlation over all shifts of one against the other, and that shift in seconds."""
    best = (-1.0, 0.0)
    for shift_s in np.arange(at_s[0] - 1.0, at_s[-1] - time_s[-1] + 1.0, 0.004):
        there = np.interp(at_s - shift_s, time_s, wanted, left=0.0, right=0.0)
        if there.std() > 0:
            best = max(best, (float(np.corrcoef(drawn, there)[0, 1]), float(shift_s)))
    return best


def test_the_face_moves_with_the_sound(stage: Stage, page: Any, record_property: Any) -> None:
    time_s, wanted = rendered(stage)
    page.evaluate(WATCH)
    offset_s = browser_clock_s(page)
    stage.head.say(SAMPLE)
    page.wait_for_timeout(1000 * float(time_s[-1]) + 2000)
    seen = np.array(page.evaluate("window.seen"))
    at_s, drawn, shown_s = seen[:, 0], seen[:, 1], seen[:, 2] / 1e3 + offset_s

    r, _ = likeness(at_s, drawn, time_s, wanted)
    delay_ms = 1e3 * (shown_s - at_s)
    figures = {
        "frames": len(seen), "hz": len(seen) / (at_s[-1] - at_s[0]), "r": r,
        "p50_ms": float(np.percentile(delay_ms, 50)), "p95_ms": float(np.percentile(delay_ms, 95)),
    }  # fmt: skip
    print("live view:", {name: round(value, 4) for name, value in figures.items()})
    assert wanted.max() > 0.3
    assert r >= 0.99
    assert figures["hz"] >= 25
    assert np.percentile(delay_ms, 1) > 0
    assert figures["p95_ms"] <= 100


def gap_px(page: Any) -> float:
    """Height of the opening between the lips in the picture itself, in the middle of the face."""
    from PIL import Image

    box = page.locator("[data-opening]").bounding_box()
    picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
    column = np.asarray(picture)[:, picture.width // 2].astype(int)
    lips = [tuple(int(h[k : k + 2], 16) for k in (0, 2, 4)) for h in ("b4504e", "c9645d")]
    upper, lower = ((abs(column - np.array(c)).sum(axis=1) < 9).nonzero()[0] for c in lips)
    assert len(upper), "no upper lip in the picture"
    assert len(lower), "no lower lip in the picture"
    ends = upper[np.diff(upper, append=np.inf) > 2]  # an edge further down may look like the lip
    return float(lower[lower > ends[0]].min() - ends[0] - 1)


def test_the_picture_itself_opens_by_so_much(stage: Stage, page: Any) -> None:
    poses = [{"jawOpen": jaw} for jaw in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    gaps = []
    for pose in poses:
        stage.head.ask("pose", axes=pose, hold_s=30)
        wanted = opening(pose)
        until(lambda w=wanted: abs(told_opening(page) - w) < 0.01, 10, f"an opening of {wanted}")  # type: ignore[misc]
        page.wait_for_timeout(100)
        gaps.append(gap_px(page))
    stage.head.ask("follow")
    print("drawn gaps, px:", gaps)
    assert np.corrcoef(gaps, [opening(pose) for pose in poses])[0, 1] >= 0.99
    assert gaps[-1] - gaps[0] > 20


def told_opening(page: Any) -> float:
    return float(page.locator("[data-opening]").get_attribute("data-opening"))


def test_horns_level_and_figures_are_there(stage: Stage, page: Any) -> None:
    text = page.inner_text("body")
    for servo in ("jaw", "upper_lip", "lower_lip"):
        assert servo in text
    for word in ("xruns", "CPU", "late"):
        assert word.lower() in text.lower()


def test_a_slow_reader_slows_nobody(stage: Stage, page: Any) -> None:
    """It asks for the view and never reads; the head, and those who read, notice nothing."""
    page.evaluate(WATCH)
    plain = stage.connect()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    plain.sendall(
        b"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: a2tra2tra2tra2tra2traw==\r\n\r\n" % stage.page.port
    )
    before_mb, ticks = stage.page.rss_mb, stage.head.status()["ticks"]
    page.wait_for_timeout(6000)
    seen = page.evaluate("window.seen")
    after = stage.head.status()
    plain.close()
    assert len(seen) >= 25 * 5
    assert after["ticks"] - ticks >= 50 * 5
    assert stage.page.rss_mb - before_mb < 8


def test_the_view_comes_back_after_a_restart_of_the_head(stage: Stage, page: Any) -> None:
    page.evaluate(WATCH)
    stage.head.end()
    away = re.compile("not (running|there|connected)|down|gone", re.I)
    until(lambda: away.search(page.inner_text("body")), word="a word of it")
    stage.head.start()
    until(stage.head._ready, word="a head that is ready")
    page.evaluate("window.seen.length = 0")
    until(lambda: page.evaluate("window.seen.length") > 60, 20, "a face that moves")
    stage.head.ask("pose", axes={"jawOpen": 1.0}, hold_s=10)
    until(lambda: told_opening(page) > 0.9, 10, "an open mouth")
    stage.head.ask("follow")
    assert not math.isnan(stage.pulses_us[0])


def test_a_page_that_was_lost_comes_back(stage: Stage, page: Any) -> None:
    page.evaluate(WATCH)
    stage.page.end()
    page.wait_for_timeout(1000)
    stage.page.start()
    until(stage.page._hello, word="a page that answers")
    page.evaluate("window.seen.length = 0")
    until(lambda: page.evaluate("window.seen.length") > 60, 30, "a face that moves")
