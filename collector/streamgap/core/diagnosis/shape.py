"""What the arrivals of one probe look like: differences of times and bytes, no judgement."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import sub
from statistics import median

import msgspec

from streamgap.core.probe import Arrival, Probe, Protocol, Read

# Reads closer than this are one release. A TLS record or a 64 KiB read is parsed within it (measured on a loaded
# 2-core machine), and it must stay below the pace: at 8 ms per event two of them are not one release.
TOGETHER_MS = 3.0
_OF_THE_PACE = 0.4
_AT_LEAST_MS = 0.5


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that came at one moment: events `first` … `stop` − 1 were completed by them (none where both are equal).

    `until_byte` is how many bytes of body had been transferred by then. `oldest_ms` and `youngest_ms` are how long the
    first and the last of these events had been held.
    """

    at_ms: float
    first: int
    stop: int
    until_byte: int
    oldest_ms: float = 0.0
    youngest_ms: float = 0.0

    @property
    def events(self) -> int:
        """How many events it completed."""
        return self.stop - self.first


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One probe's arrivals, in order.

    `wrote_ms` is empty where the app did not say. dᵢ = cameᵢ − wroteᵢ, `delay_ms` = min dᵢ, `holds_ms` = dᵢ − min dᵢ.
    `ends` are the offsets in the body behind each event as they would be on the wire, that is: scaled by the
    compression's ratio. `framed` are the same with the chunk framing of each event before it, where there is one.
    """

    probe: Probe
    came_ms: tuple[float, ...]
    wrote_ms: tuple[float, ...]
    ends: tuple[float, ...]
    framed: tuple[float, ...]
    delay_ms: float
    holds_ms: tuple[float, ...]
    releases: tuple[Release, ...]

    @property
    def timed(self) -> bool:
        """Whether the app told when it wrote each event."""
        return bool(self.wrote_ms)

    @property
    def hold_ms(self) -> float:
        """The longest hold."""
        return max(self.holds_ms, default=0.0)

    @property
    def arrived_ms(self) -> float:
        """The client's spread: last event − first event."""
        return self.came_ms[-1] - self.came_ms[0] if self.came_ms else 0.0

    @property
    def written_ms(self) -> float:
        """The app's spread; 0 where unknown."""
        return self.wrote_ms[-1] - self.wrote_ms[0] if self.wrote_ms else 0.0

    @property
    def batched(self) -> float:
        """The share of events that came together with others, 0…1."""
        together = sum(release.events for release in self.releases if release.events > 1)
        return together / len(self.came_ms) if self.came_ms else 0.0

    @property
    def sizes(self) -> list[float]:
        """Bytes of each event on the wire."""
        return [self.ends[0], *(b - a for a, b in pairwise(self.ends))] if self.ends else []

    def late(self, than_ms: float) -> float:
        """Return the share of events held longer than that, 0…1."""
        return sum(hold > than_ms for hold in self.holds_ms) / max(len(self.holds_ms), 1)


def shape_of(probe: Probe) -> Shape:
    """Return the shape of a probe. Example: written at 0, 50, 100 ms and all come at 130 ms: holds 100, 50, 0 ms."""
    events = sorted(probe.events, key=lambda event: (event.came_ms, event.end_byte))
    came = tuple(event.came_ms for event in events)
    wrote = tuple(event.wrote_ms or 0.0 for event in events) if probe.timed else ()
    delays = list(map(sub, came, wrote)) if wrote else []
    least = min(delays, default=0.0)
    holds = tuple(delay - least for delay in delays)
    ends = _ends(probe, events)
    return Shape(
        probe=probe,
        came_ms=came,
        wrote_ms=wrote,
        ends=ends,
        framed=_framed(ends) if _is_chunked(probe) else ends,
        delay_ms=least,
        holds_ms=holds,
        releases=tuple(_releases(probe.reads or _reads_of(events), came=came, holds=holds, wrote=wrote)),
    )


def _ends(probe: Probe, events: Sequence[Arrival]) -> tuple[float, ...]:
    """Return the offset behind each event in transferred bytes: exact where there is no coding, else by the ratio."""
    last = events[-1].end_byte if events else 0
    if not probe.encoding or not last:
        return tuple(float(event.end_byte) for event in events)
    ratio = (probe.wire_bytes or last) / max(probe.body_bytes, last)
    return tuple(event.end_byte * ratio for event in events)


def _framed(ends: Sequence[float]) -> tuple[float, ...]:
    """Add what chunked framing costs where each event is one chunk: its size in hex and two line ends."""
    framed, added, before = [], 0, 0.0
    for end in ends:
        added += len(f"{int(end - before):x}") + 4
        before = end
        framed.append(end + added)
    return tuple(framed)


def _is_chunked(probe: Probe) -> bool:
    return probe.asked.protocol is not Protocol.H2 and not probe.header("content-length")


def _reads_of(events: Sequence[Arrival]) -> list[Read]:
    """Make up the reads of a probe that kept none: one per event."""
    ends = [0, *(event.end_byte for event in events)]
    return [Read(event.came_ms, max(event.end_byte - before, 0)) for before, event in zip(ends, events, strict=False)]


def _releases(
    reads: Sequence[Read], *, came: Sequence[float], holds: Sequence[float], wrote: Sequence[float]
) -> list[Release]:
    apart_ms = _apart_ms(wrote)
    made: list[Release] = []
    first, until = 0, 0
    for at, read in enumerate(reads):
        until += read.wire_bytes
        last = at + 1 == len(reads)
        if not last and reads[at + 1].at_ms - read.at_ms < apart_ms:
            continue
        stop = len(came) if last else max(bisect_right(came, read.at_ms), first)
        held = holds[first:stop] or (0.0,)
        release = Release(
            at_ms=read.at_ms, first=first, stop=stop, until_byte=until, oldest_ms=held[0], youngest_ms=held[-1]
        )
        made.append(release)
        first = stop
    return made


def _apart_ms(wrote: Sequence[float]) -> float:
    """Return the time by which reads must be apart to be two releases; small where the app itself writes fast."""
    gaps = [b - a for a, b in pairwise(wrote) if b > a]
    if not gaps:
        return TOGETHER_MS
    return min(TOGETHER_MS, max(_OF_THE_PACE * median(gaps), _AT_LEAST_MS))
