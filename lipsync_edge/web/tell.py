"""How the head tells its PIN: on the terminal and in the journal, by its LED, by its voice."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from pathlib import Path

from lipsync_edge.errors import ControlError
from lipsync_edge.web import child
from lipsync_edge.web.engine import Engine

log = logging.getLogger(__name__)
SPEAK_S = 10.0


async def tell(pin: str, engine: Engine, folder: Path) -> list[str]:
    """Tell it in all ways that there are; which ones: ``terminal``, ``led``, ``speech``."""
    tell_terminal(pin)
    done = await asyncio.gather(_blink(pin, engine), _speak(pin, engine, folder))
    return ["terminal", *(way for way, did in zip(("led", "speech"), done, strict=True) if did)]


def tell_terminal(pin: str) -> None:
    """On the terminal that the page was started from, or in its journal."""
    log.warning("The PIN is %s %s, for ten minutes.", pin[:3], pin[3:])


async def _blink(pin: str, engine: Engine) -> bool:
    try:
        told = await engine.ask("blink", digits=pin)
    except ControlError:
        return False
    return bool(told.get("led"))


async def _speak(pin: str, engine: Engine, folder: Path) -> bool:
    program = shutil.which("espeak-ng")
    if not program:
        return False
    text = f"My pin is: {', '.join(pin)}. Again: {', '.join(pin)}."
    with tempfile.TemporaryFile(dir=folder) as sound:
        try:
            words = [program, "-s", "120", "--stdout"]  # other users may see arguments: not the PIN
            ended = await child.run(words, text.encode(), SPEAK_S, sound)
            sound.seek(0)
            await engine.ask("say-file", fd=sound.fileno())
        except (ControlError, OSError, TimeoutError):
            return False
    return ended.code == 0
