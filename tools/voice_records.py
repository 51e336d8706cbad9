"""Where the voices without film come from, as a model's card lists them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

RECORDED: dict[str, dict[str, Any]] = {
    name: {
        "from": f"Rhasspy voice data set {name.partition('_')[0]}",
        "licence": "CC0-1.0",
        "consent": "the speaker gave the recordings to the public domain",
    }
    for name in ("kathleen_en-US", "kerstin_de", "nathalie_nl", "flemishguy_nl-BE")
} | {
    "ljspeech_en-US": {
        "from": "The LJ Speech Dataset, K. Ito, L. Johnson, 2017; part of it",
        "licence": "public domain",
        "consent": "the reader gave the recordings to LibriVox's public domain",
    }
}
SYNTHETIC: dict[str, dict[str, Any]] = {
    "espeak": {
        "from": "synthesised with eSpeak NG 1.51 (the program is GPL-3.0, what it says is not); "
        "words and names from Faker (MIT)",
        "licence": "own",
        "consent": "nobody is heard",
    },
    "flite": {
        "from": "synthesised with Flite 2 and its voices slt, rms, awb, kal16 (free software, "
        "Carnegie Mellon University); words from Faker (MIT)",
        "licence": "own",
        "consent": "voices made for synthesis by their speakers",
    },
}


def voice_records(voices: Iterable[str]) -> list[dict[str, Any]]:
    """One record for each recorded voice and each synthesiser among ``voices``, the latter named
    like ``espeak/de``; what is not known here is told as such."""
    out: dict[str, dict[str, Any]] = {}
    for voice in voices:
        maker, slash, name = voice.partition("/")
        known = (SYNTHETIC if slash else RECORDED).get(maker)
        record = known or {"from": f"recordings named {voice}", "licence": "not stated"}
        entry = out.setdefault(maker, {"name": maker, **record, "may_ship": bool(known)})
        entry.setdefault("speakers", []).append(name or voice)
    return list(out.values())
