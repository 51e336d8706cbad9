"""Hours of continuous speech from a microphone to a speaker on a real sound server, and a verdict.

    python -m lipsync_tools.soak SECONDS

prints JSON, and once a minute on standard error how it goes. The delay is measured from outside:
what the microphone heard is found in what the speaker played, by cross-correlation. Both are the
channels of one recording of one sound card, so that it is right to the sample. Gaps are heard
there, too. The servo board is the drill's: simulated chips behind the real driver, in this process,
where each pulse is held against the limits of its servo.

Not all of that delay is the head's: ``input.delay_ms`` is its share from card to card, and what it
looks ahead comes on top; the rest waits in the server's streams.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_edge import config
from lipsync_edge.clock import MonotonicClock
from lipsync_tools.drill.board import Board
from lipsync_tools.drill.record import Outputs, is_off
from lipsync_tools.drill.sound import write_speech
from lipsync_tools.soundserver import RATE_HZ, SoundServer, missing

SETTINGS = ("audio.driver=portaudio", "audio.input=mic", "audio.output=speaker",
            f"audio.rate_hz={RATE_HZ}", "board.driver=simulator", "motion.rate_hz=50")  # fmt: skip
EVERY_S = 10.0
GAP_S = 0.03  # digital silence for so long; there is none in the speech
PIECE_S, REACH_S = 1.0, 2.5  # what is looked for, and how much later it may come
WARM_UP, WARM_UP_S = 0.1, 300.0
"""Share of the time after which all has been used once, at least the seconds after which clocks
have settled; in a short run half of it."""
MAX_RSS_GROWTH, MAX_DRIFT_MS = 1.0, 1.0  # per cent, ms
MAX_SPREAD_MS = 10.0  # of nine in ten delays: a computer may be busy for a while, not for ever
LEAST_HEARD, MAX_NOT_FOUND = 0.98, 0.01  # of the time; of the delays


class Recorder:
    """Listens to both channels of the card without a break; :meth:`piece` gives what came."""

    KEPT_S = 20
    PLAYED, HEARD = 0, 1

    def __init__(self, server: SoundServer) -> None:
        self._kept = np.zeros((self.KEPT_S * RATE_HZ, 2), np.int16)
        self._silent = 0  # samples played since the last that was not zero
        self.n_samples = 0
        self.gaps_s: list[float] = []  # digital silence at the speaker, GAP_S and longer
        self._process = subprocess.Popen(
            ("parec", "--latency-msec=50", "-d", "card.monitor", "--format=s16le", "--channels=2",
             "--channel-map=front-left,front-right", f"--rate={RATE_HZ}", "--raw"),
            env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def piece(self, channel: int, begin: int, seconds: float) -> NDArray[np.float64]:
        """Samples (n,) of a channel from index ``begin``, which must not be older than 20 s."""
        index = np.arange(begin, begin + int(seconds * RATE_HZ)) % len(self._kept)
        return self._kept[index, channel].astype(np.float64)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(5)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while data := self._process.stdout.read(4 * RATE_HZ // 50):
            block = np.frombuffer(data[: len(data) // 4 * 4], np.int16).reshape(-1, 2)
            index = np.arange(self.n_samples, self.n_samples + len(block)) % len(self._kept)
            self._kept[index] = block
            self.n_samples += len(block)
            self._hear_gaps(block[:, self.PLAYED])

    def _hear_gaps(self, played: NDArray[np.int16]) -> None:
        sounds = np.flatnonzero(played)
        if not len(sounds):
            self._silent += len(played)
            return
        for n_samples in (self._silent + int(sounds[0]), *np.diff(sounds)):
            if n_samples >= GAP_S * RATE_HZ:
                self.gaps_s.append(float(n_samples) / RATE_HZ)
        self._silent = len(played) - 1 - int(sounds[-1])


def lag_ms(heard: NDArray[np.float64], played: NDArray[np.float64]) -> float:
    """How much later ``heard`` (n,) comes in ``played`` (m > n,), in ms between samples; NaN where
    it does not: a correlation below one half."""
    size = 1 << (len(heard) + len(played)).bit_length()
    spectrum = np.fft.rfft(played, size) * np.conj(np.fft.rfft(heard, size))
    match = np.fft.irfft(spectrum, size)[: len(played) - len(heard)]
    k = int(match.argmax())
    energy = np.sqrt((heard**2).sum() * (played[k : k + len(heard)] ** 2).sum())
    if not 0 < k < len(match) - 1 or match[k] < 0.5 * energy:
        return float("nan")
    left, top, right = match[k - 1 : k + 2]  # a parabola through the top
    return float(1e3 * (k + (left - right) / (2 * (left - 2 * top + right))) / RATE_HZ)


def rss_kb_and_threads(pid: int) -> tuple[int, int]:
    """What the kernel counts for a process. OSError where it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = {name: text.split() for name, _, text in (line.partition(":") for line in lines)}
    if "VmRSS" not in told:
        raise ProcessLookupError(pid)
    return int(told["VmRSS"][0]), int(told["Threads"][0])


def warm_up(seconds: float) -> float:
    """The share of a run of ``seconds`` that does not count."""
    return min(max(WARM_UP, WARM_UP_S / seconds), 0.5)


class Pulses:
    """Looks at what the board was told and forgets it: hours of it are too much to keep."""

    def __init__(self, board: Board, outputs: Outputs) -> None:
        self._board, self._outputs = board, outputs
        self.n_updates = self.n_outside = 0
        self.off = True

    def look(self) -> None:
        """Take what came since the last call."""
        moments = self._board.take()
        self.n_updates += len(moments)
        self.n_outside += len(self._outputs.outside(moments))
        self.off = is_off(moments[-1]) if moments else self.off


def judge(
    wanted_s: float,
    rss_kb: Sequence[float],
    threads: Sequence[int],
    lags_ms: Sequence[float],
    gaps_s: Sequence[float],
    summary: dict[str, Any],
) -> dict[str, Any]:
    """The figures and the verdict. The series are of equal steps in time; NaN: not measured.

    ``gaps_s``: the gaps in what was played after the warm-up. Growth and drift are those between
    the first and the last tenth after the warm-up; growth is made up for the whole time.
    """
    n_warm = int(warm_up(wanted_s) * len(rss_kb)) + 1
    tenth = max(1, len(rss_kb) // 10)
    lags = np.array(lags_ms[n_warm:])
    lags = lags[np.isfinite(lags)]
    first_kb = float(np.median(rss_kb[n_warm : n_warm + tenth]))
    growth = 100 * (float(np.median(rss_kb[-tenth:])) / first_kb - 1)
    growth *= len(rss_kb) / max(1, len(rss_kb) - n_warm - tenth)
    few = max(1, len(lags) // 10)
    drift_ms = float(np.median(lags[-few:]) - np.median(lags[:few])) if len(lags) else float("nan")
    spread_ms = float(np.ptp(np.percentile(lags, (5, 95)))) if len(lags) else float("nan")
    n_measured = len(lags_ms) - n_warm
    per_hour = 3600 / max(summary["heard_s"], 1.0)
    sound = summary["sound"]
    figures = {
        "seconds": summary["heard_s"],
        "rss_mb": round(first_kb / 1024, 1),
        "rss_growth_percent": round(growth, 2),
        "threads": threads[-1],
        "threads_leaked": threads[-1] - threads[min(n_warm, len(threads) - 1)],
        "delay_ms": round(float(np.median(lags)), 2) if len(lags) else None,
        "delay_drift_ms": None if np.isnan(drift_ms) else round(drift_ms, 3),
        "delay_spread_ms": None if np.isnan(spread_ms) else round(spread_ms, 3),
        "delay_jumps": int((np.abs(np.diff(lags)) > 2.0).sum()),
        "delays_not_found": n_measured - len(lags),
        "gaps": len(gaps_s),
        "longest_gap_s": round(max(gaps_s, default=0.0), 3),
        "xruns_per_hour": round(sound["xruns"] * per_hour, 2),
        "input_xruns_per_hour": round((sound["input"] or {}).get("xruns", 0) * per_hour, 2),
        "underruns_per_hour": round(sound["underruns"] * per_hour, 2),
        "late_ticks_per_hour": round(summary["mover"]["late"] * per_hour, 2),
        "ticks": summary["mover"]["ticks"],
        "input": sound["input"],
    }
    return {**figures, "wrong": list(_wrong(wanted_s, figures, n_measured, sum(gaps_s), summary))}


def _wrong(
    wanted_s: float,
    found: dict[str, Any],
    n_measured: int,
    silent_s: float,
    summary: dict[str, Any],
) -> Iterator[str]:
    """What is not as it should be, one sentence each."""
    drift_ms, spread_ms = (
        float("nan") if found[name] is None else found[name]
        for name in ("delay_drift_ms", "delay_spread_ms")
    )
    if not summary["heard_s"] >= LEAST_HEARD * wanted_s:
        yield f"it ran for {summary['heard_s']:.0f} s in place of {wanted_s:.0f}"
    if found["rss_growth_percent"] >= MAX_RSS_GROWTH:
        yield f"memory grew by {found['rss_growth_percent']:.1f} %"
    if found["threads_leaked"] > 0:
        yield f"{found['threads_leaked']} threads leaked"
    if not abs(drift_ms) < MAX_DRIFT_MS:
        yield f"the delay drifted by {drift_ms:.2f} ms"
    if silent_s > (1 - LEAST_HEARD) * wanted_s:
        yield f"{silent_s:.0f} s of silence in the sound"
    if spread_ms > MAX_SPREAD_MS:
        yield f"the delay wandered over {spread_ms:.1f} ms"
    if found["delays_not_found"] > MAX_NOT_FOUND * n_measured:
        yield f"{found['delays_not_found']} times of {n_measured} the sound was not found"
    if summary["failed"]:
        yield f"it failed: {summary['reason']}"


class Watch:
    """What is seen of a robot while it runs; steps of ``EVERY_S``."""

    def __init__(self, seconds: float, ear: Recorder, pulses: Pulses) -> None:
        self._seconds, self._ear, self._pulses = seconds, ear, pulses
        self._clock = MonotonicClock()
        self.rss_kb: list[float] = []
        self.threads: list[int] = []
        self.lags: list[float] = []
        self.n_early = 0
        """Gaps before the end of the warm-up."""

    def follow(self, robot: subprocess.Popen[str]) -> None:
        """Until its end."""
        begun_s = self._clock.now()
        next_s = begun_s + EVERY_S
        while robot.poll() is None:
            self._clock.sleep_until(min(next_s, self._clock.now() + 0.5))
            age_s = self._clock.now() - begun_s
            if age_s < warm_up(self._seconds) * self._seconds:
                self.n_early = len(self._ear.gaps_s)
            if self._clock.now() >= next_s and robot.poll() is None:
                next_s += EVERY_S
                self._look(robot.pid)

    def _look(self, pid: int) -> None:
        kb, n_threads = rss_kb_and_threads(pid)
        self.rss_kb.append(kb)
        self.threads.append(n_threads)
        self.lags.append(_lag(self._ear))
        self._pulses.look()
        if len(self.lags) % 6 == 0:
            print(f"{len(self.lags) // 6} of {self._seconds / 60:.0f} min: {kb / 1024:.1f} MB, "
                  f"{n_threads} threads, {self.lags[-1]:.2f} ms, "
                  f"{len(self._ear.gaps_s) - self.n_early} gaps, {self._pulses.n_updates} updates, "
                  f"{self._pulses.n_outside} outside limits",
                  file=sys.stderr, flush=True)  # fmt: skip


def soak(seconds: float, folder: Path) -> dict[str, Any]:
    """Run the robot for so long and judge it. RuntimeError where it does not end well."""
    speech = folder / "speech.wav"
    write_speech(speech, 60.0)
    head = config.load(None).head
    command = [sys.executable, "-m", "lipsync_edge", "run", "--json", "--for", str(seconds)]
    for setting in (*SETTINGS, f"board.bus={folder / 'bus'}"):
        command += ["--set", setting]
    with (
        SoundServer(folder / "server", one_clock=True) as server,
        server.fed(speech),
        Board(folder / "bus", head.boards) as board,
    ):
        pulses = Pulses(board, Outputs(head))
        ear = Recorder(server)
        watch = Watch(seconds, ear, pulses)
        robot = subprocess.Popen(
            command, env={**os.environ, **server.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            watch.follow(robot)
        finally:
            robot.terminate()
            out, err = robot.communicate(timeout=30)
            ear.stop()
            pulses.look()
    if robot.returncode or len(watch.lags) < 3:
        last = (err.strip().splitlines() or ["no word"])[-1]
        raise RuntimeError(f"it ended with {robot.returncode}: {last}")
    gaps_s = ear.gaps_s[watch.n_early :]
    found = judge(seconds, watch.rss_kb, watch.threads, watch.lags, gaps_s, json.loads(out))
    wrong = found.pop("wrong")
    if pulses.n_outside or not pulses.n_updates:
        wrong.append(f"{pulses.n_outside} of {pulses.n_updates} updates were outside limits")
    if not pulses.off:
        wrong.append("outputs were on after its end")
    return {**found, "updates": pulses.n_updates, "outside_limits": pulses.n_outside,
            "wrong": wrong}  # fmt: skip


def _lag(ear: Recorder) -> float:
    """Of what was heard some seconds ago, which has been played by now."""
    begin = ear.n_samples - int((PIECE_S + REACH_S) * RATE_HZ)
    if begin < 0:
        return float("nan")
    heard = ear.piece(ear.HEARD, begin, PIECE_S)
    return lag_ms(heard, ear.piece(ear.PLAYED, begin, PIECE_S + REACH_S))


def main() -> int:
    """0: as it should be; 1: not, or it could not be tried."""
    if len(sys.argv) != 2 or missing():
        print(missing() or "how many seconds?", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # nothing stays
    with tempfile.TemporaryDirectory(prefix="lipsync-soak-") as folder:
        try:
            found = soak(float(sys.argv[1]), Path(folder))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
