"""The knowledge base of hops: `doctor/hops/<name>.toml`, one program each, read strictly.

Every fact in it says how it is known. What a file may hold: core/hops.py.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from streamgap.core.hops import Hop
from streamgap.core.suspects.versions import within

SHIPPED = Path(__file__).parent / "hops"


class KnowledgeError(ValueError):
    """A file of the knowledge base is not as it must be: which, where, what was expected and what was got."""


@cache
def load_hops(directory: Path = SHIPPED) -> tuple[Hop, ...]:
    """Return all hops of a directory of `.toml` files, by name. Raises KnowledgeError for the first wrong file."""
    return tuple(load_hop(path) for path in sorted(directory.glob("*.toml")))


def load_hop(path: Path) -> Hop:
    """Return one file's hop. Raises KnowledgeError that names the file and the field."""
    try:
        hop = msgspec.toml.decode(path.read_bytes(), type=Hop)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path.name}: expected the fields of a hop (core/hops.py), got: {error}") from error
    if fault := next(_faults(hop, stem=path.stem), None):
        raise KnowledgeError(f"{path.name}: {fault}")
    return hop


def _faults(hop: Hop, *, stem: str) -> Iterator[str]:
    """Say what the types cannot: names that do not meet, shares outside 0…1, patterns that are none."""
    if hop.name != stem:
        yield f"name: expected {stem!r} like the file, got {hop.name!r}"
    for what, ids in (("remedies", [remedy.id for remedy in hop.remedies]), ("habits", [h.id for h in hop.habits])):
        if doubled := [name for name, count in Counter(ids).items() if count > 1]:
            yield f"{what}: expected each id once, got {doubled[0]!r} again"
    yield from _unknown_remedies(hop)
    yield from _wrong_traces(hop)
    for habit in hop.habits:
        if not 0 < habit.prior <= 1:
            yield f"habit {habit.id}: prior: expected more than 0 and at most 1, got {habit.prior}"
        if wrong := _wrong_bounds(habit.versions):
            yield f"habit {habit.id}: versions: {wrong}"


def _wrong_traces(hop: Hop) -> Iterator[str]:
    for number, trace in enumerate(hop.traces):
        if not 0 < trace.strength <= 1:
            yield f"traces[{number}].strength: expected more than 0 and at most 1, got {trace.strength}"
        if trace.header != trace.header.lower():
            yield f"traces[{number}].header: expected lower case, got {trace.header!r}"
        if wrong := _wrong_pattern(trace.pattern):
            yield f"traces[{number}].pattern: expected a regular expression, got {trace.pattern!r}: {wrong}"


def _unknown_remedies(hop: Hop) -> Iterator[str]:
    ids = {remedy.id for remedy in hop.remedies}
    for habit in hop.habits:
        if not habit.remedies:
            yield f"habit {habit.id}: remedies: expected at least one, got none"
        for name in habit.remedies:
            if name not in ids:
                yield f"habit {habit.id}: remedies: expected an id of {sorted(ids)}, got {name!r}"
    for timer in hop.timers:
        if timer.remedy and timer.remedy not in ids:
            yield f"timer {timer.directive}: remedy: expected an id of {sorted(ids)}, got {timer.remedy!r}"


def _wrong_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""


def _wrong_bounds(versions: str) -> str:
    try:
        within("1", versions or ">=0")
    except ValueError as error:
        return str(error)
    return ""
