"""Half an hour with a microphone whose clock is off, on a clock that goes as fast as it can.

    python -m lipsync_tools.drill.drift PPM [SECONDS]    prints JSON

The two cards and the ear that judges them stand in tests/two_cards.py, the rest is the robot's.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

CARDS = Path(__file__).parents[2] / "tests" / "two_cards.py"
SETTLED_S = 60.0
JITTER_S = 0.003
FEW = 10  # seconds that tell a delay without its phase, whole cycles and all


def drill(ppm: float, seconds: float) -> dict[str, Any]:
    """What was heard after the first minute: delay in ms, the worst click in LSB, purity in dB; and
    what the bridge counted all the time."""
    cards = _module()
    pair = cards.TwoCards(
        cards.Card(48_000, ppm, jitter_s=JITTER_S), cards.Card(48_000, jitter_s=JITTER_S)
    )
    pair.run(seconds)
    ear = pair.ear
    settled = [k for k, at_s in enumerate(ear.at_s) if at_s >= min(SETTLED_S, seconds / 2)]
    delays = [ear.delay_ms[k] for k in settled]
    first, last = settled[0], settled[-1]
    return {
        "ppm": ppm,
        "seconds": len(ear.at_s),
        "delay_span_ms": max(delays) - min(delays),
        "delay_end_ms": delays[-1] - delays[0],
        "true_delays_ms": [
            ear.true_delay_ms(first, first + FEW), ear.true_delay_ms(last - FEW, last)
        ],
        "click": max(ear.click[k] for k in settled),
        "purity_db": max(ear.purity_db[k] for k in settled),
        "jumps": pair.bridge.jumps,
        "underruns": pair.courier.underruns,
        "lost": pair.ring.lost,
    }  # fmt: skip


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("two_cards", CARDS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["two_cards"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    half_hour_s = float(sys.argv[2]) if len(sys.argv) > 2 else 1800.0
    print(json.dumps(drill(float(sys.argv[1]), half_hour_s)))
