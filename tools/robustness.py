"""How gracefully a mouth fails: level, noise, rooms, wires; and whether it rests without speech."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lipsync_tools import metrics as m
from lipsync_tools import orchestra, soundscape
from lipsync_tools.evaluate import (
    Films,
    at_100hz,
    decide,
    fold_of,
    judge_fold,
)
from lipsync_tools.judge import low_pass
from lipsync_tools.systems import Bundle, System

Samples = NDArray[np.float32]
Change = Callable[[Samples, np.random.Generator], Samples]
OPEN = 0.1
MINUTES = 10.0


def at_snr(sound: Samples, noise: Samples, snr_db: float) -> Samples:
    """Speech with noise; the ratio is of the mean powers, speech's where it is not silent."""
    active = sound[np.abs(sound) > 0.05 * np.abs(sound).max()]
    wanted = float((active.astype(np.float64) ** 2).mean()) / 10 ** (snr_db / 10)
    power = max(float((noise.astype(np.float64) ** 2).mean()), 1e-12)
    mixed = sound + noise[: len(sound)] * np.float32(np.sqrt(wanted / power))
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)


def changes(voices: Sequence[Samples]) -> Iterator[tuple[str, Change]]:
    """Names and what is done to the sound; ``voices``: other people, for babble."""
    yield "as recorded", lambda x, rng: x
    for level_db in (-30, -12, 12):
        gain = np.float32(10 ** (level_db / 20))
        yield f"level {level_db:+d} dB", lambda x, rng, g=gain: np.clip(x * g, -1, 1)
    makers: dict[str, Any] = {
        "babble": lambda s, rng: soundscape.babble(voices, s, rng),
        "music": soundscape.music,
        "noise": soundscape.hiss,
    }
    for name, make in makers.items():
        for snr_db in (20, 10, 0):
            yield (
                f"{name}, {snr_db} dB SNR",
                lambda x, rng, make=make, snr=snr_db: at_snr(
                    x, make(len(x) / soundscape.RATE_HZ + 0.1, rng), snr
                ),
            )
    yield "telephone", lambda x, rng: soundscape.telephone(x)
    yield "small box", soundscape.box_reverb


def noise_stage(bundles: Sequence[Bundle], films: Films, most: int = 8) -> dict[str, Any]:
    """r, closure recall and false closures under each change, maps and thresholds from clean
    sound of the speakers to learn from. ``most``: clips of each speaker; others babble."""
    judged = []
    for bundle in bundles:
        j = judge_fold(System("model", bundle), fold_of(bundle, films), films, bundle.spec)
        judged.append((bundle, j, decide(j, bundle.closure)))
    held_out = {s for _, j, _ in judged for s in j.fold.held_out}
    chosen = {s: set(_spread(len(films.clips[s]), most)) if s in held_out else set()
              for s in films.clips}  # fmt: skip
    idle = {s: [c.samples for k, c in enumerate(own) if k not in chosen[s]]
            for s, own in films.clips.items()}  # fmt: skip
    voices = [said for own in idle.values() for said in own[:3]]
    out: dict[str, Any] = {}
    todo = list(changes(voices or [c.samples for own in films.clips.values() for c in own[:1]]))
    for name, change in tqdm(todo, "noise", disable=not sys.stderr.isatty(), leave=False):
        rng = np.random.default_rng(17)
        r, hits, false = [], [], []
        for bundle, j, decision in judged:
            for speaker in j.fold.held_out:
                pairs = []
                for k in sorted(chosen[speaker]):
                    clip, truth = films.clips[speaker][k], films.truths[speaker][k]
                    heard = bundle(change(clip.samples, rng))
                    seen = at_100hz(heard, len(truth.opening), bundle.spec)
                    shown = np.append(seen, np.ones((len(seen), 1)), axis=1) @ j.linear[:, 0]
                    pairs.append((low_pass(shown), low_pass(truth.opening)))
                    score = decision.score(seen)
                    hits += [_best(score, s, m.NEAR_S) > 0 for s in truth.closures]
                    false += [_best(score, m.inside(s), 0.0) > 0 for s in truth.opens]
                r.append(m.pearson(*zip(*pairs, strict=True)))
        out[name] = {
            "r": float(np.mean(r)),
            "closure_recall": float(np.mean(hits)) if hits else float("nan"),
            "closure_false": float(np.mean(false)) if false else float("nan"),
        }
    return out


def _spread(n: int, most: int) -> list[int]:
    return [int(k) for k in np.linspace(0, n - 1, min(n, most))]


def _best(score: NDArray[np.float64], span: m.Span, near_s: float) -> float:
    return float(score[m.window(len(score), span, near_s)].max())


def rest_sounds(files: Sequence[Path]) -> Iterator[tuple[str, Samples]]:
    """Ten minutes without speech: made sounds with seeds that nothing has learned from, kinds that
    nothing has learned from, new tunes; and recordings that the user gives, beside them."""
    makers = {**soundscape.KINDS, **{f"{k} (new)": f for k, f in soundscape.HELD_OUT.items()}}
    if orchestra.is_there():
        makers["orchestra"] = orchestra.play
    each_s = MINUTES * 60 / len(makers)
    for kind, make in makers.items():
        parts = [make(each_s / 3, np.random.default_rng(900_000 + k)) for k in range(3)]
        yield kind, np.asarray(0.3 * np.concatenate(parts), np.float32)
    for path in files:
        from lipsync_tools.phones import read_mono

        yield path.stem, read_mono(path)[: 16000 * 120]


def rest_stage(bundles: Sequence[Bundle], files: Sequence[Path] = ()) -> dict[str, Any]:
    """Share of the time in which the jaw is open by over a tenth, as the robot shows it and before
    its own rest; by kind, and over the ten minutes. Means over the bundles."""
    kinds: dict[str, Any] = {}
    made: list[tuple[str, int]] = []
    given = {path.stem for path in files}
    for kind, sound in tqdm(rest_sounds(files), "rest", disable=not sys.stderr.isatty(),
                            leave=False):  # fmt: skip
        shares = np.mean([_open_shares(bundle, sound) for bundle in bundles], axis=0)
        kinds[kind] = {"robot": float(shares[1]), "model": float(shares[0])}
        if kind not in given:
            made.append((kind, len(sound)))
    samples = sum(n for _, n in made)
    total = {name: sum(kinds[kind][name] * n for kind, n in made) / samples
             for name in ("robot", "model")}  # fmt: skip
    return {"total": total | {"minutes": samples / soundscape.RATE_HZ / 60}, "kinds": kinds}


def _open_shares(bundle: Bundle, sound: Samples) -> list[float]:
    """Of the model, and of the robot."""
    jaw = bundle.column("jawOpen") or 0
    return [float((outputs[:, jaw] > OPEN).mean()) for outputs in bundle.both(sound)]
