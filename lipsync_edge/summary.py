"""What a run has to say at its end, on one screen or as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lipsync_edge.audio import Stream
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.budget import Budget
from lipsync_edge.config import Config
from lipsync_edge.servos import Board
from lipsync_edge.system import peak_rss_mb
from lipsync_edge.telemetry import Series, Telemetry


def _ms(series: Series) -> dict[str, float | None]:
    """Percentiles in milliseconds, rounded for people; None where nothing was measured."""
    return {
        name: None if math.isnan(value) else round(1e3 * value, 3)
        for name, value in series.percentiles().items()
    }


@dataclass(frozen=True)
class Summary:
    """The figures of one run; times in the unit that their name ends in."""

    reason: str
    failed: bool
    heard_s: float
    head: str
    model: str
    sound: dict[str, Any]
    board: dict[str, Any]
    mover: dict[str, Any]
    analyzer: dict[str, Any]
    sync: dict[str, Any]
    ready_s: float | None
    peak_rss_mb: float
    budget: Budget

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data, for ``--json``."""
        data = asdict(self)
        data["budget"]["needed_ms"] = round(self.budget.needed_ms, 3)
        data["budget"]["trail_ms"] = round(self.budget.trail_ms, 3)
        return data

    def text(self) -> str:
        """One screen."""
        sound, board, mover, analyzer = self.sound, self.board, self.mover, self.analyzer
        late, hop, offset = mover["late_ms"], analyzer["hop_ms"], self.sync["offset_ms"]
        ready = "never ready" if self.ready_s is None else f"ready after {self.ready_s:.2f} s"
        lines = [
            f"{'stopped' if self.failed else 'ended'}: {self.reason}",
            f"  heard     {self.heard_s:.1f} s, head {self.head}, model {self.model}",
            f"            {ready}, {self.peak_rss_mb:.0f} MB",
            f"  sound     {sound['device']}, {sound['rate_hz']} Hz, {sound['blocks']} blocks of "
            f"{sound['block']}: {sound['xruns']} xruns,",
            f"            {sound['underruns']} underruns, {sound['callback_errors']} callback "
            f"errors, {sound['lost']} times lost",
            *_input_lines(sound),
            f"  analyzer  {analyzer['hops']} hops, {analyzer['gaps']} gaps, "
            f"{analyzer['refused_poses']} poses refused",
            f"            {_spread(hop)} a hop (declared: {analyzer['budget_ms']:g} ms)",
            f"  mover     {mover['ticks']} ticks at {mover['rate_hz']:g} Hz: {mover['starved']} "
            f"starved, {mover['late']} late, {mover['resyncs']} resyncs",
            f"            {_spread(late)} after the deadline",
            f"  board     {board['name']}: {board['writes']} updates,",
            f"            {board['nacks']} NACKs, {board['failures']} failures; "
            + ("outputs off" if board["silenced"] else "OUTPUTS MAY STILL BE ON"),
            *([] if board["silenced"] else [f"            {board['message']}"]),
            f"  sync      mouth minus sound {_spread(offset)} (+ = late), command on the wire",
            "  latency budget",
            *("  " + line for line in self.budget.table().splitlines()),
        ]
        return "\n".join(lines)


def _board(board: Board) -> dict[str, Any]:
    health = board.health()
    return {
        "name": board.name,
        "writes": health.writes,
        "nacks": health.nacks,
        "failures": health.failures,
        "silenced": board.silenced,
        "message": health.message,
    }


def _input(telemetry: Telemetry) -> dict[str, Any] | None:
    """The card that only records; None where there is none."""
    if not telemetry.input_rate_hz:
        return None
    ppm = telemetry.input_ppm
    return {
        "rate_hz": telemetry.input_rate_hz,
        "xruns": telemetry.input_xruns,
        "lost": telemetry.lost_inputs,
        "jumps": telemetry.input_jumps,
        "stretch_ppm": None if math.isnan(ppm) else round(ppm, 1),
        "delay_ms": _ms(telemetry.input_delay_s),
    }


def _input_lines(sound: dict[str, Any]) -> list[str]:
    told = sound["input"]
    if told is None:
        return []
    ppm = told["stretch_ppm"]
    stretched = "not yet stretched" if ppm is None else f"stretched by {ppm:.0f} ppm"
    return [
        f"  input     {told['rate_hz']} Hz, {stretched}: {told['xruns']} xruns, "
        f"{told['lost']} times lost,",
        f"            {told['jumps']} jumps, delay {_spread(told['delay_ms'])}",
    ]


def _spread(ms: dict[str, float | None]) -> str:
    if ms["p50"] is None:
        return "not measured"
    return f"{ms['p50']:.2f} / {ms['p99']:.2f} / {ms['max']:.2f} ms (p50 / p99 / max)"


def summarize(
    *,
    reason: str,
    failed: bool,
    config: Config,
    stream: Stream,
    device: str,
    courier: BlockCourier,
    board: Board,
    model_name: str,
    telemetry: Telemetry,
    budget: Budget,
) -> Summary:
    """Collect a run's figures from the parts that counted them."""
    return Summary(
        reason=reason,
        failed=failed,
        heard_s=round(telemetry.heard_s, 3),
        head=config.head.name,
        model=model_name,
        sound={
            "device": device,
            "rate_hz": stream.rate_hz,
            "block": config.audio.frames_per_buffer,
            "blocks": courier.blocks,
            "xruns": courier.xruns,
            "underruns": courier.underruns,
            "callback_errors": telemetry.callback_errors,
            "lost": telemetry.lost_devices,
            "input": _input(telemetry),
        },
        board=_board(board),
        mover={
            "rate_hz": config.motion.rate_hz,
            "ticks": telemetry.ticks,
            "starved": telemetry.starved,
            "late": telemetry.late,
            "late_ms": _ms(telemetry.late_s),
            "resyncs": telemetry.resyncs,
        },
        analyzer={
            "hops": telemetry.hops,
            "hop_ms": _ms(telemetry.hop_s),
            "budget_ms": config.model.inference_ms,
            "gaps": telemetry.gaps,
            "refused_poses": telemetry.refused_poses,
        },
        sync={"offset_ms": _ms(telemetry.offset_s), "planned_trail_ms": budget.trail_ms},
        ready_s=None if math.isnan(telemetry.ready_s) else round(telemetry.ready_s, 3),
        peak_rss_mb=round(peak_rss_mb(), 1),
        budget=budget,
    )
