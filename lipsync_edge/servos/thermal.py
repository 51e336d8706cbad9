"""How warm the motor inside a servo gets: the figures of each preset, for ``heat``.

Sources. **Stall currents**: SG90 0.65 A at 4.8 V (sellers' tables; 0.45 A has been measured on
one); FEETECH FS90R, of the same size, 0.8 A at 6 V and 0.12 A running free, hence ``FRICTION``;
MG996R 2.5 A at 6 V and 0.5 A running free. Tower Pro states none for MG90S and MG92B: *assumed* to
grow with the stall torque from the SG90's. Power at stall is current times voltage, all of it heat.
**Thermal resistances and time constants**: FAULHABER's data sheets of motors of these sizes, 0816
SR (4.5 g: 20 and 48 K/W, 4.2 and 242 s) and 1331 SR (20 g: 6 and 25 K/W, 5 and 190 s). A servo's
closed case is *assumed* to double the way from the motor to the air, and its time constant with it.
**Mechanical time constant**: 6 to 7 ms in the same sheets, *assumed* doubled by gears and horn.
"""

from __future__ import annotations

from dataclasses import dataclass

FRICTION = 0.15
"""Share of the stall current that a servo takes while it moves without load or acceleration."""
MECHANICAL_S = 0.014
"""A motor that is to reach its free speed evenly within this time takes its stall current for it:
inertia times free speed over stall torque."""
LIMIT_K = 60.0
"""Warmth above the room that counts as 1: 85 degrees C, the most that the above data sheets allow a
winding, less 25."""


@dataclass(frozen=True)
class ThermalModel:
    """One kind of motor: heat at stall, and two stages that warm up one over the other."""

    stall_w: float
    winding_k_per_w: float
    """From the winding to the motor's case."""
    winding_s: float
    case_k_per_w: float
    """From the motor's case to the air around the servo."""
    case_s: float


def _micro(stall_w: float) -> ThermalModel:
    return ThermalModel(stall_w, 20.0, 4.2, 2 * 48.0, 2 * 242.0)


THERMAL: dict[str, ThermalModel] = {
    "sg90": _micro(4.8 * 0.65),
    "mg90s": _micro(4.8 * 0.65 * 2.2 / 1.8),
    "digital": _micro(6.0 * 0.65 * 3.5 / 1.8),
    "jaw": ThermalModel(6.0 * 2.5, 6.0, 5.0, 2 * 25.0, 2 * 190.0),
}
