"""How late the prober's own event loop ran: what looks like a hop's hold may be a busy machine here."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Self

TICK_S = 0.010


class Watch:
    """The worst lateness of the loop since the watch began, in ms."""

    def __init__(self, lag: "Lag") -> None:
        self._lag = lag
        self._began_s = lag.clock()
        self._worst_s = 0.0

    def note(self, due_s: float, now_s: float) -> None:
        """Take a tick that was due at `due_s` and came at `now_s`; lateness before the watch began is not its own."""
        self._worst_s = max(self._worst_s, now_s - max(due_s, self._began_s))

    @property
    def worst_ms(self) -> float:
        """The worst so far, a tick that is overdue at this very moment included."""
        self.note(self._lag.due_s, self._lag.clock())
        return self._worst_s * 1000


class Lag:
    """A clock tick every 10 ms while its `async with` block runs; one serves all probes of a diagnosis."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.due_s = float("inf")
        self._watches: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._arm()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.due_s = float("inf")

    @contextlib.contextmanager
    def watch(self) -> Iterator[Watch]:
        """Watch the loop for the length of a `with` block."""
        watch = Watch(self)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def _arm(self) -> None:
        self.due_s = self.clock() + TICK_S
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now_s = self.clock()
        for watch in self._watches:
            watch.note(self.due_s, now_s)
        self._arm()
