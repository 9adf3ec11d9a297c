"""The likely mechanism of a held joined stream, from its two halves alone.

One stream at one rate is little evidence, and nobody repeated it: what it cannot decide is `unknown`, and what may be
chance is the network's. `streamgap doctor` asks the path itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from operator import sub
from statistics import fmean, median

from streamgap.core.mechanism import Mechanism
from streamgap.core.offsets import shared
from streamgap.core.wire import ClientHalf, ServerHalf
from streamgap.core.words import HELD_BY

__all__ = ["HELD_BY", "held_by"]

# Chunks came together where the client's gap is nothing beside the server's; a slow link draws a release out a little.
TOGETHER_MS, TOGETHER_SHARE, TOGETHER_MOST_MS = 5.0, 0.25, 25.0
# A delay is a delay from here on, or from this share of the longest.
LATE_MS, LATE_SHARE = 100.0, 0.15
# All came at once where the client's spread is less than this share of the server's.
COLLAPSED = 0.08
# Content that came this long after the last write did not wait for the end alone.
END_MS = 1000.0
# Measured over events of 120 bytes: a compressor that is flushed once leaves 0.40, one flushed per event 0.56 and more.
FLUSHED_RATIO, SMALL_EVENT_BYTES = 0.5, 250.0
# Buffers that unflushed compressors fill on text: zlib's 90 kB and more, zstd's 131 kB.
COMPRESSOR_BYTES = 60_000.0
# Releases that are equal in time or in size, by their coefficient of variation; a block's size, give or take an event.
STEADY, ALIKE, SAME_SIZE, FEW, MOST = 0.12, 0.25, 0.06, 2, 0.8
BLOCK_BYTES = (1024, 4096, 8192, 16384, 32768, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joint:
    """Both halves at the shared indices: when written, how `late` beyond the least delay, where each release starts."""

    wrote: Sequence[float]
    late: Sequence[float]
    starts: tuple[int, ...]
    stride: int

    @property
    def releases(self) -> tuple[range, ...]:
        """The indices of each release: chunks that came together."""
        return tuple(range(a, b) for a, b in pairwise((*self.starts, len(self.wrote))))

    @property
    def limit_ms(self) -> float:
        """The delay from which on a chunk is late."""
        return max(LATE_MS, LATE_SHARE * max(self.late))


def held_by(server: ServerHalf, client: ClientHalf) -> Mechanism:
    """Return the likely mechanism of a stream that was judged `held`; `UNKNOWN` where its halves do not decide.

    Example: written at 0, 50, … 2000 ms, all there at 2040 ms: `WHOLE`, or `COMPRESSOR` where the body was encoded.
    """
    if server.unit != client.unit:
        return Mechanism.UNKNOWN
    wrote, came = shared(server.at, server.stride, client.at, client.stride)
    if len(wrote) < 2:  # noqa: PLR2004, one chunk has no shape
        return Mechanism.UNKNOWN
    delays = list(map(sub, came, wrote))
    least, most = min(delays), max(delays)
    if most - least < max(LATE_MS, least / 4):
        return _constant(server, client, least)
    if client.spread < COLLAPSED * server.spread:
        return _gathered(server, client, least)
    late, stride = [delay - least for delay in delays], max(server.stride, client.stride)
    return _shape(_Joint(wrote=wrote, late=late, starts=_starts(wrote, came), stride=stride), client)


def _starts(wrote: Sequence[float], came: Sequence[float]) -> tuple[int, ...]:
    """Return the index at which each release begins."""
    steps = enumerate(zip(map(sub, wrote[1:], wrote), map(sub, came[1:], came), strict=True), start=1)
    apart = (
        i
        for i, (wrote_gap, came_gap) in steps
        if came_gap > TOGETHER_MS and came_gap > min(TOGETHER_SHARE * wrote_gap, TOGETHER_MOST_MS)
    )
    return (0, *apart)


def _constant(server: ServerHalf, client: ClientHalf, least: float) -> Mechanism:
    """Judge a delay that was the same for every chunk: with its headers, the request itself came late to the app."""
    if client.head is None or server.head is None:
        return Mechanism.UNKNOWN
    return Mechanism.QUEUE if client.head - server.head > least / 2 else Mechanism.UNKNOWN


def _gathered(server: ServerHalf, client: ClientHalf, least: float) -> Mechanism:
    """Judge a stream that came all at once: at its end, or only before anybody saw what would come next."""
    if client.count < server.count or least > END_MS:
        return Mechanism.UNKNOWN
    return Mechanism.COMPRESSOR if _encoded(client) and not _flushed(client) else Mechanism.WHOLE


def _shape(joint: _Joint, client: ClientHalf) -> Mechanism:
    if _one_behind(joint):
        return Mechanism.ONE_BEHIND
    limit_ms, releases = joint.limit_ms, joint.releases
    first = releases[0].stop
    if first > 1 and max(joint.late[first:], default=0.0) <= limit_ms < max(joint.late[:first]):
        return Mechanism.FIRST_BYTES
    several = sum(len(release) for release in releases if len(release) > 1)
    if several >= MOST * len(joint.wrote):
        return _released(joint, client) if len(joint.starts) > 1 else Mechanism.UNKNOWN
    return Mechanism.NETWORK


def _encoded(client: ClientHalf) -> bool:
    """Say whether the body came encoded; of an `EventSource` Chromium tells only by the two sizes (measured in 156)."""
    return bool(client.enc) or bool(client.wire and client.body and client.wire != client.body)


def _flushed(client: ClientHalf) -> bool:
    """Say whether the encoded body is too large for a compressor that was not flushed before its end."""
    if not client.wire or not client.body or not client.count or client.unit != "events":
        return False
    return client.body / client.count <= SMALL_EVENT_BYTES and client.wire / client.body > FLUSHED_RATIO


def _one_behind(joint: _Joint) -> bool:
    """Say whether chunks waited for the next write; in a thinned stream the next one kept is later than that."""
    gaps = [b - a for a, b in pairwise(joint.wrote)]
    pairs = [(late, gap) for late, gap in zip(joint.late, gaps, strict=False) if gap > TOGETHER_MS]
    if joint.stride > 1:
        limit_ms = joint.limit_ms
        pairs = [(late, gap) for late, gap in pairs if late > limit_ms]
        return bool(pairs) and len(pairs) < 0.2 * len(gaps) and all(abs(late - gap) < 0.25 * gap for late, gap in pairs)
    behind = [abs(late - gap) < max(0.12 * gap, 10.0) for late, gap in pairs]
    either = [hit or late < LATE_MS for hit, (late, _) in zip(behind, pairs, strict=True)]
    return sum(behind) >= 0.3 * len(pairs) > 0 and sum(either) >= 0.9 * len(pairs)


def _released(joint: _Joint, client: ClientHalf) -> Mechanism:
    """Tell what opens the gate: enough bytes, or enough time. The last release is the end's doing."""
    gated = joint.releases[:-1]
    sizes = [len(release) * joint.stride for release in gated]
    waits = [joint.late[release.start] for release in gated]
    each_bytes = client.body / client.count if client.body and client.count and client.unit == "events" else 0.0
    size_bytes = median(sizes) * (1.0 if client.unit == "bytes" else each_bytes)
    if _encoded(client) and size_bytes > COMPRESSOR_BYTES:
        return Mechanism.COMPRESSOR
    by_size, by_time = _variation(sizes), _variation(waits)
    if len(gated) > 1 and by_time < min(STEADY, by_size / 2):
        return Mechanism.TIMER
    known = any(abs(size_bytes / block - 1.0) < SAME_SIZE for block in BLOCK_BYTES)
    # At a steady rate the two look alike; but blocks that hold for seconds are everywhere, timers that do are rare.
    return Mechanism.BLOCKS if known or by_size < max(ALIKE, by_time / 2) or len(gated) <= FEW else Mechanism.UNKNOWN


def _variation(values: Sequence[float]) -> float:
    """Return the coefficient of variation; `statistics.pstdev` takes ten times as long to be exact."""
    mean = fmean(values)
    return sqrt(fmean((value - mean) ** 2 for value in values)) / max(mean, 1e-9)
