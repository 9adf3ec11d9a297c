"""Where nobody holds: the app, the network, the prober itself, or nothing at all made it late."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median

from streamgap.core.diagnosis.blame import LAG_SHARE, lag_explains, restless
from streamgap.core.diagnosis.cells import Cell, apart, score_of
from streamgap.core.diagnosis.fitting import NOTICED_MS
from streamgap.core.diagnosis.holders import SlowLink
from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Finding, Mechanism

_SLOW_MS = 3000.0
_BEHIND_PLAN_MS = 1000.0
_STALL_MS = 150.0
_REGULAR, _LARGE_MS = 0.75, 300.0
_MANY = 3
_MOSTLY, _UNEVEN = 0.3, 0.1


def unnamed(cells: Sequence[Cell]) -> Finding | None:
    """Return that streams are held, at the same places each time, by nothing that is known here."""
    for cell in cells:
        large = [shape for shape in cell.noticed if shape.hold_ms > _LARGE_MS and not lag_explains(shape)]
        same = [(a, b) for a, b in combinations(large, 2) if apart(a, b) and len(a.holds_ms) == len(b.holds_ms)]
        pairs = [(a, b) for a, b in same if _likeness(a, b) > _REGULAR]
        if cell.explained or len(large) * 2 <= len(cell.shapes) or len(pairs) * 2 <= len(same):
            continue
        if score_of(SlowLink(_rate(large[0])), large) > _REGULAR / 2:
            continue
        a, b = pairs[0]
        told = (
            f"{a.probe.asked.name}: events came up to {a.hold_ms:.0f} ms late, and again so at the same places",
            "neither blocks of bytes nor a timer, a compressor or the end of the stream explain when they came",
        )
        return Finding(mechanism=Mechanism.IRREGULAR, confidence=0.6, evidence=told, hold_ms=min(a.hold_ms, b.hold_ms))
    return None


def _likeness(a: Shape, b: Shape) -> float:
    """Return how alike the holds of two streams are, event by event: 1 the same, 0 nothing in common."""
    off = sum(abs(x - y) for x, y in zip(a.holds_ms, b.holds_ms, strict=True))
    return 1.0 - off / max(sum(a.holds_ms), sum(b.holds_ms), 1.0)


def _rate(shape: Shape) -> float:
    return max(shape.ends[-1] / max(shape.arrived_ms, 1.0), 0.1)


def acquittal(shapes: Sequence[Shape], cells: Sequence[Cell]) -> Finding:
    """Return whose doing it was that content was late; that it flows where it was not."""
    return _app(shapes) or _link(shapes, cells) or _client(shapes) or _network(shapes) or _flowing(shapes)


def _app(shapes: Sequence[Shape]) -> Finding | None:
    slow = [shape for shape in shapes if _app_was_slow(shape)]
    if len(slow) * 2 <= len(shapes):
        return None
    worst = max(slow, key=lambda shape: shape.wrote_ms[0])
    longest = max((b - a for a, b in pairwise(worst.wrote_ms)), default=0.0)
    first = worst.wrote_ms[0] / 1000
    told = (
        f"the app wrote its first event {first:.2f} s after the request, its longest pause was {longest / 1000:.2f} s",
        f"the path added {median(worst.holds_ms):.0f} ms to the events (median), {worst.hold_ms:.0f} ms at most",
    )
    return Finding(mechanism=Mechanism.SLOW_APP, confidence=0.9, evidence=told)


def _app_was_slow(shape: Shape) -> bool:
    """Compare what the app wrote with what it was asked to write; without a plan only a long wait is slow."""
    wrote, plan = shape.wrote_ms, _plan(shape)
    if len(plan) == len(wrote):
        return max(at - due for at, due in zip(wrote, plan, strict=True)) > _BEHIND_PLAN_MS
    return wrote[0] > _SLOW_MS or max((b - a for a, b in pairwise(wrote)), default=0.0) > _SLOW_MS


def _plan(shape: Shape) -> list[float]:
    at_ms, plan = 0.0, []
    for segment in shape.probe.asked.pace:
        for nth in range(segment.count):
            at_ms += segment.gap_ms if nth else segment.silence_ms
            plan.append(at_ms)
    return plan


def _client(shapes: Sequence[Shape]) -> Finding | None:
    """Return that the prober was held up for so long that nothing can be said; its single stalls decide nothing."""
    own = [shape for shape in shapes if shape.late(NOTICED_MS) > _MOSTLY and lag_explains(shape)]
    if len(own) * 2 <= len(shapes):
        return None
    worst = max(own, key=lambda shape: shape.probe.lag_ms)
    late, held = worst.probe.lag_ms, worst.hold_ms
    told = f"the prober's own clock tick came up to {late:.0f} ms late: that explains its longest hold of {held:.0f} ms"
    return Finding(mechanism=Mechanism.CLIENT, confidence=0.8, evidence=(told,))


def _link(shapes: Sequence[Shape], cells: Sequence[Cell]) -> Finding | None:
    """Return that the link is slow, or the client's radio asleep, where that foretells what was seen."""
    known = [cell for cell in cells if cell.explained and not cell.held]
    if not known:
        return None
    holder = known[0].holder
    worst = max(shape.hold_ms for shape in shapes)
    why = (
        f"the delay grows while more is written, as on a link of {holder.bytes_per_ms:.0f} kB/s"
        if isinstance(holder, SlowLink)
        else "events come on the grid of a sleeping radio (102.4 ms)"
    )
    return Finding(mechanism=Mechanism.NETWORK, confidence=0.8, evidence=(why,), hold_ms=round(worst, 1))


def _network(shapes: Sequence[Shape]) -> Finding | None:
    """Return that the way is uneven, where neither the prober's own lateness nor any regularity explains it."""
    shapes = [shape for shape in shapes if not lag_explains(shape) or shape.hold_ms < NOTICED_MS]
    if not shapes or (not restless(shapes) and median(shape.late(NOTICED_MS) for shape in shapes) <= _UNEVEN):
        return None
    worst = max(shape.hold_ms for shape in shapes)
    stalled = sum(shape.hold_ms > _STALL_MS for shape in shapes)
    told = (
        f"{stalled} of {len(shapes)} probes stalled, the longest for {worst:.0f} ms, at no common place",
        "the delays have no common size and no common time",
    )
    return Finding(mechanism=Mechanism.NETWORK, confidence=0.6, evidence=told, hold_ms=round(worst, 1))


def _flowing(shapes: Sequence[Shape]) -> Finding:
    typical = median(median(shape.holds_ms) for shape in shapes)
    worst = max(shape.hold_ms for shape in shapes)
    events = sum(len(shape.came_ms) for shape in shapes)
    came = f"{events} events in {len(shapes)} probes came as they were written"
    told = [f"{came}: {typical:.0f} ms later in the median, {worst:.0f} ms at most"]
    own_ms = max(shape.probe.lag_ms for shape in shapes)
    if worst > _STALL_MS and own_ms > LAG_SHARE * worst:
        told.append(f"the longest of these was the prober's own: its clock tick came up to {own_ms:.0f} ms late")
    return Finding(
        mechanism=Mechanism.FLOWING,
        confidence=0.97 if len(shapes) >= _MANY else 0.85,
        evidence=tuple(told),
        hold_ms=round(worst, 1),
    )
