"""What each way of holding does to a stream: when its events come out, given when they went in. Pure simulation.

A diagnosis is a comparison: each of these is let run over the write times of a probe, and the one that foretells its
arrivals is the mechanism. So two rates, sizes or silences need no rules of their own.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import ceil, inf
from typing import Literal

import msgspec

from streamgap.core.mechanism import Mechanism

Edge = Literal["cut", "below", "above"]


class Stream(msgspec.Struct, frozen=True):
    """Events on their way: the time at which each goes in, and the byte offset behind each; neither decreases."""

    at_ms: Sequence[float]
    ends: Sequence[float]

    def later(self, at_ms: Sequence[float]) -> "Stream":
        """Return the same events at other times."""
        return Stream(at_ms, self.ends)


class Flow(msgspec.Struct, frozen=True):
    """Holds nothing."""

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        return list(stream.at_ms)


class Whole(msgspec.Struct, frozen=True):
    """Holds all but the first `after` events until the end of the stream."""

    after: int = 0

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        last_ms = stream.at_ms[-1]
        return [at if i < self.after else last_ms for i, at in enumerate(stream.at_ms)]


class OneBehind(msgspec.Struct, frozen=True):
    """Completes each event with the one after it."""

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        return [*stream.at_ms[1:], stream.at_ms[-1]]


class Count(msgspec.Struct, frozen=True):
    """Holds until `events` of them are there, whatever their bytes; `before` others were counted before the first."""

    events: int
    before: int = 0

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        at, last = stream.at_ms, len(stream.at_ms) - 1
        size, before = self.events, self.before
        return [at[min(((i + before) // size + 1) * size - 1 - before, last)] for i in range(len(at))]


class FirstBytes(msgspec.Struct, frozen=True):
    """Holds the first `size_bytes`, then lets everything flow."""

    size_bytes: float

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        filled = (at for at, end in zip(stream.at_ms, stream.ends, strict=True) if end >= self.size_bytes)
        open_ms = next(filled, stream.at_ms[-1])
        return [max(at, open_ms) for at in stream.at_ms]


class Blocks(msgspec.Struct, frozen=True):
    """Holds until `size_bytes` are there.

    `cut` blocks end mid-event, each at a multiple of the size less `before` bytes of something else (headers). Blocks
    of whole writes end `below` the size (the write that would not fit flushes those before it) or `above` it. `framed`:
    chunk framing counts, too (a TLS record's buffer, unlike the app's own).
    """

    size_bytes: float
    edge: Edge = "cut"
    framed: bool = False
    before: float = 0.0

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        return self._cut(stream) if self.edge == "cut" else self._whole_writes(stream)

    def _cut(self, stream: Stream) -> list[float]:
        out: list[float] = []
        at, ends, size, before = stream.at_ms, stream.ends, self.size_bytes, self.before
        filled, last = 0, len(ends) - 1
        for end in ends:
            # Half a byte: the sums of a ratio are no whole numbers.
            needed = ceil((end + before - 0.5) / size) * size - before - 0.5
            while filled <= last and ends[filled] < needed:
                filled += 1
            out.append(at[min(filled, last)])
        return out

    def _whole_writes(self, stream: Stream) -> list[float]:
        out: list[float] = []
        kept, begun, before = 0, 0.0, 0.0
        for at, end in zip(stream.at_ms, stream.ends, strict=True):
            if self.edge == "below" and kept and end - begun > self.size_bytes:
                out += [at] * kept
                kept, begun = 0, before
            kept += 1
            if end - begun >= self.size_bytes:
                out += [at] * kept
                kept, begun = 0, end
            before = end
        return out + [stream.at_ms[-1]] * kept


class Timer(msgspec.Struct, frozen=True):
    """Holds for `period_ms` from the first byte held, or until `cap_bytes` are there (a corked socket's segment).

    A cap of 0 is one that differs from connection to connection. `begun_ms`: something of its own (headers) was the
    first byte held.
    """

    period_ms: float
    cap_bytes: float = inf
    begun_ms: float | None = None

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        at, ends, last = stream.at_ms, stream.ends, len(stream.at_ms) - 1
        out: list[float] = []
        begun, since_ms = 0.0, at[0] if self.begun_ms is None else self.begun_ms
        while len(out) <= last:
            due_ms, i = since_ms + self.period_ms, len(out)
            if due_ms < at[i]:
                since_ms = at[i]
                continue
            stop = max(bisect_right(at, due_ms, lo=i), i + 1)
            full = bisect_left(ends, begun + self.cap_bytes, lo=i, hi=stop)
            if full < stop:
                due_ms, since_ms = at[full], at[full]
                begun += self.cap_bytes * ((ends[full] - begun) // self.cap_bytes)
                stop = bisect_right(ends, begun, lo=i, hi=stop)
            else:
                begun = ends[stop - 1]
            out += [min(due_ms, at[-1])] * (stop - i)
            if stop <= last and begun == ends[max(stop - 1, 0)]:
                since_ms = at[stop]
        return out


class Grid(msgspec.Struct, frozen=True):
    """Lets through at multiples of `period_ms` plus `phase_ms`."""

    period_ms: float
    phase_ms: float = 0.0

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        period, phase, last_ms = self.period_ms, self.phase_ms, stream.at_ms[-1]
        return [min(ceil((at - phase) / period) * period + phase, last_ms) for at in stream.at_ms]


class Throttle(msgspec.Struct, frozen=True):
    """Lets through at once, but not twice within `period_ms`."""

    period_ms: float

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        out: list[float] = []
        freed_ms, last_ms = -inf, stream.at_ms[-1]
        for at in stream.at_ms:
            if at > freed_ms:
                freed_ms = max(at, freed_ms + self.period_ms)
            out.append(min(freed_ms, last_ms))
        return out


class SlowLink(msgspec.Struct, frozen=True):
    """Carries `bytes_per_ms`: nobody holds anything, and yet the delay grows while more goes in."""

    bytes_per_ms: float

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        out: list[float] = []
        free_ms, before = -inf, 0.0
        for at, end in zip(stream.at_ms, stream.ends, strict=True):
            free_ms = max(at, free_ms) + (end - before) / self.bytes_per_ms
            before = end
            out.append(free_ms)
        return out


class Chain(msgspec.Struct, frozen=True):
    """One after the other."""

    inner: "Single"
    outer: "Single"

    def passed(self, stream: Stream) -> list[float]:
        """Return the time at which each event comes out."""
        return self.outer.passed(stream.later(self.inner.passed(stream)))


Single = Flow | Whole | OneBehind | Count | FirstBytes | Blocks | Timer | Grid | Throttle | SlowLink
Holder = Single | Chain

_NAMES: dict[type, Mechanism] = {
    Flow: Mechanism.FLOWING,
    Whole: Mechanism.WHOLE,
    OneBehind: Mechanism.ONE_BEHIND,
    Count: Mechanism.BLOCKS,
    FirstBytes: Mechanism.FIRST_BYTES,
    Blocks: Mechanism.BLOCKS,
    Timer: Mechanism.TIMER,
    Grid: Mechanism.TIMER,
    Throttle: Mechanism.TIMER,
    SlowLink: Mechanism.NETWORK,
}


def singles(holder: Holder) -> tuple[Single, ...]:
    """Return the parts of a holder, the inner one first."""
    return (holder.inner, holder.outer) if isinstance(holder, Chain) else (holder,)


def mechanism_of(holder: Single) -> Mechanism:
    """Return the mechanism that a holder is an example of."""
    return _NAMES[type(holder)]
