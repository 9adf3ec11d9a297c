"""Streams that do not tell when they were written: only a difference between probes convicts, or bytes no app makes."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median, pstdev

from msgspec.structs import replace

from streamgap.core.diagnosis.proposals import KNOWN_BYTES
from streamgap.core.diagnosis.shape import Shape
from streamgap.core.mechanism import Finding, Mechanism

_COLLAPSED_MS, _SPREAD_MS = 150.0, 600.0
_FEW_RELEASES = 3
_STEADY = 0.02
_CORK_MS = (190.0, 230.0)
_CORK_STEADY, _OFTEN = 0.25, 0.75
_BATCHED, _SINGLY = 0.8, 0.3
_SLOW_MS = 2000.0
_MANY_EVENTS = 4


def without_write_times(shapes: Sequence[Shape]) -> list[Finding]:
    """Return what such streams show. A bursty model looks like a buffer, so a doubt stays a doubt."""
    plain = [shape for shape in shapes if not shape.probe.asked.hints and len(shape.came_ms) >= _MANY_EVENTS]
    if not plain:
        return [_doubt("too few events came to tell")]
    found = [one for one in (_collapsed_by_condition(plain), _exact_blocks(plain), _sawtooth(plain)) if one]
    return found or [_innocent(plain)]


def _all_at_once(shape: Shape) -> bool:
    return shape.arrived_ms < _COLLAPSED_MS


def _spread_out(shape: Shape) -> bool:
    return shape.arrived_ms > _SPREAD_MS and len(shape.releases) > _FEW_RELEASES


def _collapsed_by_condition(shapes: Sequence[Shape]) -> Finding | None:
    """Return what holds where one condition always gives all at once and another never does."""
    at_once = [shape for shape in shapes if _all_at_once(shape)]
    spread = [shape for shape in shapes if _spread_out(shape)]
    if not at_once or not spread:
        return None
    told = (_came(at_once[0]), _came(spread[0]))
    hold_ms = median(shape.arrived_ms for shape in spread)
    sure = 0.85 if len(at_once) > 1 else 0.7
    found = Finding(mechanism=Mechanism.WHOLE, confidence=sure, evidence=told, hold_ms=hold_ms)
    codings = {shape.probe.encoding for shape in at_once}
    if "" not in codings and not {shape.probe.encoding for shape in spread} & codings:
        return replace(found, mechanism=Mechanism.COMPRESSOR, encodings=tuple(sorted(codings)))
    protocols = {shape.probe.asked.protocol for shape in at_once}
    if not {shape.probe.asked.protocol for shape in spread} & protocols:
        return replace(found, protocols=tuple(sorted(protocols)))
    methods = {shape.probe.asked.method for shape in at_once}
    if not {shape.probe.asked.method for shape in spread} & methods:
        return replace(found, methods=tuple(sorted(methods)))
    return None


def _came(shape: Shape) -> str:
    return f"{shape.probe.asked.name}: {len(shape.came_ms)} events came within {shape.arrived_ms:.0f} ms"


def _exact_blocks(shapes: Sequence[Shape]) -> Finding | None:
    """Return blocks where releases of one size end mid-event, again and again: no app writes so."""
    sizes = [size for shape in shapes if (size := _block(shape))]
    long = [shape for shape in shapes if len(shape.releases) > _FEW_RELEASES + 1]
    if not sizes or len(sizes) * 2 <= len(long):
        return None
    size = median(sizes)
    repeated = len(sizes) > 1 and max(sizes) - min(sizes) <= _STEADY * size
    near = any(abs(size - known) <= _STEADY * known for known in KNOWN_BYTES)
    told = f"bytes came {size:.0f} at a time, cut mid-event, in {len(sizes)} of {len(shapes)} probes"
    confidence = 0.85 if repeated and near else 0.7 if repeated else 0.5 if near else 0.4
    return Finding(mechanism=Mechanism.BLOCKS, confidence=confidence, evidence=(told,), block_bytes=round(size))


def _block(shape: Shape) -> float | None:
    ends = [release.until_byte for release in shape.releases[:-1]]
    steps = [b - a for a, b in pairwise(ends)]
    if len(steps) < _FEW_RELEASES or median(release.events for release in shape.releases) < 2:  # noqa: PLR2004
        return None
    whole = {round(end) for end in shape.ends}
    mid_event = sum(end not in whole for end in ends)
    steady = pstdev(steps) <= _STEADY * fmean(steps)
    return fmean(steps) if steady and mid_event * 2 > len(ends) else None


def _sawtooth(shapes: Sequence[Shape]) -> Finding | None:
    """Return a timer where batches come on the beat in one protocol and singly in another; alone it is a guess."""
    shapes = [shape for shape in shapes if len(shape.releases) > _MANY_EVENTS + 1] or shapes
    beats = {shape.probe.asked.protocol: beat for shape in shapes if (beat := _beat(shape))}
    if not beats:
        return None
    shown = Counter(shape.probe.asked.protocol for shape in shapes if _beat(shape))
    if any(shown[one] * 2 <= sum(shape.probe.asked.protocol is one for shape in shapes) for one in beats):
        return None
    singly = {shape.probe.asked.protocol for shape in shapes if shape.batched < _SINGLY} - set(beats)
    period = median(beats.values())
    cork = _CORK_MS[0] <= period <= _CORK_MS[1]
    if not cork and not singly:
        return None
    told = [f"batches of events came every {period:.0f} ms"]
    if singly:
        told.append(f"over {', '.join(sorted(singly))} the same stream comes event by event")
    confidence = 0.85 if singly and cork else 0.7 if singly else 0.45
    return Finding(
        mechanism=Mechanism.TIMER,
        confidence=confidence,
        evidence=tuple(told),
        period_ms=round(period, 1),
        hold_ms=round(period, 1),
        protocols=tuple(sorted(beats)) if singly else (),
    )


def _beat(shape: Shape) -> float | None:
    """Return the least time between releases, where nearly all are batches and it is nearly always that time.

    A cork waits from the first byte held: its releases are the period apart, and the time until that byte came.
    """
    between = sorted(b.at_ms - a.at_ms for a, b in pairwise(shape.releases[:-1]))
    if len(between) < _MANY_EVENTS or shape.batched < _BATCHED:
        return None
    least = between[len(between) // 10]
    near = [one for one in between if abs(one - least) <= _CORK_STEADY * least]
    return least if len(near) >= _OFTEN * len(between) else None


def _innocent(shapes: Sequence[Shape]) -> Finding:
    """Say that it flows, that the model is slow, or that nobody can tell."""
    first = median(shape.came_ms[0] for shape in shapes)
    singly = median(shape.batched for shape in shapes) < _SINGLY
    if singly and first > _SLOW_MS:
        told = f"the first event came after {first / 1000:.2f} s, then one at a time: the app or its model is slow"
        return Finding(mechanism=Mechanism.SLOW_APP, confidence=0.6, evidence=(told,))
    if singly:
        events = sum(len(shape.came_ms) for shape in shapes)
        told = f"{events} events in {len(shapes)} probes came one at a time, the first after {first:.0f} ms (median)"
        return Finding(mechanism=Mechanism.FLOWING, confidence=0.7, evidence=(told,))
    if all(map(_all_at_once, shapes)):
        return _doubt(
            f"all events came within {shapes[0].arrived_ms:.0f} ms, under every condition: the whole response is held, "
            "or the app writes it at once. Mount a drip to tell"
        )
    return _doubt("events came in batches: a bursty model or a buffer. Mount a drip to tell")


def _doubt(words: str) -> Finding:
    return Finding(mechanism=Mechanism.UNKNOWN, confidence=0.4, evidence=(words,))
