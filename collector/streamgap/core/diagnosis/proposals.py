"""Which ways of holding a shape suggests, with their sizes and times read off it. Being suggested proves nothing."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import gcd
from operator import sub
from statistics import median

from streamgap.core.diagnosis.fitting import NOTICED_MS, phase_spread
from streamgap.core.diagnosis.holders import (
    Blocks,
    Chain,
    Count,
    FirstBytes,
    Flow,
    Grid,
    Holder,
    OneBehind,
    Single,
    SlowLink,
    Throttle,
    Timer,
    Whole,
)
from streamgap.core.diagnosis.shape import Release, Shape

# Sizes that buffers are given. Where a measured one is within a hundredth it is taken to be that one.
KNOWN_BYTES = (512, 1024, 1448, 1460, 2048, 4096, 8192, 10_240, 16_384, 18_000, 32_768, 65_536)
_NEAR = 0.012
_FEW_BYTES = 200.0
_LEAST_PERIOD_MS = 30.0
_ON_TIME_MS = 30.0
_EARLY = 0.85
_FEWEST_STEPS, _IN_PHASE = 4, 0.02


def proposals(shape: Shape) -> Iterator[Single]:
    """Yield what may have made this shape, `Flow` first."""
    yield Flow()
    yield Whole()
    yield OneBehind()
    if not shape.releases or not shape.timed:
        return
    yield from _tails(shape)
    yield from _counts(shape)
    yield from _firsts(shape)
    yield from _blocks(shape)
    yield from _timers(shape)
    yield from _links(shape)


def _tails(shape: Shape) -> Iterator[Single]:
    """Propose that all is held but the first few."""
    first = shape.releases[-1].first
    if 0 < first < len(shape.came_ms) / 2:
        yield Whole(after=first)


def _counts(shape: Shape) -> Iterator[Single]:
    several = [release.events for release in shape.releases[:-1] if release.events > 1]
    if several:
        yield Count(int(median(several)))


def _firsts(shape: Shape) -> Iterator[Single]:
    """Propose that the first release is what was held, and the bytes in it what had to be there."""
    first = shape.releases[0]
    if first.events > 1 and first.stop < len(shape.came_ms) and first.oldest_ms > NOTICED_MS:
        yield FirstBytes(shape.ends[first.stop - 1])


def _blocks(shape: Shape) -> Iterator[Single]:
    whole = [release.until_byte for release in shape.releases[:-1]]
    if not whole:
        return
    steps = [b - a for a, b in pairwise([0, *whole])]
    plain = _typical([float(step) for step in steps])
    if plain < _FEW_BYTES:
        return
    for framed in (False, True) if shape.framed != shape.ends else (False,):
        size = plain * _overhead(shape) if framed else plain
        near = sorted({_known(size), size, _known(size / 2)})
        yield from (Blocks(one, framed=framed) for one in near)
        event = median(shape.sizes)
        yield Blocks(_known_within(size, size + event), "below", framed)
        yield Blocks(_known_within(size - event, size), "above", framed)
    first = float(whole[0])
    yield from (Blocks(one) for one in {_known(first), first} if one > _FEW_BYTES)


def _typical(steps: Sequence[float]) -> float:
    """Return the usual bytes of a release; the first one may carry headers and counts only where there is no other."""
    return median(steps[1:] or steps)


def _overhead(shape: Shape) -> float:
    """Return how much longer the stream's larger part is with its framing than without."""
    sizes: list[float] = sorted(map(sub, shape.framed, [0.0, *shape.framed]))
    plain = sorted(shape.sizes)
    return sizes[len(sizes) // 2] / max(plain[len(plain) // 2], 1.0)


def _known(size: float) -> float:
    near = [known for known in KNOWN_BYTES if abs(size - known) <= _NEAR * known]
    return float(near[0]) if near else size


def _known_within(least: float, most: float) -> float:
    within = [float(known) for known in KNOWN_BYTES if least - 1 <= known <= most + 1]
    return max(within, default=(least + most) / 2)


def _timers(shape: Shape) -> Iterator[Single]:
    held = [release for release in shape.releases[:-1] if release.events]
    oldest = sorted(release.oldest_ms for release in held if release.oldest_ms > _LEAST_PERIOD_MS)
    if not oldest:
        return
    steps = [float(b.until_byte - a.until_byte) for a, b in pairwise(held) if b.oldest_ms < oldest[-1] * _EARLY]
    for period in {median(oldest), oldest[int(len(oldest) * 0.85)], oldest[int(len(oldest) * 0.2)]}:
        yield Timer(period)
        if len(steps) >= _FEWEST_STEPS:
            yield Timer(period, 0.0)
    for period in _ticks(held):
        yield Grid(period)
        yield Throttle(period)


def _ticks(held: Sequence[Release]) -> Iterator[float]:
    """Propose periods of a clock: the usual time between releases, then made finer over the whole stream."""
    apart = [b.at_ms - a.at_ms for a, b in pairwise(held) if b.at_ms - a.at_ms > _LEAST_PERIOD_MS]
    if not apart:
        return
    period = median(apart)
    for _ in range(3):
        counted = [round((release.at_ms - held[0].at_ms) / period) for release in held]
        if counted[-1] < 1:
            return
        period = _slope(counted, [release.at_ms for release in held])
    if period > _LEAST_PERIOD_MS:
        yield period


def _slope(counted: Sequence[int], at_ms: Sequence[float]) -> float:
    """Return the least-squares slope."""
    middle, level = sum(counted) / len(counted), sum(at_ms) / len(at_ms)
    above = sum((k - middle) * (at - level) for k, at in zip(counted, at_ms, strict=True))
    return above / (sum((k - middle) ** 2 for k in counted) or 1.0)


def _links(shape: Shape) -> Iterator[Single]:
    """Propose the rate at which bytes came while they were late."""
    rates = [
        (shape.ends[i] - shape.ends[i - 1]) / (shape.came_ms[i] - shape.came_ms[i - 1])
        for i in range(1, len(shape.came_ms))
        if shape.holds_ms[i] > _ON_TIME_MS and shape.came_ms[i] > shape.came_ms[i - 1]
    ]
    late = [i for i, hold in enumerate(shape.holds_ms) if hold > _ON_TIME_MS]
    if len(rates) > 2:  # noqa: PLR2004, one pair is chance
        yield SlowLink(max(median(rates), 0.1))
        took_ms = shape.came_ms[late[-1]] - shape.came_ms[late[0]]
        if took_ms > 0:
            yield SlowLink(max((shape.ends[late[-1]] - shape.ends[late[0]]) / took_ms, 0.1))


def hidden_block(shapes: Sequence[Shape]) -> Blocks | None:
    """Return the block of which releases are different multiples: a smaller one inside something that waits longer.

    Example: releases of 12,288, 16,384, 16,384 and 20,480 bytes are blocks of 4,096 behind a timer.
    """
    ends = [[float(release.until_byte) for release in shape.releases[:-1]] for shape in shapes]
    steps = [b - a for each in ends for a, b in pairwise(each)]
    if len(steps) < _FEWEST_STEPS:
        return None
    for known in reversed(KNOWN_BYTES):
        counts = [round(step / known) for step in steps]
        if min(counts) < 1 or median(counts) < 2 or gcd(*counts) > 1:  # noqa: PLR2004, else it is the block
            continue
        if all(phase_spread(each, known) < _IN_PHASE for each in ends if each):
            return Blocks(float(known))
    return None


def chained(best: Holder, shape: Shape, late_ms: Sequence[float]) -> Iterator[Chain]:
    """Propose what may stand behind `best`, given how late each event still is beyond what `best` foretells."""
    if isinstance(best, Timer | Grid):
        # Its bytes set off the timer, and its last ones come with the release after.
        yield Chain(best, OneBehind())
        if isinstance(best, Timer):
            yield Chain(Timer(best.period_ms, 0.0), OneBehind())
    if isinstance(best, Timer | Grid | Throttle | Flow | Whole | SlowLink | Chain):
        return
    still = sorted(late for late in late_ms if late > _LEAST_PERIOD_MS)
    if still and shape.releases:
        for period in {median(still), still[-1], still[int(len(still) * 0.85)]}:
            yield Chain(best, Timer(period))
