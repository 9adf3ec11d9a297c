"""From judged cells to findings: which mechanism holds, under which conditions, and how sure that is."""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

import msgspec

from streamgap.core.diagnosis.cells import BELIEVED, Cell, apart, score_of
from streamgap.core.diagnosis.fitting import fit
from streamgap.core.diagnosis.holders import Chain, Grid, Holder, OneBehind, Single, Timer, Whole, mechanism_of, singles
from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Mechanism

# A stream that came within this share of the time it was written in was kept back as a whole, compressors' way.
_COLLAPSED, _AT_ONCE = 0.5, 0.1
_HEAVY_MS = 150.0
# Where the other probes stall by themselves, one more stall in a single probe proves nothing.
_RESTLESS_MS, _RESTLESS_SHARE = 150.0, 0.25
_SINGLE, _GUESS, _CONTRAST = 0.6, 0.4, 0.85
_LONG_MS = 1000.0
_RELEASES = 3
_AS_WELL, _BEHIND_GAIN = 0.1, 0.025
_STRUCTURED = 0.85
LAG_SHARE = 0.5


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One mechanism in one cell: `part` of `holder` shows it, None where only the A/B does."""

    mechanism: Mechanism
    cell: Cell
    part: Single | None
    holder: Holder | None = None
    shapes: tuple[Shape, ...]
    contrast: Cell | None = None
    sureness: float = 1.0


def charges(cells: Sequence[Cell]) -> list[Charge]:
    """Return what each cell shows."""
    made: list[Charge] = []
    for cell in cells:
        made += _compressed(cell, cells) if _may_be_compressor(cell) else _plain(cell)
    return made


def _may_be_compressor(cell: Cell) -> bool:
    return bool(cell.condition.encoding) or cell.condition.coded is True


def _plain(cell: Cell) -> list[Charge]:
    if not cell.held:
        return []
    return [
        Charge(mechanism=mechanism_of(part), cell=cell, part=part, holder=cell.holder, shapes=cell.explained)
        for part in singles(cell.holder)
        if mechanism_of(part) not in (Mechanism.FLOWING, Mechanism.NETWORK)
    ]


def _compressed(cell: Cell, cells: Sequence[Cell]) -> list[Charge]:
    """Charge a cell whose responses are encoded, by the difference to those that are not."""
    reference = _reference(cell, cells)
    parts = singles(cell.holder) if cell.held else ()
    if any(isinstance(part, OneBehind) for part in parts):
        return _plain(cell)
    heavy = tuple(shape for shape in cell.shapes if _collapsed(shape))
    if not cell.held and len(heavy) * 2 <= len(cell.shapes):
        return []
    shapes = cell.explained or heavy
    if reference is None:
        whole = isinstance(cell.holder, Whole) or not cell.held
        mechanism = Mechanism.COMPRESSOR if whole else mechanism_of(parts[-1])
        return [Charge(mechanism=mechanism, cell=cell, part=parts[0] if parts else None, shapes=shapes, sureness=0.7)]
    if reference.held and (same := _by_the_same(cell, reference)):
        return same
    part = parts[0] if parts else None
    return [Charge(mechanism=Mechanism.COMPRESSOR, cell=cell, part=part, shapes=shapes, contrast=reference)]


def _by_the_same(cell: Cell, reference: Cell) -> list[Charge]:
    """Charge what holds the unencoded streams with holding the encoded ones, where that explains them as well."""
    holder = reference.holder
    score = score_of(holder, cell.shapes, every=True)
    if isinstance(holder, Timer | Grid):
        behind = Chain(holder, OneBehind())  # its bytes set off the timer, and its last ones come with the next release
        if score_of(behind, cell.shapes, every=True) > max(score + _BEHIND_GAIN, BELIEVED):
            holder, score = behind, score_of(behind, cell.shapes, every=True)
    if score < max(BELIEVED, score_of(cell.holder, cell.shapes, every=True) - _AS_WELL):
        return []
    explained = cell.explained or cell.noticed
    return _plain(msgspec.structs.replace(cell, holder=holder, explained=explained))


def _reference(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """Return the cell without encoding that differs least from this one: same protocol, same method if there is one."""
    plain = [
        other
        for other in cells
        if not _may_be_compressor(other) and other.condition.protocol is cell.condition.protocol
    ]
    return max(plain, key=lambda other: (other.condition.method == cell.condition.method, other.held), default=None)


def masks(cell: Cell) -> bool:
    """Say whether these streams are kept back so altogether that nothing else could show."""
    return all(shape.arrived_ms < _AT_ONCE * shape.written_ms for shape in cell.shapes)


def _collapsed(shape: Shape) -> bool:
    return shape.hold_ms > _HEAVY_MS and shape.arrived_ms < _COLLAPSED * shape.written_ms


def confidence(group: Sequence[Charge], cells: Sequence[Cell]) -> float:
    """Return how sure it is that these streams are held by this mechanism.

    What repeats at another time is sure. What was seen at one time only counts where other probes of the same moment
    flowed or where many releases agree, and where the path does not stall by itself.
    """
    shapes = [shape for charge in group for shape in charge.shapes]
    fits = [
        fit(charge.holder or charge.part, shape).score
        for charge in group
        if charge.part is not None
        for shape in charge.shapes
    ]
    typical = max(min(median(fits), 1.0), 0.0) if fits else 0.7
    sure = max(charge.sureness for charge in group)
    return round(_repeated(group[0], shapes, cells, typical=typical) * (0.85 + 0.15 * typical) * sure, 2)


def _repeated(first: Charge, shapes: Sequence[Shape], cells: Sequence[Cell], *, typical: float) -> float:
    structured = typical >= _STRUCTURED and any(len(shape.releases) > _RELEASES for shape in shapes)
    honest = [shape for shape in shapes if not lag_explains(shape)]
    if not honest:
        # The prober itself stalled as long: believe it only where many releases agree, time and again.
        return _SINGLE if structured and len(shapes) > 2 and _at_two_times(shapes) else _GUESS  # noqa: PLR2004
    if _at_two_times(honest):
        return 0.98 if len(honest) > 2 else 0.9  # noqa: PLR2004, two may be chance
    free = [shape for cell in cells if not cell.held for shape in cell.shapes]
    if first.mechanism is Mechanism.FIRST_BYTES or restless(free):
        return _GUESS
    if structured:
        return _CONTRAST + (0.05 if len(honest) > 1 else 0.0)
    if min(shape.hold_ms for shape in honest) < _LONG_MS:
        return _GUESS
    return _CONTRAST if free else _SINGLE


def _at_two_times(shapes: Sequence[Shape]) -> bool:
    return any(apart(a, b) for a, b in combinations(shapes, 2))


def lag_explains(shape: Shape) -> bool:
    """Say whether the prober's own lateness may have made this hold."""
    return shape.probe.lag_ms >= LAG_SHARE * shape.hold_ms


def own_hold_ms(charge: Charge, shape: Shape) -> float:
    """Return the longest hold that is this mechanism's own where two of them hold a stream."""
    if charge.part is None or not isinstance(charge.holder, Chain):
        return shape.hold_ms
    return min(shape.hold_ms, fit(charge.part, shape).foretold_ms)


def restless(shapes: Sequence[Shape]) -> bool:
    """Say whether streams stall by themselves here: a quarter of them or more did."""
    own = [shape for shape in shapes if shape.hold_ms > _RESTLESS_MS and not lag_explains(shape)]
    return bool(own) and len(own) >= _RESTLESS_SHARE * len(shapes)
