"""Probes of the same conditions, judged together: what holds them must foretell them all."""

from collections.abc import Iterable, Sequence
from math import inf
from operator import sub

import msgspec

from streamgap.core.diagnosis.fitting import NOTICED_MS, Fit, arrivals_foretold, fit
from streamgap.core.diagnosis.holders import Blocks, Chain, Count, Flow, Grid, Holder, OneBehind, SlowLink, Timer, Whole
from streamgap.core.diagnosis.proposals import KNOWN_BYTES, chained, hidden_block, proposals
from streamgap.core.diagnosis.shape import Shape
from streamgap.core.probe import Protocol

# A holder is believed from this score on (0.75: an event in eight put into the wrong release, measured at 8 ms gaps).
BELIEVED = 0.75
_SHAPES_ASKED = 4
_ENOUGH = 0.92
_GAIN = 0.05
_LEADING, _FIRST_ASKED = 7, 2
_HOPELESS = 0.4
# Handicaps: of two that foretell alike, the simpler one is meant.
_SIMPLE = (Flow, Whole, OneBehind, SlowLink)
_HANDICAP, _CHAIN_HANDICAP = 0.015, 0.03
_BEACON_MS = 102.4  # of Wi-Fi's power saving: a client that sleeps gets its frames at these
_BEACONS, _BEACON_NEAR = 3, 0.009


class Condition(msgspec.Struct, frozen=True):
    """What was asked for and got: `encoding` is the response's, "" for none; `coded` whether a coding was accepted."""

    protocol: Protocol
    encoding: str
    method: str
    coded: bool | None = None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """The probes of one condition. `holder` explains them with `score`; `explained` are those it does explain."""

    condition: Condition
    shapes: tuple[Shape, ...]
    holder: Holder = Flow()
    score: float = 0.0
    explained: tuple[Shape, ...] = ()

    @property
    def held(self) -> bool:
        """Whether somebody holds these streams, by what is known here."""
        return bool(self.explained) and not innocent(self.holder)

    @property
    def noticed(self) -> tuple[Shape, ...]:
        """The probes with a hold that anybody could notice."""
        return tuple(shape for shape in self.shapes if shape.hold_ms >= NOTICED_MS)


def innocent(holder: Holder) -> bool:
    """Say whether a way of being late is nobody's doing: a slow link, or a client's radio that sleeps."""
    if isinstance(holder, Grid):
        beacons = round(holder.period_ms / _BEACON_MS)
        return (
            1 <= beacons <= _BEACONS
            and abs(holder.period_ms - beacons * _BEACON_MS) < _BEACON_NEAR * _BEACON_MS * beacons
        )
    return isinstance(holder, Flow | SlowLink)


def apart(a: Shape, b: Shape) -> bool:
    """Say whether two probes were made at different times."""
    one, other = a.probe, b.probe
    return one.began_ms + one.end_ms <= other.began_ms or other.began_ms + other.end_ms <= one.began_ms


def cells_of(shapes: Iterable[Shape]) -> list[Cell]:
    """Group shapes by condition, and judge each group."""
    groups: dict[Condition, list[Shape]] = {}
    for shape in shapes:
        probe = shape.probe
        groups.setdefault(Condition(probe.asked.protocol, probe.encoding, probe.asked.method), []).append(shape)
    cells = [part for condition, group in groups.items() for part in _split(condition, group)]
    found = {cell.holder for cell in cells if cell.explained}
    return [_agreed(cell, found) for cell in cells]


def _split(condition: Condition, shapes: Sequence[Shape]) -> list[Cell]:
    """Judge a group; where nothing explains it whole, see whether it differs by what the client accepts."""
    whole = judged(condition, shapes)
    coded = [shape for shape in shapes if accepts_coding(shape)]
    if whole.explained or not coded or len(coded) == len(shapes) or len(whole.noticed) < 2:  # noqa: PLR2004
        return [whole]
    plain = [shape for shape in shapes if not accepts_coding(shape)]
    parts = [
        judged(Condition(condition.protocol, condition.encoding, condition.method, accepted), some)
        for accepted, some in ((True, coded), (False, plain))
    ]
    return parts if any(part.held for part in parts) else [whole]


def accepts_coding(shape: Shape) -> bool:
    """Say whether the client accepted any content coding."""
    return shape.probe.asked.accept_encoding.strip().lower() not in ("", "identity")


def judged(condition: Condition, shapes: Sequence[Shape]) -> Cell:
    """Find the holder that explains these shapes best."""
    cell = Cell(condition=condition, shapes=tuple(shapes))
    noticed = sorted(cell.noticed, key=lambda shape: -len(shape.came_ms))
    if len(noticed) * 2 < len(shapes) or not noticed:
        return cell
    asked = noticed[:_SHAPES_ASKED]
    pool: dict[Holder, None] = dict.fromkeys(one for shape in asked for one in proposals(shape))
    # Most suggestions are absurd, and two probes show it: only the others are worth all of them.
    leading = sorted(pool, key=lambda holder: -_standing(holder, asked[:_FIRST_ASKED]))[:_LEADING]
    best = max(leading, key=lambda holder: _standing(holder, shapes))
    if hidden := hidden_block(asked):
        best = _better_chain((hidden,), best, asked, shapes, gain=-_GAIN)
    if _HOPELESS < score_of(best, shapes) < _ENOUGH:
        best = _better_chain(leading, best, asked, shapes, gain=_GAIN)
    return _with(cell, best)


def _better_chain(
    tried: Sequence[Holder], best: Holder, asked: Sequence[Shape], shapes: Sequence[Shape], *, gain: float
) -> Holder:
    chains = {
        chain
        for inner in tried
        for shape in asked[:_FIRST_ASKED]
        for chain in chained(inner, shape, list(map(sub, shape.came_ms, arrivals_foretold(inner, shape))))
    }
    leading = max(chains, key=lambda holder: _standing(holder, shapes), default=best)
    return leading if _standing(leading, shapes) > _standing(best, shapes) + gain else best


def _agreed(cell: Cell, found: Iterable[Holder]) -> Cell:
    """Prefer what explains another condition, too, to what explains this one alone a little better."""
    least = cell.score - _GAIN if cell.explained else BELIEVED
    if len(cell.noticed) * 2 < len(cell.shapes) or not cell.noticed:
        return cell
    others = [holder for holder in found if score_of(holder, cell.shapes) > least]
    if not others:
        return cell
    return _with(cell, max(others, key=lambda holder: (isinstance(holder, Chain), _standing(holder, cell.shapes))))


def _with(cell: Cell, holder: Holder) -> Cell:
    score = score_of(holder, cell.shapes)
    fits = [(shape, fit(holder, shape)) for shape in cell.shapes]
    explained = tuple(shape for shape, one in fits if one.score >= BELIEVED and one.foretold_ms >= NOTICED_MS)
    told = isinstance(holder, Flow) or score < BELIEVED
    return msgspec.structs.replace(cell, holder=holder, score=score, explained=() if told else explained)


def score_of(holder: Holder, shapes: Sequence[Shape], *, every: bool = False) -> float:
    """Return the mean score over the shapes that could tell; without the worst of each four, unless `every` counts."""
    fits = [(shape, fit(holder, shape)) for shape in shapes]
    scores = sorted(one.score for shape, one in fits if _could_tell(shape, one))
    spared = round(len(scores) / _SHAPES_ASKED) if len(scores) >= _SHAPES_ASKED and not every else 0
    kept = scores[spared:]
    return sum(kept) / len(kept) if kept else 0.0


def _could_tell(shape: Shape, fitted: Fit) -> bool:
    return shape.hold_ms >= NOTICED_MS or fitted.foretold_ms >= NOTICED_MS


def _standing(holder: Holder, shapes: Sequence[Shape]) -> float:
    if isinstance(holder, _SIMPLE):
        return score_of(holder, shapes)
    handicap = _CHAIN_HANDICAP if isinstance(holder, Chain) else _HANDICAP
    if isinstance(holder, Blocks) and holder.size_bytes in KNOWN_BYTES:
        handicap = 0.0 if holder.edge == "cut" else _HANDICAP / 3
    more = isinstance(holder, Count) or (isinstance(holder, Timer) and holder.cap_bytes < inf)
    return score_of(holder, shapes) - handicap * (2 if more else 1)
