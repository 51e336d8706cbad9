"""What the main thread does beside waiting: supply and heat, the last pose, LED, button, power.

Pins that do not work cost the LED and the button, not the head: they are told once and left alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np

from lipsync_edge.care import Care
from lipsync_edge.errors import GpioError
from lipsync_edge.gpio import POWER_UP_S, Pins
from lipsync_edge.health import SILENT, Vitals, flows, stale
from lipsync_edge.memory import POSE, WARMTH, pose_state, warmth_state
from lipsync_edge.panel import Button, digits_pattern, pattern
from lipsync_edge.runs import boot_id
from lipsync_edge.store import State, Store
from lipsync_edge.supply import Supply, SupplyState

log = logging.getLogger(__name__)

SAVE_S = 60.0  # an SD card lasts for thousands of writes to a place, not for millions
LOOK_S = 2.0
MOVED_US = 10.0
STUCK_S = 0.2
"""A mover without a round for so long has lost at least four of its ticks (10 Hz: one)."""


def led_state(vitals: Vitals) -> str:
    """Which of ``panel.PATTERNS`` to show: the worst thing first."""
    states = (
        ("safe", bool(vitals.safe_mode)),
        ("error", bool(stale(vitals))),
        ("lost", bool(vitals.lost or vitals.input_lost) or not vitals.board_ok),
        ("booting", not flows(vitals)),
        ("strained", vitals.strained),
        ("resting", vitals.resting),
        ("muted", vitals.muted),
        ("speaking", vitals.openness > SILENT),
    )
    return next((state for state, is_so in states if is_so), "ready")


class Attendant:
    """Owner of pins and supply for one run."""

    def __init__(
        self, pins: Pins, supply: Supply, care: Care, names: tuple[str, ...], store: Store
    ) -> None:
        """``names``: the servos that ``care`` cares for."""
        self._pins, self._supply, self._care = pins, supply, care
        self._names, self._store, self._boot = names, store, boot_id()
        self._button, self._pressed = Button(), ""
        self._works = False
        self._state, self._since_s = "", 0.0
        self._digits = ""
        self._saved_us = self._seen_us = care.last_us.copy()
        self._save_s = self._look_s = -math.inf
        self._now_s = 0.0
        self._wanted = False  # the board is set up, servos may move
        self._on = False
        self._on_s = math.inf  # since when, as far as guard saw
        self._hot: tuple[str, ...] = ()
        care.blocked = True

    def rewire(self, care: Care) -> None:
        """Another config has brought this for the same servos."""
        care.ease, care.blocked = self._care.ease, self._care.blocked
        self._care = care

    def open(self) -> None:
        """Take the pins; outputs disabled, no servo power."""
        try:
            self._pins.open()
            self._works = self._pins.wired
        except GpioError as error:
            log.warning("goes on without its pins: %s", error)

    def power(self, on: bool) -> None:
        """Servo supply and ``/OE``: on once the board is set up with all outputs off.

        No pulse is sent before :meth:`guard` finds all well.
        """
        self._wanted = on
        self._switch(on)

    def guard(self, vitals: Vitals, now_s: float) -> None:
        """Let pulses out while somebody sends them; to be called some 20 times a second.

        A mover that is stuck, in the bus say, and a board that does not answer leave the outputs
        with their last pulses, which burn a blocked servo: then ``/OE``, where it is wired, cuts
        them. However it ends, horns are limp by then, so the servos wake anew. A head that rests
        has no supply, either.
        """
        can_cut = self._works and self._pins.can_cut  # else horns stay where they are held
        is_stuck = vitals.beat_ages_s.get("mover", math.inf) > STUCK_S
        stuck = can_cut and (is_stuck or not vitals.board_ok)
        at_rest = self._care.resting and self._care.all_off
        may = self._wanted and not vitals.safe_mode and not stuck
        on = may and not at_rest
        if on != self._on:
            self._switch(on)
        self._on_s = min(self._on_s, now_s) if on else math.inf
        wait_s = POWER_UP_S if self._works and self._pins.has_power else 0.0
        self._care.blocked = not (may and (at_rest or now_s >= self._on_s + wait_s))

    def _switch(self, on: bool) -> None:
        """The supply first, then the outputs; off the other way round."""
        self._on = on
        steps = [lambda: self._pins.servo_power(on), lambda: self._pins.enable_outputs(on)]
        for step in steps if on else reversed(steps):
            self._try(step)

    def step(self, now_s: float) -> str:
        """Look after all; returns the button's press, see ``Button.step``, mostly empty."""
        self._now_s = now_s
        self._supply.step(now_s)
        self._care.ease = self._supply.ease
        self._tell_heat()
        self._look(now_s)
        self.feel(now_s)
        pressed, self._pressed = self._pressed, ""
        return pressed

    def feel(self, now_s: float) -> None:
        """Feel the button, more often than all else is looked after: a tap lasts 60 ms."""
        if self._works:
            try:
                self._pressed = self._button.step(self._pins.pressed(), now_s) or self._pressed
            except GpioError as error:
                self._give_up(error)

    def show(self, state: str, now_s: float) -> None:
        """Blink what ``led_state`` said."""
        if self._digits:
            state = "digits"
        if state != self._state:
            self._state, self._since_s = state, now_s
        on = self._lit(state, now_s - self._since_s)
        self._try(lambda: self._pins.led(on))

    def blink(self, digits: str) -> bool:
        """Let the LED tell digits, from the beginning; False: there is none."""
        if not (self._works and self._pins.has_led):
            return False
        self._digits, self._state = digits, ""
        return True

    def _lit(self, state: str, t_s: float) -> bool:
        if state != "digits":
            return pattern(state, t_s)
        on = digits_pattern(self._digits, t_s)
        if on is None:
            self._digits = ""
        return bool(on)

    def notes(self) -> tuple[str, ...]:
        """What is worth a word in the status: a weak supply, a hot processor."""
        notes = ["supply too weak, moves eased"] if self._supply.ease < 1 else []
        if self._supply.state.throttled:
            notes.append("the computer slows itself down")
        return tuple(notes)

    def warmth(self) -> dict[str, float]:
        """How warm each servo is reckoned to be; 1 is as warm as it may get."""
        return dict(zip(self._names, self._care.heat.round(2).tolist(), strict=True))

    @property
    def computer(self) -> SupplyState:
        """What the kernel says of supply and temperature."""
        return self._supply.state

    def hot(self) -> tuple[str, ...]:
        """The servos over their heat budget."""
        return self._hot

    def _tell_heat(self) -> None:
        """Once for each servo that got too hot."""
        hot = tuple(n for n, hot in zip(self._names, self._care.hot, strict=True) if hot)
        for name in sorted(set(hot) - set(self._hot)):
            log.warning(
                "servo too hot: %s has worked so hard that it moves less until it has cooled. "
                "Does it press against something?",
                name,
            )
        self._hot = hot

    def _look(self, now_s: float) -> None:
        """Save where the horns are when they came to rest, and now and then while they move."""
        us, due = self._care.last_us, now_s - self._save_s >= SAVE_S
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            due = due or not (np.abs(us - self._seen_us) > MOVED_US).any()
            self._seen_us = us
        if due:
            self._save_s = now_s
            self._save(self._store.later)

    def close(self) -> None:
        """Give the pins back, remember the pose. Never raises."""
        self._pins.close()
        self._store.step(0)
        self._save(self._store.save)

    def _save(self, save: Callable[[str, State], object]) -> None:
        us = self._care.last_us
        moved = np.abs(us - self._saved_us) > MOVED_US
        if (moved | (np.isfinite(us) & ~np.isfinite(self._saved_us))).any():
            self._saved_us = us.copy()
            save(POSE, pose_state(self._names, us))
            save(WARMTH, warmth_state(self._names, self._care.warm_k, self._now_s, self._boot))

    def _try(self, switch: Callable[[], None]) -> None:
        if self._works:
            try:
                switch()
            except GpioError as error:
                self._give_up(error)

    def _give_up(self, error: GpioError) -> None:
        self._works = False
        log.warning("goes on without its pins: %s", error)
