"""Differences between the probes of one URL → what is wrong with its path, if anything. docs/diagnosis.md."""

from collections.abc import Sequence

from streamgap.core.diagnosis.accusing import accusations
from streamgap.core.diagnosis.acquitting import acquittal, unnamed
from streamgap.core.diagnosis.cells import cells_of
from streamgap.core.diagnosis.heading import late_headers
from streamgap.core.diagnosis.integrity import cut, lost, refused, replay, replayed
from streamgap.core.diagnosis.queueing import queue
from streamgap.core.diagnosis.shape import Shape, shape_of
from streamgap.core.diagnosis.untimed import without_write_times
from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Probe

_FEWEST_EVENTS = 3
_ACCUSED = 0.5


def diagnose(probes: Sequence[Probe]) -> tuple[Finding, ...]:
    """Return what the probes of one URL show together, the primary finding first; never empty.

    `flowing` stands alone, or beside the note `late_headers`. Below a confidence of 0.5 nobody is accused.
    """
    if nothing := refused(probes):
        return (nothing,)
    copies = replayed(probes)
    own = [probe for at, probe in enumerate(probes) if at not in copies and probe.is_stream and probe.events]
    broken = [one for one in (replay(probes), lost(own), cut(own)) if one]
    shapes = [shape_of(probe) for probe in own]
    timed = [shape for shape in shapes if shape.timed and len(shape.came_ms) >= _FEWEST_EVENTS]
    untimed = [shape for shape in shapes if not shape.timed]
    arrived = _judge(timed) if timed else without_write_times(untimed)
    sure = [one for one in broken if one.confidence >= _ACCUSED]
    if sure:
        arrived = [one for one in arrived if one.mechanism is not Mechanism.FLOWING]
    found = [*sure, *arrived] if sure else [*arrived, *broken]
    return tuple(found) or (Finding(mechanism=Mechanism.UNKNOWN, confidence=0.3, evidence=("too few events came",)),)


def _judge(shapes: Sequence[Shape]) -> list[Finding]:
    """Judge streams whose write times are known."""
    plain = [shape for shape in shapes if not shape.probe.asked.hints] or list(shapes)
    hinted = [shape for shape in shapes if shape.probe.asked.hints]
    cells = cells_of(plain)
    accused = accusations(cells, hinted)
    sure = [one for one in accused if one.confidence >= _ACCUSED]
    if waiting := queue(plain):
        sure.insert(0, waiting)
    if sure:
        return sure
    # A guess asks for a repetition; once that was made (with each hint) it has not come true.
    guesses = [] if hinted else accused
    if doubt := unnamed(cells):
        return [doubt, *guesses]
    leading = acquittal(plain, cells)
    note = late_headers(shapes)
    return [one for one in (leading, note, *guesses) if one]
