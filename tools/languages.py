"""Closures and rounding in languages without film, at the phone times of a synthesiser.

Languages and voices that nothing has learned from, and some languages that were. A closure counts
when its score (opening and channel, thresholds from film) is reached within the phone +- 40 ms; an
open vowel is falsely closed when that happens in its middle half. Rounding: funnel and pucker
together pass the threshold that tells rounded from spread vowels best in English. Recorded prompts
(``prompts.py``) are judged alike where there is an ear that tells when their phones are said.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from lipsync_tools import metrics as m
from lipsync_tools.articulation import CLOSED, OPENED, ROUNDED, SPREAD, class_of_ipa
from lipsync_tools.espeak import Espeak, Voice
from lipsync_tools.evaluate import Decision, Films, at_100hz, decide, fold_of, judge_fold
from lipsync_tools.prompts import LANGUAGES, Said, aligned
from lipsync_tools.recordings import Ear
from lipsync_tools.spoken import KEPT_VARIANTS
from lipsync_tools.systems import Bundle, System
from lipsync_tools.texts import KEPT_ASIDE, LEARNED, sentences

ENGLISH = "en-us"
ALSO = ("de", "fr", "es", "pl", "ru", "hi")
LEAD_S = 0.3
LEAST_S = 0.05  # shorter vowels are never fully made
RECORDED = 60


def language_stage(
    bundles: Sequence[Bundle], films: Films, ear: Ear | None = None, per_language: int = 40
) -> dict[str, Any]:
    """Shares by language, means over the bundles; and the worst language against English. With an
    ``ear``, recorded prompts as well."""
    judges = []
    for bundle in bundles:
        j = judge_fold(System("model", bundle), fold_of(bundle, films), films, bundle.spec)
        judges.append((bundle, decide(j, bundle.closure)))
    spec = bundles[0].spec
    wanted = {ENGLISH: "en_US", **KEPT_ASIDE, **{k: LEARNED[k] for k in ALSO}}
    espeak, found = Espeak(), {}
    bar = tqdm(wanted.items(), "languages", disable=not sys.stderr.isatty(), leave=False)
    for language, locale in bar:
        rng, said = np.random.default_rng(3), []
        for k, text in enumerate(sentences(locale, per_language, 4242)):
            voice = Voice(f"{language}+{KEPT_VARIANTS[k % len(KEPT_VARIANTS)]}",
                          int(rng.integers(130, 200)), int(rng.integers(20, 80)))  # fmt: skip
            sound, phones = espeak.say(text, voice)
            said.append((sound, [(class_of_ipa(p) or "", a, b) for p, a, b in phones]))
        found[language] = [_events(b, d, said) for b, d in judges]
    rounded = [_round_threshold(per) for per in zip(*[found[ENGLISH]], strict=True)]
    table = {
        language: _shares(events, rounded) | {"learned": language in LEARNED}
        for language, events in found.items()
    }
    english = table[ENGLISH]["closure_recall"]
    worst = min(table, key=lambda language: table[language]["closure_recall"])
    recorded: dict[str, Any] = {}
    for language, name in LANGUAGES.items():
        said = aligned(language, ear, spec, RECORDED) if ear else []
        if said:
            events = [_events(b, d, said) for b, d in judges]
            recorded[name] = _shares(events, rounded) | {"learned": name in LEARNED}
    return {
        "languages": table,
        "worst": worst,
        "worst_over_english": table[worst]["closure_recall"] / english,
        **({"recorded": recorded} if recorded else {}),
    }


Events = dict[str, list[float]]


def _events(bundle: Bundle, decision: Decision, said: Sequence[Said]) -> Events:
    """Highest scores at closures and open vowels, and roundness at rounded and spread ones."""
    out: Events = {"closed": [], "opened": [], "rounded": [], "spread": []}
    rows = [bundle.column(name) or 0 for name in ("mouthFunnel", "mouthPucker")]
    lead = np.zeros(int(LEAD_S * 16000), np.float32)
    for sound, classes in said:
        outputs = bundle(np.concatenate([lead, sound, lead]))
        shown = at_100hz(outputs, len(outputs), bundle.spec)
        score, roundness = decision.score(shown), shown[:, rows].sum(axis=1)
        for name, begin_s, end_s in classes:
            span = begin_s + LEAD_S, end_s + LEAD_S
            long = end_s - begin_s > LEAST_S
            if name in CLOSED:
                out["closed"].append(_most(score, span, m.NEAR_S))
            elif name in OPENED and long:
                out["opened"].append(_most(score, m.inside(span), 0.0))
            if name in ROUNDED:
                out["rounded"].append(_most(roundness, span, m.NEAR_S))
            elif name in SPREAD and long:
                out["spread"].append(_most(roundness, m.inside(span), 0.0))
    return out


def _most(signal: Any, span: m.Span, near_s: float) -> float:
    return float(signal[m.window(len(signal), span, near_s)].max())


def _round_threshold(events: Sequence[Events]) -> float:
    rounded, spread = np.array(events[0]["rounded"]), np.array(events[0]["spread"])
    return -m.best_threshold((-rounded).tolist(), (-spread).tolist(), -0.2)


def _shares(events: Sequence[Events], rounded: Sequence[float]) -> dict[str, float]:
    def share(kind: str, thresholds: Sequence[float]) -> float:
        over = [np.array(e[kind]) > t for e, t in zip(events, thresholds, strict=True)]
        return float(np.concatenate(over).mean())

    zero = [0.0] * len(events)
    return {
        "closure_recall": share("closed", zero),
        "closure_false": share("opened", zero),
        "rounding_recall": share("rounded", rounded),
        "rounding_false": share("spread", rounded),
        "n_closures": len(events[0]["closed"]),
    }
