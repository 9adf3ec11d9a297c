"""Who shows itself on a path: the traces that programs leave in the response and in the request as the app saw it."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice

import msgspec

from streamgap.core.hops import Hop, Kind, Trace
from streamgap.core.probe import Probe
from streamgap.core.showing import shown

# Header values come from strangers: what is searched is bounded, in length and in number.
LONGEST_VALUE = 256
MOST_HEADERS = 256
PROTOCOL = ":protocol"
# Below this a trace only moves the odds; it names nobody.
NAMING_STRENGTH = 0.5


class Mark(msgspec.Struct, frozen=True, order=True):
    """One header that was there: `where` is `response` or `request`, `order` its place among those of its message."""

    where: str
    header: str
    value: str
    order: int = 0


class Match(msgspec.Struct, frozen=True):
    """A trace that was found, in which mark, and the version it tells ("" for none)."""

    trace: Trace
    mark: Mark
    version: str = ""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A program that shows itself on the path, and by what. `strength` joins its traces': 1 − Π(1 − strength)."""

    hop: str
    title: str
    kind: Kind
    strength: float
    evidence: tuple[str, ...]
    version: str = ""


def marks(probes: Sequence[Probe]) -> tuple[Mark, ...]:
    """Return the distinct headers that all probes brought, bounded, in the order in which they were first seen."""
    seen = {(mark.where, mark.header, mark.value): mark for probe in reversed(probes) for mark in _marks_of(probe)}
    return tuple(sorted(seen.values(), key=lambda mark: (mark.where != "response", mark.order)))


def matches(hop: Hop, found: Sequence[Mark]) -> tuple[Match, ...]:
    """Return which of a program's traces were found, each once."""
    return tuple(match for trace in hop.traces if not trace.absent and (match := _match(trace, found)))


def traced(probes: Sequence[Probe], hops: Sequence[Hop]) -> tuple[Sighting, ...]:
    """Return who shows itself on the path, in the order of the response's headers, those only the app saw last."""
    found = marks(probes)
    sightings = [(_place(hits), _sighting(hop, hits)) for hop in hops if (hits := matches(hop, found))]
    named = [(place, sighting) for place, sighting in sightings if sighting.strength >= NAMING_STRENGTH]
    return tuple(sighting for _, sighting in sorted(named, key=lambda pair: (pair[0], pair[1].hop)))


def describe(match: Match) -> str:
    """Say what was found, as text that is safe to show."""
    named = _named(match.mark)
    return f"the app saw {named} in the request" if match.mark.where == "request" else f"the response says {named}"


def _sighting(hop: Hop, hits: Sequence[Match]) -> Sighting:
    doubt = 1.0
    for hit in hits:
        doubt *= 1 - hit.trace.strength
    return Sighting(
        hop=hop.name,
        title=hop.title,
        kind=hop.kind,
        strength=1 - doubt,
        evidence=tuple(dict.fromkeys(describe(hit) for hit in hits)),
        version=next((hit.version for hit in hits if hit.version), ""),
    )


def _marks_of(probe: Probe) -> Iterator[Mark]:
    for place, (name, value) in enumerate(islice(probe.headers, MOST_HEADERS)):
        yield Mark("response", name.lower(), value[:LONGEST_VALUE], place)
    if probe.seen is None:
        return
    yield Mark("request", PROTOCOL, probe.seen.protocol[:LONGEST_VALUE])
    for place, (name, value) in enumerate(islice(probe.seen.headers, MOST_HEADERS), 1):
        yield Mark("request", name.lower(), value[:LONGEST_VALUE], place)


def _match(trace: Trace, found: Sequence[Mark]) -> Match | None:
    for mark in found:
        if mark.where != trace.where or mark.header != trace.header:
            continue
        if hit := _compiled(trace.pattern).search(mark.value):
            return Match(trace, mark, hit.groupdict().get("version") or "")
    return None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _place(hits: Sequence[Match]) -> tuple[bool, int]:
    return min((hit.mark.where != "response", hit.mark.order) for hit in hits)


def _named(mark: Mark) -> str:
    return shown(mark.value) if mark.header == PROTOCOL else f"{mark.header}: {shown(mark.value)}"
