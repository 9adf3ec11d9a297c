"""Headers that wait for the first content: harmless to a stream that flows, not to whoever waits for the answer."""

from collections.abc import Sequence

from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Hint

_HEAD_LATE_MS, _HEAD_LATE_SHARE = 100.0, 0.8


def late_headers(shapes: Sequence[Shape]) -> Finding | None:
    """Return that headers waited for the first content though the app had sent them before. A note."""
    plain = [shape for shape in shapes if shape.probe.asked.hints <= {Hint.INCREMENTAL}]
    late = [shape for shape in plain if _head_is_late(shape)]
    if len(late) * 2 <= len(plain):
        return _late_over_some(plain, late)
    return _head_finding(late, shapes)


def _late_over_some(plain: Sequence[Shape], late: Sequence[Shape]) -> Finding | None:
    """Return it for the protocols over which it is always so."""
    protocols = {shape.probe.asked.protocol for shape in late}
    always = {one for one in protocols if all(s in late for s in plain if s.probe.asked.protocol is one)}
    if not always:
        return None
    return _head_finding([shape for shape in late if shape.probe.asked.protocol in always], plain)


def _head_finding(late: Sequence[Shape], shapes: Sequence[Shape]) -> Finding:
    one = max(late, key=lambda shape: len(shape.came_ms))
    hinted = [shape for shape in shapes if len(shape.probe.asked.hints) == 1]
    freed = {hint for shape in hinted if not _head_is_late(shape) for hint in shape.probe.asked.hints}
    vain = {hint for shape in hinted if _head_is_late(shape) for hint in shape.probe.asked.hints}
    protocols = {shape.probe.asked.protocol for shape in late}
    every = {shape.probe.asked.protocol for shape in shapes}
    came_ms = one.probe.head_ms or 0.0
    told = (
        f"{one.probe.asked.name}: headers came after {came_ms:.0f} ms, together with the first content",
        f"so in {len(late)} probes" + ("; an opening comment brings them forward" if Hint.OPENING in freed else ""),
    )
    return Finding(
        mechanism=Mechanism.LATE_HEADERS,
        confidence=0.9 if len(late) > 1 else 0.7,
        evidence=told,
        hold_ms=round(came_ms - one.delay_ms, 1),
        protocols=() if protocols == every else tuple(sorted(protocols)),
        freed_by=tuple(sorted(freed)),
        not_freed_by=tuple(sorted(vain - freed)),
    )


def _head_is_late(shape: Shape) -> bool:
    """Compare with the time at which the app's first byte could have come: what the path always takes is no delay."""
    if shape.probe.head_ms is None or not shape.timed:
        return False
    late_ms = shape.probe.head_ms - shape.delay_ms
    return late_ms > _HEAD_LATE_MS and late_ms > _HEAD_LATE_SHARE * shape.wrote_ms[0]
