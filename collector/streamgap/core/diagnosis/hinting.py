"""Which of the app's hints freed a stream, and what that says about who holds it."""

from collections.abc import Sequence

from streamgap.core.diagnosis.blame import Charge, own_hold_ms
from streamgap.core.diagnosis.cells import BELIEVED
from streamgap.core.diagnosis.fitting import fit
from streamgap.core.diagnosis.holders import Chain, Holder, singles
from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Mechanism
from streamgap.core.probe import Hint

_FREED = 0.35
_STILL = 0.5
_AS_WELL = 0.01
# Only compressors heed these two, so whoever is freed by them is one (measured: 9 of 13 identity, 4 no-transform).
_COMPRESSORS_OWN = (Hint.IDENTITY, Hint.NO_TRANSFORM)

Hints = tuple[Hint, ...]


def freeing(group: Sequence[Charge], hinted: Sequence[Shape], others: Sequence[Charge]) -> tuple[Hints, Hints, float]:
    """Return the hints that freed it, those that did not, and a confidence that follows from them (0: none)."""
    freed: set[Hint] = set()
    vain: set[Hint] = set()
    together: set[Hint] = set()
    for shape in hinted:
        hints = shape.probe.asked.hints
        if not _comparable(group, shape):
            continue
        free = is_freed(group, shape, others)
        if len(hints) == 1:
            (freed if free else vain).update(hints)
        elif free:
            together |= hints
    if not freed and together:
        freed, vain = together, set()
    own = group[0].mechanism is Mechanism.COMPRESSOR and bool(freed & set(_COMPRESSORS_OWN))
    return tuple(sorted(freed)), tuple(sorted(vain - freed)), 0.95 if own else 0.0


def _comparable(group: Sequence[Charge], shape: Shape) -> bool:
    """Say whether a probe was asked for in a way under which the finding holds: a hint may take the coding away."""
    asked = shape.probe.asked
    return any(
        one.cell.condition.protocol is asked.protocol
        and one.cell.condition.method == asked.method
        and any(other.probe.asked.accept_encoding == asked.accept_encoding for other in one.shapes)
        for one in group
    )


def is_freed(group: Sequence[Charge], shape: Shape, others: Sequence[Charge]) -> bool:
    """Say whether the finding's hold is gone from a probe: nothing is left, or just what something else does."""
    first = group[0]
    if not shape.came_ms:
        return False
    alone, together = _score(first.part, shape), _score(first.holder, shape)
    if isinstance(first.holder, Chain) and alone < BELIEVED <= together:
        rest = [_score(part, shape) for part in singles(first.holder) if part != first.part]
        return max(rest) > together - _AS_WELL
    if all(one.cell.condition.encoding for one in group) and not shape.probe.encoding:
        # Only encoded streams are held, and the hint took the coding away.
        return alone < BELIEVED or first.mechanism is Mechanism.COMPRESSOR
    if max(alone, together) >= _STILL:
        return False
    if shape.hold_ms < _FREED * max(own_hold_ms(one, held) for one in group for held in one.shapes):
        return True
    return any(_score(other.part, shape) >= BELIEVED for other in others)


def _score(holder: Holder | None, shape: Shape) -> float:
    return fit(holder, shape).score if holder is not None else 0.0
