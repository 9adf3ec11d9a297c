"""One line on a terminal that says what is being done, how far it is, and how long it will still take."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from typing import TextIO, TypeVar

T = TypeVar("T")
Progress = Callable[[float, float, str], None]

_BAR = 20
_TICK_S = 0.2


class ProgressLine:
    """Draws `[████····] 12 s left  words` again and again on one line of `stream`; silent where that is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()

    def __call__(self, done_s: float, total_s: float, words: str) -> None:
        """Show that `done_s` of about `total_s` seconds are over."""
        if not self._shown:
            return
        share = min(max(done_s / total_s, 0.0), 1.0) if total_s > 0 else 1.0
        full = round(share * _BAR)
        line = f"[{'█' * full}{'·' * (_BAR - full)}] {max(total_s - done_s, 0.0):3.0f} s left  {words}"
        self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size((120, 24)).columns - 1]}")
        self._stream.flush()

    def clear(self) -> None:
        """Wipe the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def silent(done_s: float, total_s: float, words: str) -> None:
    """Show nothing."""


async def while_shown(work: Awaitable[T], *, progress: Callable[[float], None]) -> T:
    """Await `work`, telling `progress` five times a second how many seconds of it are over."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    async def tick() -> None:
        while True:
            progress(loop.time() - began_s)
            await asyncio.sleep(_TICK_S)

    ticker = asyncio.create_task(tick())
    try:
        return await work
    finally:
        ticker.cancel()
