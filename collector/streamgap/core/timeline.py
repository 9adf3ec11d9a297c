"""One side's view of one stream, recorded in constant memory.

A *chunk* is one content event of an SSE stream, or one write (read) of any other stream. The index of `offsets`
counts content events for SSE and bytes for everything else, so that both sides number the same thing even where a hop
cuts the bytes anew.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import floor
from typing import Literal

from streamgap.core.catalog import CHUNK_GAP_BUCKETS_MS
from streamgap.core.offsets import Offsets

Unit = Literal["events", "bytes"]


class Timeline:
    """Push-only recorder of arrivals (or writes), times in ms since the side's own start.

    The first chunk opens the timeline and is not a gap. `gaps[i]` counts the gaps that fall into bucket i of
    `streamgap_chunk_gap_seconds` (upper bounds inclusive, the last one is +Inf); their sum is exactly `spread_ms`.
    A time earlier than the one before it (a clock that stepped back) is taken as equal to it, so no gap is negative.
    """

    __slots__ = ("chunks", "count", "gaps", "last_ms", "longest_gap_ms", "offsets", "unit")

    def __init__(self, unit: Unit = "events") -> None:
        self.unit: Unit = unit
        self.offsets = Offsets()
        self.count = 0
        self.chunks = 0
        self.last_ms: float | None = None
        self.longest_gap_ms = 0.0
        self.gaps = [0] * (len(CHUNK_GAP_BUCKETS_MS) + 1)

    def arrive(self, items: int, at_ms: float) -> None:
        """Record `items` content events (unit `events`) or bytes (unit `bytes`) that came together at `at_ms`."""
        if items <= 0:
            return
        last_ms = self.last_ms
        if last_ms is None:
            at_ms = max(at_ms, 0.0)
        else:
            gap_ms = at_ms - last_ms
            if gap_ms < 0.0:
                at_ms, gap_ms = last_ms, 0.0
            self.gaps[bisect_left(CHUNK_GAP_BUCKETS_MS, gap_ms)] += 1
            self.longest_gap_ms = max(self.longest_gap_ms, gap_ms)
        chunks = items if self.unit == "events" else 1
        self.gaps[0] += chunks - 1
        self.chunks += chunks
        self.count += items
        self.last_ms = at_ms
        self.offsets.reach(self.count, at_ms)

    @property
    def first_ms(self) -> float | None:
        """Time to first chunk (TTFC) in ms, or None before it came."""
        times = self.offsets.times_ms
        return times[0] if times else None

    @property
    def spread_ms(self) -> float:
        """Last chunk − first chunk, in ms; 0 for fewer than two chunks."""
        first = self.first_ms
        return 0.0 if first is None or self.last_ms is None else self.last_ms - first


def quantile(values: Sequence[float], q: float) -> float | None:
    """Return the q-quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7).

    With n sorted values and h = (n − 1)·q the result is x[⌊h⌋] + (h − ⌊h⌋)·(x[⌊h⌋+1] − x[⌊h⌋]); this is NumPy's
    default. Example: the 0.95-quantile of 1, 2, …, 20 is 19.05, where `x[int(n * .95)]` would say 20, the maximum.
    None for no values; `q` outside [0, 1] raises ValueError.
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"quantile: expected q in [0, 1], got {q!r}")
    if not values:
        return None
    ordered = sorted(values)
    h = (len(ordered) - 1) * q
    low = floor(h)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (h - low) * (ordered[high] - ordered[low])
