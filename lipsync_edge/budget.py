"""The latency budget: declared and measured times on the way from sound to motion, added up."""

from __future__ import annotations

from dataclasses import dataclass

from lipsync_edge.features import FeatureSpec

PREDICT_WORTH = 1 / 3
"""A pose guessed 30 ms ahead brings the mouth 10 ms forward: measured on films of speech by
cross-correlation, since a guess misses every turn."""


@dataclass(frozen=True)
class Item:
    """One line of the budget."""

    name: str
    ms: float
    why: str


@dataclass(frozen=True)
class Budget:
    """Its items, and the lookahead that they must fit into."""

    items: tuple[Item, ...]
    lookahead_ms: float

    @property
    def needed_ms(self) -> float:
        """Sum of the items: how long before a sound is heard its mouth must be known."""
        return sum(item.ms for item in self.items)

    @property
    def spare_ms(self) -> float:
        """What the lookahead leaves over; negative where it does not suffice."""
        return self.lookahead_ms - self.needed_ms

    @property
    def trail_ms(self) -> float:
        """How much the mouth trails the sound by plan: what the lookahead is short of."""
        return max(0.0, -self.spare_ms)

    @property
    def guessed_ms(self) -> float:
        """How much of the shortage extrapolated poses make up for."""
        return sum(-item.ms for item in self.items if item.name == "prediction")

    def verdict(self) -> str:
        """One sentence: in sync or not, and what to change."""
        if self.trail_ms == 0:
            return f"in sync, {self.spare_ms:.0f} ms to spare"
        if self.lookahead_ms == 0:
            return f"live mode: the mouth trails the sound by {self.trail_ms:.0f} ms"
        biggest = max(self.items, key=lambda item: item.ms)
        return (
            f"the mouth trails the sound by {self.trail_ms:.0f} ms: set audio.lookahead_ms to "
            f"{self.needed_ms:.0f} or more, or shorten the longest part ({biggest.name}, "
            f"{biggest.ms:.0f} ms)"
        )

    def table(self) -> str:
        """The budget as text, one item a line."""
        rows = [f"  {item.name:<16}{item.ms:7.1f} ms   {item.why}" for item in self.items]
        rows.append(f"  {'needed':<16}{self.needed_ms:7.1f} ms")
        rows.append(f"  {'lookahead':<16}{self.lookahead_ms:7.1f} ms   {self.verdict()}")
        return "\n".join(rows)


def make_budget(
    *,
    spec: FeatureSpec,
    rate_hz: int,
    block: int,
    resampler_s: float,
    delay_frames: int,
    inference_ms: float,
    lag_ms: float,
    margin_ms: float,
    lookahead_ms: float,
    lead_ms: float = 0.0,
    predict_ms: float = 0.0,
    output_latency_ms: float = 0.0,
) -> Budget:
    """Add up ``block + resampler + frame + model delay + inference + servo lag + margin + lead``.

    A pose stands at the centre of its frame: it is known half a frame after that sample, and the
    mover, which interpolates, needs the pose one hop further on as well. What the lookahead is then
    short of, poses extrapolated by ``predict_ms`` make up for, at ``PREDICT_WORTH`` of that.
    """
    frame_ms = 1e3 * (spec.frame_length / 2 + spec.hop_length) / spec.sample_rate_hz
    items = [
        Item("block", 1e3 * block / rate_hz, f"{block} samples at {rate_hz} Hz"),
        Item("resampler", 1e3 * resampler_s, f"{rate_hz} to {spec.sample_rate_hz} Hz"),
        Item("frame", frame_ms, "half a frame and one hop"),
        Item("model delay", 1e3 * delay_frames * spec.hop_s, f"{delay_frames} frames"),
        Item("inference", inference_ms, "features and model, p99 (model.inference_ms)"),
        Item("servo lag", lag_ms, "slowest servo (lag_ms)"),
        Item("margin", margin_ms, "motion.margin_ms"),
    ]
    if lead_ms:
        items.append(Item("lead", lead_ms, "the mouth comes first (motion.lead_ms)"))
    if output_latency_ms:
        why = "sound is late behind the card (audio.output_latency_ms)"
        items.append(Item("output latency", -output_latency_ms, why))
    short_ms = sum(item.ms for item in items) - lookahead_ms
    if short_ms > 0 and predict_ms > 0:
        guessed_ms = min(short_ms, PREDICT_WORTH * predict_ms)
        items.append(Item("prediction", -guessed_ms, "extrapolated poses (motion.predict_ms)"))
    return Budget(tuple(items), lookahead_ms)
