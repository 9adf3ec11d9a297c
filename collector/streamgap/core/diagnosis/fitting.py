"""How well a way of holding foretells what was seen: 1 where it explains every delay, 0 where it explains nothing."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from operator import sub
from statistics import median

import msgspec
from msgspec.structs import replace

from streamgap.core.diagnosis.holders import Blocks, Count, Grid, Holder, OneBehind, Single, Stream, Timer, singles
from streamgap.core.diagnosis.shape import Shape

# Less than this nobody notices, and a loaded machine does it by itself.
NOTICED_MS = 60.0
# Two clocks, a scheduler and a read's parsing: what no foretelling can be blamed for.
_TOLERATED_MS = 4.0
# One that is now and then behind is one behind only if it is so for this share of the events that could show it, and
# if nearly all are clearly the one or the other: what jitter does lies anywhere between.
_OFTEN_BEHIND, _FEWEST_BEHIND, _CLEARLY = 0.3, 3, 0.8
_SHOWN_BY_MS, _BLUR_MS, _BLUR = 25.0, 5.0, 0.15
_STEPS = 64
_SOON_MS, _SOON = 15.0, 0.1
_EARLY, _FRESH_MS, _FEWEST_STEPS = 0.85, 10.0, 3
_JITTER_MS, _JITTER_SHARE = 30.0, 0.05


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A holder over one shape: `score` is at most 1, `foretold_ms` the longest hold it foretells.

    score = 1 − Σ|cameᵢ − foretoldᵢ| / max(Σ holdᵢ, Σ foretold holdᵢ), sums over the events, beyond what is tolerated.
    """

    score: float
    foretold_ms: float


def fit(holder: Holder, shape: Shape) -> Fit:
    """Say how well `holder` explains `shape`, which must be timed and not empty."""
    parts = tuple(_bound(part, shape) for part in singles(holder))
    fitted = _fit(parts, shape)
    if not any(isinstance(part, Timer) and part.begun_ms is not None for part in parts):
        return fitted
    # Headers that came a period late were the first bytes of a cork; a timer of events alone never saw them.
    apart = tuple(replace(part, begun_ms=None) if isinstance(part, Timer) else part for part in parts)
    return max(fitted, _fit(apart, shape), key=lambda one: one.score)


def _fit(parts: Sequence[Single], shape: Shape) -> Fit:
    framed = any(isinstance(part, Blocks) and part.framed for part in parts)
    stream = Stream(shape.wrote_ms, shape.framed if framed else shape.ends)
    out = _through(parts, stream)
    foretold = list(map(sub, out, shape.wrote_ms))
    if any(isinstance(part, OneBehind) for part in parts):
        timely = _through([part for part in parts if not isinstance(part, OneBehind)], stream)
        if not _behind_often(shape, behind=out, timely=timely):
            return Fit(score=0.0, foretold_ms=max(foretold))
        off = _nearest(shape, behind=out, timely=timely)
    else:
        lag = list(map(sub, shape.came_ms, out))
        usual = _usual(lag, shape)
        off = [abs(one - usual) for one in lag]
    wrong = sum(max(one - _TOLERATED_MS, 0.0) for one in off)
    most = max(sum(shape.holds_ms), sum(foretold), 1.0)
    return Fit(score=1.0 - wrong / most, foretold_ms=max(foretold))


def _usual(lag: Sequence[float], shape: Shape) -> float:
    """Return what the way takes: the least delay, and of what jitter adds to it half, but never a wrong foretelling."""
    most = shape.delay_ms + max(_JITTER_MS, _JITTER_SHARE * shape.hold_ms)
    return min(max(median(lag), shape.delay_ms), most)


def arrivals_foretold(holder: Holder, shape: Shape) -> list[float]:
    """Return when each event should have come, by the client's clock."""
    parts = tuple(_bound(part, shape) for part in singles(holder))
    framed = any(isinstance(part, Blocks) and part.framed for part in parts)
    out = _through(parts, Stream(shape.wrote_ms, shape.framed if framed else shape.ends))
    return [at + shape.delay_ms for at in out]


def _through(parts: Sequence[Single], stream: Stream) -> list[float]:
    for part in parts:
        stream = stream.later(part.passed(stream))
    return list(stream.at_ms)


def _nearest(shape: Shape, *, behind: Sequence[float], timely: Sequence[float]) -> list[float]:
    """Return how far each event is from coming with the next one, or at its own time, whichever is nearer.

    Measured: of HAProxy's compressor 58 to 82 % of events are behind, the others fill its last bits and are not.
    """
    came = [at - shape.delay_ms for at in shape.came_ms]
    return [min(abs(c - b), abs(c - t)) for c, b, t in zip(came, behind, timely, strict=True)]


def _behind_often(shape: Shape, *, behind: Sequence[float], timely: Sequence[float]) -> bool:
    shown = [
        ((came - shape.delay_ms - early) / (late - early), _BLUR_MS / (late - early))
        for came, late, early in zip(shape.came_ms, behind, timely, strict=True)
        if late - early > _SHOWN_BY_MS
    ]
    with_next = sum(abs(part - 1.0) < max(_BLUR, blur) for part, blur in shown)
    at_once = sum(abs(part) < max(_BLUR, blur) for part, blur in shown)
    return with_next >= max(_FEWEST_BEHIND, _OFTEN_BEHIND * len(shown)) and with_next + at_once >= _CLEARLY * len(shown)


def _bound(part: Single, shape: Shape) -> Single:
    """Return the holder with what differs from stream to stream: where its first block began, when its clock ticks."""
    if isinstance(part, Blocks) and part.edge == "cut":
        edges = [-at % part.size_bytes for at in _edges(shape, framed=part.framed)]
        return replace(part, before=_circular_median(edges, part.size_bytes))
    if isinstance(part, Timer):
        cap = part.cap_bytes or _cap(part, shape)
        return replace(part, cap_bytes=cap, begun_ms=_begun_by_headers(part, shape))
    if isinstance(part, Count):
        return replace(part, before=-shape.releases[0].events % part.events)
    if isinstance(part, Grid):
        ticks = [(release.at_ms - shape.delay_ms) % part.period_ms for release in shape.releases[:-1]]
        return replace(part, phase_ms=_circular_median(ticks, part.period_ms))
    return part


def _begun_by_headers(timer: Timer, shape: Shape) -> float | None:
    """Return when the headers went in, where they came out just a period later: a cork waits from them on."""
    if shape.probe.head_ms is None:
        return None
    out_ms = shape.probe.head_ms - shape.delay_ms
    if abs(out_ms - timer.period_ms) > max(_SOON_MS, _SOON * timer.period_ms):
        return None
    return out_ms - timer.period_ms


def _cap(timer: Timer, shape: Shape) -> float:
    """Return how many bytes came early and fresh, as if something was full, in one connection; inf where none did."""
    steps = [
        float(b.until_byte - a.until_byte)
        for a, b in pairwise(shape.releases[:-1])
        if b.oldest_ms < _EARLY * timer.period_ms and b.youngest_ms < _FRESH_MS and b.events
    ]
    return median(steps) if len(steps) >= _FEWEST_STEPS else inf


def _edges(shape: Shape, *, framed: bool) -> list[float]:
    """Return the offset at which each release ended, but for the last, which the end of the stream cut short."""
    if not framed:
        return [float(release.until_byte) for release in shape.releases[:-1]]
    added = [0.0, *map(sub, shape.framed, shape.ends)]
    return [release.until_byte + added[_reached(shape, release.until_byte)] for release in shape.releases[:-1]]


def _reached(shape: Shape, until_byte: float) -> int:
    return min(bisect_left(shape.ends, until_byte) + 1, len(shape.ends))


def _circular_median(values: Sequence[float], period: float) -> float:
    """Return the value (mod `period`) from which the others are least far, around the circle; 0 for none."""
    if not values:
        return 0.0
    step = max(len(values) // _STEPS, 1)

    def far(one: float) -> float:
        return sum(min((one - other) % period, (other - one) % period) for other in values)

    return min(values[::step], key=far)


def phase_spread(values: Sequence[float], period: float) -> float:
    """Return how far values are from one phase on average, as a share of the period: 0 all alike, 0.25 at random."""
    middle = _circular_median(values, period)
    apart = (min((one - middle) % period, (middle - one) % period) for one in values)
    return sum(apart) / max(len(values), 1) / period
