"""The log of one epoch as one process has it: written by an owner or a follower, read by any number of cursors."""

import asyncio

from streamgap.relay.farewell import Farewell
from streamgap.relay.limits import Limits

_DATA, _ID = b"data: ", b"\nid: "


class Log:
    """Content events `first`, `first` + 1, … of `epoch`, each encoded once, for all of its readers.

    Past the bounds of `limits` the oldest are dropped, a quarter at a time. `farewell` is set once nothing will follow.
    `total_bytes` counts the data of all events there ever were.
    """

    __slots__ = ("_bytes", "_events", "_limits", "_waiting", "epoch", "farewell", "first", "total_bytes")

    def __init__(self, epoch: int, *, limits: Limits) -> None:
        self.epoch = epoch
        self.first = 1
        self.farewell: Farewell | None = None
        self.total_bytes = 0
        self._limits = limits
        self._bytes = 0
        self._events: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def last(self) -> int:
        """Number of the last event; 0 before the first."""
        return self.first + len(self._events) - 1

    def append(self, payload: bytes) -> None:
        """Add the next event. `payload` is its data: one line of JSON."""
        events = self._events
        # As `sse_event` has it, the id last.
        event = b"data: %b\nid: %d.%d\n\n" % (payload, self.epoch, self.first + len(events))
        events.append(event)
        self._bytes += len(event)
        self.total_bytes += len(payload)
        if self._bytes > self._limits.log_bytes or len(events) > self._limits.log_events:
            self._slide()
        if self._waiting:
            self._wake()

    def skip_to(self, first: int) -> None:
        """Go on at event `first`, because those before it are no longer to be had."""
        self._events.clear()
        self._bytes = 0
        self.first = first

    def close(self, farewell: Farewell) -> None:
        """Say that nothing will follow; the first farewell counts."""
        if self.farewell is None:
            self.farewell = farewell
            self._wake()

    def after(self, cursor: int) -> bytes:
        """Return every event after number `cursor` ≥ `first` − 1, as it goes on the wire; empty where there is none."""
        events = self._events
        start = cursor + 1 - self.first
        if start == len(events) - 1:
            return events[-1]
        return b"".join(events[start:])

    def payloads(self, cursor: int, *, at_most: int) -> list[bytes]:
        """Return the data of up to `at_most` events after number `cursor` ≥ `first` − 1."""
        start = cursor + 1 - self.first
        return [event[len(_DATA) : event.rindex(_ID)] for event in self._events[start : start + at_most]]

    def changed(self) -> asyncio.Future[None]:
        """Return a future that is done after the next `append` or `close`."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def _slide(self) -> None:
        sizes = [len(event) for event in self._events]
        dropped, excess = 0, self._bytes - self._limits.log_bytes * 3 // 4
        while dropped < len(sizes) - 1 and (excess > 0 or dropped < len(sizes) // 4):
            excess -= sizes[dropped]
            dropped += 1
        del self._events[:dropped]
        self._bytes = sum(sizes[dropped:])
        self.first += dropped
