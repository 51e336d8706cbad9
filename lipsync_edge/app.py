"""`run`: the whole robot in one process, from opening the devices to the summary at the end."""

from __future__ import annotations

import atexit
import gc
import logging
import math
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lipsync_edge.about import motion
from lipsync_edge.actions import RESTART, SHUT_DOWN, Actions
from lipsync_edge.attendant import Attendant, led_state
from lipsync_edge.audio import Source
from lipsync_edge.audio.courier import BlockCourier
from lipsync_edge.audio.ring import Ring
from lipsync_edge.audio.wav import resampled
from lipsync_edge.build import (
    Chain,
    make_board,
    make_care,
    make_chain,
    make_model,
    make_pacer,
    make_pins,
    remake_chain,
    safe_board,
    safe_model,
)
from lipsync_edge.clock import Bell, MonotonicClock
from lipsync_edge.config import Config
from lipsync_edge.desk import Desk
from lipsync_edge.engine import Feeder
from lipsync_edge.errors import BoardError, LipsyncError
from lipsync_edge.gauges import Gauges
from lipsync_edge.health import Counted, Vitals
from lipsync_edge.insides import Inside, Reread
from lipsync_edge.logs import LogQueue
from lipsync_edge.memory import last_pose, last_warmth
from lipsync_edge.realtime import Realtime
from lipsync_edge.runs import boot_id
from lipsync_edge.sampleclock import SampleClock
from lipsync_edge.service import Service, socket_path
from lipsync_edge.servos.rig import Rig
from lipsync_edge.sound import Sound
from lipsync_edge.summary import Summary, summarize
from lipsync_edge.supervisor import Supervisor
from lipsync_edge.supply import Sensors, Supply
from lipsync_edge.system import age_s, power_off, restart_self, sigterm_as_interrupt
from lipsync_edge.telemetry import Scene, Telemetry

log = logging.getLogger(__name__)

RING_S = 2.0  # how far the analyzer may fall behind before it begins anew
FRAME_S = 1 / 20  # pictures of the face
HUNG_S = 5.0  # a thread without a heartbeat for so long does not come back
STOPPED_S = 1.0  # a round of ours that took longer: we did not run, and the others may not have
TAIL_S = 0.5  # after the last sample, so that the mouth comes to rest
HOLD_S = 1.0  # longer than it takes to wake, no sound waits for servos
MEND_S = 1.0  # pause between attempts to open a board that was not there at the start


class Robot:
    """A running head. ``source``: what it says; None: what its microphone hears, until stopped.
    ``reread``: the config anew, as it was first made, or with a text for its file's content."""

    def __init__(
        self,
        config: Config,
        source: Source | None,
        max_s: float = math.inf,
        reread: Reread | None = None,
    ) -> None:
        self.config = config
        self.vitals = Vitals()
        """How it is, replaced some times a second and never changed: for any thread."""
        self._max_s, self._reread = max_s, reread
        self._asked = ""  # the signal that asked us to stop
        self._clock = MonotonicClock()
        self._begun_s = self._clock.now()
        self._telemetry = Telemetry()
        self._supervisor = Supervisor(self._clock)
        self._logs = LogQueue(self._clock)
        self._service = Service(config.service)
        self._service.begin()
        try:
            with sigterm_as_interrupt():
                self._build(source)
        except LipsyncError as error:
            self._service.refuse(error)
            raise
        except KeyboardInterrupt:
            self._service.end("asked to, while it started", failed=False)
            raise

    def _build(self, source: Source | None) -> None:
        config, safe = self.config, self._service.safe_mode
        self._bell = Bell()
        self._model = safe_model() if safe else make_model(config, self._clock)
        self._rig = Rig(config.head, self._model.axes)
        self._board = safe_board(self._rig) if safe else make_board(config, self._rig, self._clock)
        self._board_missing = ""  # why it could not be opened
        self._mend_s = math.inf
        unattended = self._service.unattended
        self._realtime = Realtime(
            config.service.realtime == "auto", logging.WARNING if unattended else logging.INFO
        )
        self._blocks, self._was_lost = Counted(), False
        self._round_s = self._clock.now()
        self._has_source = source is not None
        self._sound = Sound(
            config, self._has_source, self._clock, self._telemetry, self._realtime,
            self._supervisor,
        )  # fmt: skip
        rate_hz = self._sound.stream.rate_hz
        self._source = resampled(source, rate_hz) if source else None
        self._heard_ring = Ring(int(RING_S * rate_hz))
        ring = self._sound.ring
        self._feeder = Feeder(self._source, ring) if self._source and ring else None
        store = self._service.store
        warmth = last_warmth(store, self._rig.names, self._clock.now(), boot_id())
        care = make_care(config, self._rig, last_pose(store), warmth)
        self._attendant = Attendant(
            make_pins(config), Supply(Sensors()), care, self._rig.names, store
        )
        self._chain: Chain = make_chain(
            config,
            self._model,
            self._rig,
            self._board,
            self._heard_ring,
            rate_hz,
            self._clock,
            self._telemetry,
            care,
        )
        self._care = care
        self._sample_clock = SampleClock(rate_hz, self._sound.stream.output_latency_s)
        self._courier = BlockCourier(
            self._heard_ring, self._bell, self._chain.lookahead_samples, ring,
            live=self._sound.live is not None,
        )  # fmt: skip
        # The first word shall not be lost on servos that wake; a board that fails may not keep it.
        self._courier.held = self._has_source and not safe
        self._pacer = make_pacer(
            config, self._chain, self._sample_clock, self._courier, self._clock, self._telemetry
        )
        self.actions = Actions(self._courier, care, self._chain.mover, self._supervisor)
        self._gauges = Gauges(self._telemetry)
        self._desk = self._make_desk(rate_hz)

    def _make_desk(self, rate_hz: int) -> Desk:
        inside = Inside(
            self.config, self._model.name, self._model.axes, self._reread, self._move_by,
            self.actions.restart if self._service.safe_mode else None, self._attendant.blink,
            self._supervisor,
        )  # fmt: skip
        return Desk(
            socket_path(self.config.service), self.actions, self._courier, rate_hz, inside,
            lambda: motion(self._chain.mover.snapshot, self._chain.analyzer.loudness, rate_hz),
            self._clock,
        )  # fmt: skip

    def run(self, draw: Callable[[Scene], None]) -> Summary:
        """Speak until the source ends, somebody stops us, or a thread fails; outputs end off."""
        atexit.register(self._board.close)
        for asked in (signal.SIGTERM, signal.SIGHUP):  # a service's stop, a closed terminal
            signal.signal(asked, self._note)
        self._logs.install()
        try:
            self._start()
            self._watch(draw)
        except KeyboardInterrupt:
            self._supervisor.stop("Ctrl-C")
        except LipsyncError as error:
            self._supervisor.stop(str(error), failed=True)
            self._service.refuse(error)
            raise
        finally:
            # Nothing else ends the watch without a reason but an error that nobody foresaw.
            self._supervisor.stop("the main thread failed", failed=True)
            self._stop()
            signal.signal(signal.SIGINT, signal.default_int_handler)
        restarts = self._supervisor.reason == RESTART
        if restarts and self._asked:  # meanwhile: whoever ends us wants no new start
            self._service.stopping()
            restarts = False
        self._service.end(self._supervisor.reason, self._supervisor.failed)
        if self._supervisor.reason == SHUT_DOWN and (refused := power_off()):
            log.error("%s", refused)
        if restarts and not self._asked:
            restart_self()
        return self._summary()

    def _note(self, number: int, _: object) -> None:
        """A signal handler may wait for no lock, which the thread that it interrupts may hold."""
        self._asked = signal.Signals(number).name

    def _start(self) -> None:
        sys.setswitchinterval(0.0005)  # else a busy thread keeps the callback waiting for 5 ms
        self._supervisor.loop("log", self._logs.step)
        if self._service.store.keeps:
            self._supervisor.loop("state", self._service.store.step)
        self._desk.open(self._supervisor, self._service.unattended)
        self._attendant.open()
        self._open_board()
        self._realtime.lock()
        gc.collect()
        gc.freeze()
        self._supervisor.loop("analyzer", self._analyze)
        if self._feeder:
            self._supervisor.loop("feeder", self._feed)
            self._feeder.await_first(lambda s: bool(self._asked) or self._supervisor.wait(s))
        self._sound.start(self._courier, self._sample_clock)
        self._supervisor.loop("mover", self._pacer.step)
        for name in ("mover", "analyzer"):
            self._realtime.give(name, self._supervisor.native_ids(name))
        self._begun_s = self._clock.now()

    def _open_board(self) -> None:
        """Where nobody stands by, a board that is not there costs the motion, not the sound."""
        try:
            self._board.open()
        except BoardError as error:
            if not self._service.unattended:
                raise
            self._board_missing = str(error)
            self._mend_s = self._clock.now() + MEND_S
        else:
            self._board_missing, self._mend_s = "", math.inf
            self._attendant.power(not self._service.safe_mode)

    def _analyze(self) -> None:
        self._bell.wait(0.1)
        self._chain.analyzer.step()

    def _feed(self) -> None:
        if self._feeder and not self._feeder.step():
            self._supervisor.wait(0.02)

    def _watch(self, draw: Callable[[Scene], None]) -> None:
        while not self._wait():
            self._end_when_done()  # first, for nobody is forgiven later than in the wait
            draw(Scene(self._chain.mover.snapshot, self._health()))
            self._tell()
            if self._clock.now() >= self._mend_s:
                self._open_board()
            if failure := self._sound.step():
                self._supervisor.stop(failure, failed=True)

    def _wait(self) -> bool:
        """True when it is time to end. Whoever stops us all, SIGSTOP say, stops no thread alone;
        it may happen in the wait or in the work of a round."""
        self._supervisor.wait(FRAME_S / 2)
        self._attendant.feel(self._clock.now())
        ends = self._supervisor.wait(FRAME_S / 2)
        now_s = self._clock.now()
        unseen_s, self._round_s = now_s - self._round_s - STOPPED_S, now_s
        if unseen_s > 0:
            self._supervisor.forgive(unseen_s)
            self._blocks = Counted()
        return ends

    def _tell(self) -> None:
        now_s = self._clock.now()
        self.actions.press(self._attendant.step(now_s))
        self.vitals = vitals = self._vitals(now_s)
        self._service.tell(vitals, now_s, now_s - self._begun_s)
        self._attendant.guard(vitals, now_s)
        self._attendant.show(led_state(vitals), now_s)
        self._desk.step(vitals, self._chain.mover.snapshot, self._more())
        if self._care.awake or now_s - self._begun_s > self._care.wake_s + HOLD_S:
            self._courier.held = False
        if math.isnan(self._telemetry.ready_s) and self._service.is_ready:
            self._telemetry.ready_s = age_s()

    def _more(self) -> dict[str, Any]:
        """What the status tells beside the vitals."""
        return {
            "head": self.config.head.name, "model": self._model.name,
            "config": self.config.source, "device": self._sound.name,
            "uptime_s": self._clock.now() - self._begun_s,
            **self._gauges.read(self._clock.now(), self._chain.budget),
            "warmth": self._attendant.warmth(), "computer": self._attendant.computer,
        }  # fmt: skip

    def _move_by(self, config: Config) -> None:
        """The same sound, stream, model and board; another way to move."""
        rig, rate_hz = Rig(config.head, self._model.axes), self._sound.stream.rate_hz
        care = make_care(config, rig)
        self._chain = remake_chain(
            self._chain, config, self._model, rig, self._board, rate_hz, self._telemetry, care
        )
        self._rig, self._care, self.config = rig, care, config
        self._attendant.rewire(care)
        self.actions.rewire(care, self._chain.mover)
        self._pacer.swap(  # last, for it moves by what the others have told it
            self._chain.mover, 1 / config.motion.rate_hz, self._chain.budget.trail_ms / 1e3
        )
        logging.getLogger().setLevel(config.log.level.upper())

    def _vitals(self, now_s: float) -> Vitals:
        telemetry, board, courier = self._telemetry, self._board.health(), self._courier
        if self._was_lost and not self._sound.lost:
            self._blocks = Counted()  # its first block may take a while
        self._was_lost = bool(self._sound.lost)
        return Vitals(
            beat_ages_s=self._supervisor.beat_ages_s(),
            sound_age_s=self._blocks.age_s(courier.blocks, now_s),
            sound_clock=self._sample_clock.ready,
            hops=telemetry.hops,
            ticks=telemetry.ticks,
            xruns=courier.xruns,
            late=telemetry.late,
            refused_poses=telemetry.refused_poses,
            heard_s=telemetry.heard_s,
            lookahead_ms=self.config.audio.lookahead_ms,
            openness=max(map(abs, self._chain.mover.snapshot.pose.values()), default=0.0),
            muted=courier.muted,
            resting=self._care.resting,
            posing=self.actions.posing,
            lost=self._sound.lost,
            input_lost=self._sound.input_lost,
            board_ok=board.ok,
            board_failures=board.failures,
            board_message=self._board_missing or board.message,
            safe_mode=self._service.safe_mode,
            notes=self._attendant.notes(),
            hot=self._attendant.hot(),
        )

    def _end_when_done(self) -> None:
        if self._asked:
            self._supervisor.stop(self._asked)
        for name in ("analyzer", "mover"):  # the feeder may wait for a pipe
            if (silent_s := self._supervisor.beat_ages_s().get(name, 0.0)) > HUNG_S:
                self._supervisor.stop(f"the {name} hangs since {silent_s:.0f} s", failed=True)
        if self._clock.now() - self._begun_s >= self._max_s:
            self._supervisor.stop(f"ran for {self._max_s:.0f} s")
        end_s = self._courier.end_sample / self._sound.stream.rate_hz
        if end_s >= 0 and self._telemetry.heard_s > end_s + TAIL_S:
            self._supervisor.stop("the end of the sound")

    def _stop(self) -> None:
        """In reverse: the mover first, so that nobody writes after the outputs are off."""
        if self._supervisor.reason == RESTART:
            self._service.reloading(self._clock.now())
        else:
            self._service.stopping()
        with suppress(ValueError):  # impatience must not leave the outputs on
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        close_source = self._source.close if self._source else lambda: None
        for name, step in (
            ("the way to rest", self._park),
            ("the board", self._close_board),
            ("the pins", self._attendant.close),
            ("the sound", self._sound.stop),
            ("the source", close_source),  # first: the feeder may wait for a pipe that is silent
            ("the threads", self._supervisor.join),
            ("the control socket", self._desk.close),
        ):
            self._supervisor.finish(name, step)
        self._logs.remove()
        while self._logs.step(0):
            pass
        self._realtime.close()

    def _park(self) -> None:
        if self._supervisor.join("mover"):
            self._chain.mover.park(self._clock, 1 / self.config.motion.rate_hz)
        else:
            self._attendant.power(False)

    def _close_board(self) -> None:
        self._board.close()
        if not self._board.silenced:
            self._supervisor.failed = True
            log.error("outputs may still be on: %s", self._board.health().message)

    def _health(self) -> str:
        if self._sound.lost or self._sound.input_lost:
            return "sound device lost, waiting for it"
        telemetry, board = self._telemetry, self._board.health()
        return (
            f"{telemetry.heard_s:6.1f} s  xruns {self._courier.xruns}  "
            f"starved {telemetry.starved}  late {telemetry.late}  "
            f"board {'ok' if board.ok else board.message}"
        )

    def _summary(self) -> Summary:
        return summarize(
            reason=self._supervisor.reason, failed=self._supervisor.failed, config=self.config,
            stream=self._sound.stream, device=self._sound.name, courier=self._courier,
            board=self._board, model_name=self._model.name, telemetry=self._telemetry,
            budget=self._chain.budget,
        )  # fmt: skip
