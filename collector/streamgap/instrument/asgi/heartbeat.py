"""Heartbeats during silence: one lazy timer per stream, which is never re-armed by data."""

import asyncio
from collections.abc import Awaitable, Callable

from streamgap.instrument.faults import note_fault


class Heartbeat:
    """Calls `write` whenever nothing was written for `every_s` (seconds), unless something is just being written.

    The owner sets `busy` around each write of its own, calls `wrote` after it, and before it awaits `pause`, so that no
    two writes overlap. `allowed` says whether a beat may stand here, between two events. Nothing here touches, wraps
    or cancels what the app is waiting for.
    """

    __slots__ = ("_allowed", "_every_s", "_last_s", "_loop", "_timer", "_write", "busy", "writing")

    def __init__(self, write: Callable[[], Awaitable[None]], *, every_s: float, allowed: Callable[[], bool]) -> None:
        self._write = write
        self._every_s = every_s
        self._allowed = allowed
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.busy = False
        self.writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen for silence."""
        self._timer = self._loop.call_at(self._last_s + self._every_s, self._tick)

    def wrote(self) -> None:
        """Note that something has just been written."""
        self._last_s = self._loop.time()

    async def pause(self) -> None:
        """Wait until a beat that is being written is written."""
        if self.writing is not None:
            await asyncio.wait((self.writing,))

    def stop(self) -> None:
        """Beat no more; a beat that waits for a slow client is given up."""
        self._disarm()
        if self.writing is not None:
            self.writing.cancel()

    def _tick(self) -> None:
        due_s, now_s = self._last_s + self._every_s, self._loop.time()
        if now_s >= due_s:
            if not self.busy and self.writing is None and self._allowed():
                self.writing = self._loop.create_task(self._beat())
            due_s = now_s + self._every_s
        self._timer = self._loop.call_at(due_s, self._tick)

    async def _beat(self) -> None:
        try:
            await self._write()
            self.wrote()
        except OSError:
            # The client is gone; whoever reads `receive` is being told so.
            self._disarm()
        except Exception as error:  # noqa: BLE001, the response survives a server that takes no beats
            note_fault("heartbeat", error)
            self._disarm()
        finally:
            self.writing = None

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
