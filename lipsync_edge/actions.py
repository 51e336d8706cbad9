"""What may be asked of a running head, by its button or its socket. For the main thread."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.care import Care
from lipsync_edge.engine import Mover
from lipsync_edge.jog import SetUp
from lipsync_edge.supervisor import Supervisor

SHUT_DOWN = "the button, held for long"
RESTART = "asked to start anew"


class Actions:
    """Each takes effect at the next block or tick and holds until it is told otherwise."""

    def __init__(
        self, courier: BlockCourier, care: Care, mover: Mover, supervisor: Supervisor
    ) -> None:
        self._courier, self._care, self._mover = courier, care, mover
        self._supervisor = supervisor

    def rewire(self, care: Care, mover: Mover) -> None:
        """Another config has brought these."""
        care.obey_as(self._care)
        mover.show(self._mover.shown)
        mover.set_up = self._mover.set_up
        self._care, self._mover = care, mover

    @property
    def muted(self) -> bool:
        """The speaker gets silence; the mouth goes on."""
        return self._courier.muted

    @property
    def resting(self) -> bool:
        """All servos go to neutral, then off; the sound goes on."""
        return self._care.resting

    def mute(self, on: bool) -> None:
        """See ``muted``."""
        self._courier.muted = on

    def rest(self, on: bool) -> None:
        """See ``resting``."""
        self._care.resting = on

    @property
    def posing(self) -> bool:
        """A pose is held, whatever is heard."""
        return self._mover.shown is not None

    def show(self, pose: Mapping[str, float] | None) -> tuple[str, ...]:
        """Hold a pose, axes by name, 0..1; an empty one is neutral; None: follow the sound.

        Returns the axes that no servo of this head shows.
        """
        return self._mover.show(pose)

    @property
    def servos(self) -> tuple[str, ...]:
        """Their names."""
        return self._mover.names

    @property
    def set_up(self) -> SetUp | None:
        """One servo is moved by hand, all others are off."""
        return self._mover.set_up

    def begin_set_up(self, low_us: float, high_us: float, now_s: float) -> SetUp:
        """Let all go and move servos one by one by hand, within ``low_us`` .. ``high_us``."""
        self._mover.show(None)
        set_up = self._mover.make_set_up(low_us, high_us, now_s)
        self._mover.set_up = set_up
        return set_up

    def end_set_up(self) -> None:
        """Wake all softly and follow the sound again."""
        self._mover.set_up = None

    def detach(self) -> None:
        """All outputs off with the next tick, wherever the horns are; then rest."""
        self._mover.set_up = None
        self._care.drop()

    def stop(self, reason: str) -> None:
        """End in order."""
        self._supervisor.stop(reason)

    def restart(self) -> None:
        """End in order and begin anew in the same process; safe mode ends by it."""
        self._supervisor.stop(RESTART)

    def press(self, button: str) -> None:
        """Short: mute or unmute, or awake from rest; long: rest; very long: shut down."""
        if button == "short" and self.resting:
            self.rest(False)
        elif button == "short":
            self.mute(not self.muted)
        elif button == "long":
            self.rest(True)
        elif button == "very long":
            self.stop(SHUT_DOWN)
