"""What a face does when it does nothing: blinks, glances, a head that is never quite still.

A pure function of time and a seed, so that a film of a face is the same at every drawing of it.
"""

from __future__ import annotations

import math

BLINK_EVERY_S, BLINK_JITTER_S = 3.6, 2.2
"""People blink about 17 times a minute at rest (A. R. Bentivoglio et al., Movement Disorders 12(6),
1997)."""
BLINK_SHUT_S, BLINK_OPEN_S = 0.07, 0.14
GLANCE_EVERY_S, GLANCE_MOVE_S = 1.3, 0.05
GLANCE = 0.22
SWAY = {"headYaw": (0.16, 7.1), "headPitch": (0.12, 5.3), "headRoll": (0.10, 8.9)}
"""How far the head sways, as a share of the axis, and how long one sway takes, in seconds."""
BROWS, BROWS_EVERY_S = 0.35, 3.1
"""How far the brows go up now and then, and how often."""
SEED = 4
"""Of all lives the one that films and the page show."""


def alive(time_s: float, seed: int = 1) -> dict[str, float]:
    """Axes of the eyes and the head at a time, to be added to a pose."""
    blink = max(_blink(time_s, k, seed) for k in _near(time_s, BLINK_EVERY_S))
    across, up = (_glance(time_s, seed, channel) for channel in (1, 2))
    axes = {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}
    axes |= {"eyeLookOutLeft": max(across, 0.0), "eyeLookInRight": max(across, 0.0)}
    axes |= {"eyeLookInLeft": max(-across, 0.0), "eyeLookOutRight": max(-across, 0.0)}
    for side in ("Left", "Right"):
        axes |= {f"eyeLookUp{side}": max(up, 0.0), f"eyeLookDown{side}": max(-up, 0.0)}
    for k, (name, (size, period_s)) in enumerate(SWAY.items()):
        turn = 2 * math.pi * time_s / period_s
        phase, other = (2 * math.pi * noise(k, seed, 10 + c) for c in (0, 1))
        axes[name] = size * (0.7 * math.sin(turn + phase) + 0.3 * math.sin(2.3 * turn + other))
    up = max(0.0, math.sin(2 * math.pi * (time_s / BROWS_EVERY_S + noise(0, seed, 20)))) ** 3
    axes |= dict.fromkeys(("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), BROWS * up)
    return axes


def noise(k: int, seed: int, channel: int) -> float:
    """A number in 0..1 that looks random, the same wherever floating point follows IEEE 754."""
    wave = math.sin(k * 12.9898 + seed * 78.233 + channel * 37.719) * 43758.5453
    return wave - math.floor(wave)


def _near(time_s: float, every_s: float) -> range:
    k = math.floor(time_s / every_s)
    return range(k - 1, k + 2)


def _blink(time_s: float, k: int, seed: int) -> float:
    since_s = time_s - k * BLINK_EVERY_S - BLINK_JITTER_S * noise(k, seed, 0)
    if since_s < 0:
        return 0.0
    shut = since_s / BLINK_SHUT_S
    return max(0.0, min(1.0, shut, 1.0 - (since_s - BLINK_SHUT_S - 0.03) / BLINK_OPEN_S))


def _glance(time_s: float, seed: int, channel: int) -> float:
    k = math.floor(time_s / GLANCE_EVERY_S)
    before, now = ((noise(j, seed, channel) * 2 - 1) ** 3 * GLANCE for j in (k - 1, k))
    share = min((time_s - k * GLANCE_EVERY_S) / GLANCE_MOVE_S, 1.0)
    return before + (now - before) * share
