"""Readers that have stopped reading: found by one timer for all, so that a write costs nothing more."""

import asyncio
from collections.abc import Callable

_LOOKS = 4
"""Looks per `stall_s`: a stalled reader is dropped at most a quarter later than it should be."""


class Reader:
    """One connection that reads a log. It sets `sending` around each write, and counts it in `sends`.

    `drop` is called once when it has been stuck in one write for too long; `dropped` remembers it.
    """

    __slots__ = ("drop", "dropped", "seen", "sending", "sends", "stuck")

    def __init__(self, drop: Callable[[], None]) -> None:
        self.drop = drop
        self.dropped = False
        self.sending = False
        self.sends = 0
        self.seen = 0
        self.stuck = 0


class StallWatch:
    """Drops readers that have been in one write for `stall_s` seconds."""

    def __init__(self, stall_s: float) -> None:
        self._every_s = stall_s / _LOOKS
        self._readers: set[Reader] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reader: Reader) -> None:
        """Begin to watch a reader."""
        self._readers.add(reader)
        if self._timer is None:
            self._arm()

    def remove(self, reader: Reader) -> None:
        """Watch a reader no more; without any the timer rests."""
        self._readers.discard(reader)
        if not self._readers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        self._arm()
        for reader in tuple(self._readers):
            is_stuck = reader.sending and reader.sends == reader.seen
            reader.seen = reader.sends
            reader.stuck = reader.stuck + 1 if is_stuck else 0
            if reader.stuck >= _LOOKS and not reader.dropped:
                reader.dropped = True
                reader.drop()
