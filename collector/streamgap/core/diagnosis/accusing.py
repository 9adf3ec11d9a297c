"""From charges to findings: what was tried and under what it is held, numbers, sentences."""

from collections.abc import Sequence
from math import inf
from statistics import median

from streamgap.core.diagnosis.blame import Charge, charges, confidence, masks, own_hold_ms
from streamgap.core.diagnosis.cells import Cell
from streamgap.core.diagnosis.hinting import freeing
from streamgap.core.diagnosis.holders import Blocks, Chain, Count, FirstBytes, Grid, Single, Throttle, Timer, Whole
from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Finding, Mechanism, alike
from streamgap.core.probe import Protocol


def accusations(cells: Sequence[Cell], hinted: Sequence[Shape]) -> list[Finding]:
    """Return one finding for each mechanism that holds, the longest hold first."""
    groups: list[list[Charge]] = []
    for charge in charges(cells):
        group = next((one for one in groups if _same(one[0], charge)), None)
        groups.append([charge]) if group is None else group.append(charge)
    found = [
        _finding(group, cells, hinted, [charge for other in groups if other is not group for charge in other])
        for group in groups
    ]
    return sorted(found, key=lambda finding: (finding.confidence < 0.5, -finding.hold_ms))  # noqa: PLR2004, a guess


def _same(a: Charge, b: Charge) -> bool:
    if a.mechanism is not b.mechanism:
        return False
    if a.mechanism in (Mechanism.COMPRESSOR, Mechanism.WHOLE, Mechanism.ONE_BEHIND):
        return True
    return alike(_size(a.part) or _period(a.part), _size(b.part) or _period(b.part))


def _size(part: Single | None) -> float | None:
    return part.size_bytes if isinstance(part, Blocks | FirstBytes) else None


def _period(part: Single | None) -> float | None:
    return part.period_ms if isinstance(part, Timer | Grid | Throttle) else None


def _finding(
    group: Sequence[Charge], cells: Sequence[Cell], hinted: Sequence[Shape], others: Sequence[Charge]
) -> Finding:
    first = max(group, key=lambda charge: (not isinstance(charge.holder, Chain), len(charge.shapes)))
    holds = sorted((own_hold_ms(charge, shape) for charge in group for shape in charge.shapes), reverse=True)
    hold_ms = holds[min(1, len(holds) - 1)]
    period = _period(first.part) if first.mechanism is Mechanism.TIMER else None
    freed, not_freed, surer = freeing(group, hinted, others)
    sure = confidence(group, cells)
    held = [charge.cell for charge in group]
    size = _size(first.part) if first.mechanism is not Mechanism.COMPRESSOR else None
    return Finding(
        mechanism=first.mechanism,
        confidence=max(sure, surer),
        evidence=tuple(_evidence(first, group, cells)),
        hold_ms=round(hold_ms, 1),
        block_bytes=round(size) if size else None,
        period_ms=round(period, 1) if period else None,
        protocols=tuple(Protocol(name) for name in _under(held, cells, "protocol")),
        encodings=_under(held, cells, "encoding"),
        methods=_under(held, cells, "method"),
        freed_by=freed,
        not_freed_by=not_freed,
    )


def _under(held: Sequence[Cell], cells: Sequence[Cell], field: str) -> tuple[str, ...]:
    """Return the values of one field of the condition under which it is held, none where under all that were tried.

    Tried is what differs in this field alone. What something else holds altogether shows nothing of this one, and what
    stalled by chance as little.
    """

    def rest(cell: Cell) -> list[object]:
        return [getattr(cell.condition, name) for name in ("protocol", "encoding", "method") if name != field]

    same = [rest(cell) for cell in held]
    own = [cell.condition for cell in held]
    told = [cell for cell in cells if cell.condition not in own and not masks(cell) and rest(cell) in same]
    free = [cell for cell in told if cell.held or len(cell.noticed) * 2 < len(cell.shapes)]
    some = {str(getattr(cell.condition, field)) for cell in held}
    every = {str(getattr(cell.condition, field)) for cell in free}
    return tuple(sorted(some)) if every - some else ()


def _evidence(charge: Charge, group: Sequence[Charge], cells: Sequence[Cell]) -> list[str]:
    shapes = [shape for one in group for shape in one.shapes]
    tried = sum(len(one.cell.shapes) for one in group)
    worst = max(shapes, key=lambda shape: (len(shape.came_ms), shape.hold_ms))
    told = [_sentence(charge.part, worst)] if charge.part is not None and charge.contrast is None else []
    told += [_largest(worst), f"so in {len(shapes)} of {tried} probes under these conditions"]
    if charge.contrast is not None:
        told.insert(0, _contrast(charge, worst))
    return told + _acquitted(charge, cells)


def _contrast(charge: Charge, worst: Shape) -> str:
    flowing = max((shape.hold_ms for shape in charge.contrast.shapes), default=0.0) if charge.contrast else 0.0
    coding = charge.cell.condition.encoding or "any coding accepted"
    return f"with {coding} the longest hold is {worst.hold_ms:.0f} ms, without content coding {flowing:.0f} ms"


def _largest(shape: Shape) -> str:
    """Describe the release that brought most events."""
    release = max(shape.releases, key=lambda one: one.events)
    since = shape.came_ms[release.first] - shape.wrote_ms[release.first] - shape.delay_ms if shape.timed else 0.0
    return (
        f"{shape.probe.asked.name}: {release.events} of {len(shape.came_ms)} events came at one moment, "
        f"{since / 1000:.2f} s after the app wrote the first of them"
    )


def _sentence(part: Single, shape: Shape) -> str:
    """Say in numbers what the holder does to this stream."""
    if isinstance(part, Whole):
        size = shape.releases[-1].until_byte
        return f"nothing came before the stream's end: the whole response is held, or a block of at least {size} bytes"
    if isinstance(part, Blocks):
        ends = {"cut": "cut mid-event", "below": "whole writes up to that size", "above": "whole writes beyond it"}
        return f"bytes came {part.size_bytes:.0f} at a time ({ends[part.edge]}), at whatever rate they were written"
    if isinstance(part, Count):
        return f"events came {part.events} at a time, whatever their bytes and their rate"
    if isinstance(part, FirstBytes):
        return f"nothing came before {part.size_bytes:.0f} bytes were written; after that every event came at once"
    if isinstance(part, Timer | Grid | Throttle):
        return _timed(part, shape)
    return "each event was complete only when the next one was written, the one before a pause after the pause"


def _timed(part: Timer | Grid | Throttle, shape: Shape) -> str:
    oldest = [release.oldest_ms for release in shape.releases[:-1] if release.events > 1]
    usual = median(oldest) if oldest else part.period_ms
    capped = ", or until a segment of the socket was full," if isinstance(part, Timer) and part.cap_bytes < inf else ""
    since = "after the first byte held" if isinstance(part, Timer) else "by a clock of its own"
    return (
        f"events came every {part.period_ms:.0f} ms{capped} {since} at every rate: the oldest of each release "
        f"had waited {usual:.0f} ms"
    )


def _acquitted(charge: Charge, cells: Sequence[Cell]) -> list[str]:
    """Name the other protocols that flowed meanwhile."""
    own = charge.cell.condition.protocol
    flowing = {cell.condition.protocol.value for cell in cells if not cell.held and cell.condition.protocol is not own}
    return [f"over {', '.join(sorted(flowing))} the same URL flows"] if flowing else []
