"""Other programs, for as long as somebody waits for them: no shell, a time limit, no orphans."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import IO, NamedTuple


class Ended(NamedTuple):
    """What a program left: its exit code (negative: the signal) and what it printed."""

    code: int
    out: bytes


async def run(
    words: Sequence[str], told: bytes = b"", wait_s: float = 30.0, out: IO[bytes] | None = None
) -> Ended:
    """Run a program with ``told`` on its standard input; ``out``: a file that takes its output.

    Raises OSError where it cannot be started, TimeoutError after ``wait_s``. Whatever ends the
    waiting ends the program.
    """
    child = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=out or asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(wait_s):
            said, _ = await child.communicate(told)
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    assert child.returncode is not None
    return Ended(child.returncode, said or b"")
