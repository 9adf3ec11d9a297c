"""What is wrong with a stream whatever its times are: none came, another's came, or not all of it did."""

from collections import Counter
from collections.abc import Sequence

from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Ending, Probe

# Content cannot come before it was written: beyond what two clocks may drift apart within one probe.
_EARLY_MS = -50.0
_CLEAN = (Ending.FRAMED, Ending.CLOSED)
_BROKEN = (Ending.TRUNCATED, Ending.RESET)
_HIT = ("x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache")
_WORDS = {
    Ending.TRUNCATED: "the connection was closed inside the body",
    Ending.RESET: "the connection was reset",
    Ending.FRAMED: "the end looked clean",
    Ending.CLOSED: "the connection was closed, and nothing says that this was the end",
}


def refused(probes: Sequence[Probe]) -> Finding | None:
    """Return that no stream came, where none of the probes got one."""
    if any(probe.is_stream and probe.events for probe in probes):
        return None
    answers = Counter(map(_answer, probes))
    told = tuple(f"{count} of {len(probes)} probes: {words}" for words, count in answers.most_common(3))
    return Finding(mechanism=Mechanism.REFUSED, confidence=0.95 if probes else 0.0, evidence=told or ("nothing asked",))


def _answer(probe: Probe) -> str:
    if probe.status is None:
        return probe.failure or f"no response within {probe.end_ms:.0f} ms"
    if not probe.is_stream:
        media = probe.header("content-type") or "no content type"
        return f"expected 200 text/event-stream, got {probe.status} {media} after {probe.head_ms or 0.0:.0f} ms"
    ended = probe.failure or _WORDS.get(probe.ending, probe.ending.value)
    return f"headers after {probe.head_ms or 0.0:.0f} ms, then no event within {probe.end_ms:.0f} ms: {ended}"


def replayed(probes: Sequence[Probe]) -> dict[int, str]:
    """Return which probes (by place) carry another request's stream, and how that is known."""
    first: dict[str, int] = {}
    found: dict[int, str] = {}
    for at, probe in enumerate(probes):
        if words := _replay_of(probe, first.get(probe.run)):
            found[at] = words
        elif probe.run:
            first[probe.run] = at
    return found


def _replay_of(probe: Probe, before: int | None) -> str:
    early = min((e.came_ms - e.wrote_ms for e in probe.events if e.wrote_ms is not None), default=0.0)
    if early < _EARLY_MS:
        return f"an event came {-early:.0f} ms before the app can have written it for this request"
    if probe.run and before is not None:
        return f"this stream had the name of another one ({probe.run}): both were one and the same"
    strangers = [run for run in probe.runs if run != probe.run]
    return f"events of another stream ({strangers[0]}) came in this one" if probe.run and strangers else ""


def replay(probes: Sequence[Probe]) -> Finding | None:
    """Return that a cache gives one request's stream to another."""
    found = replayed(probes)
    if not found:
        return None
    headers = {
        f"header {name}: {probes[at].header(name)}"
        for at in found
        for name in ("age", *_HIT)
        if _says_hit(name, probes[at].header(name))
    }
    count = f"{len(found)} of {len(probes)} probes got a stream that was not made for them"
    return Finding(
        mechanism=Mechanism.REPLAY,
        confidence=0.97,
        evidence=(count, *sorted(set(found.values()))[:2], *sorted(headers)),
    )


def _says_hit(name: str, value: str) -> bool:
    return value not in ("", "0") if name == "age" else "hit" in value.lower()


def lost(probes: Sequence[Probe]) -> Finding | None:
    """Return that events are missing though the end looks clean, or that most clients will miss them."""
    several = [probe for probe in probes if probe.members > 1]
    missing = [probe for probe in probes if _missing(probe)]
    if several:
        words = f"the body is {several[0].members} gzip members: browsers decode the first alone and see a clean end"
        codings = tuple(sorted({probe.encoding for probe in several}))
        return Finding(mechanism=Mechanism.LOST_EVENTS, confidence=0.95, evidence=(words,), encodings=codings)
    if not missing:
        return None
    one = missing[0]
    words = f"{len(one.events)} of {one.expected} events came, and the end looked clean"
    return Finding(
        mechanism=Mechanism.LOST_EVENTS,
        confidence=0.9 if len(missing) > 1 else 0.6,
        evidence=(words, f"so in {len(missing)} of {len(probes)} probes"),
    )


def _missing(probe: Probe) -> bool:
    """Say whether events are missing in the middle, or before a terminator that came."""
    if probe.expected is None or probe.ending not in _CLEAN or len(probe.events) >= probe.expected:
        return False
    indices = {event.index for event in probe.events}
    return probe.done or (bool(indices) and max(indices) + 1 > len(indices))


def cut(probes: Sequence[Probe]) -> Finding | None:
    """Return that streams ended before their end, how, and at what age."""
    ended = [probe for probe in probes if _is_cut(probe)]
    if not ended:
        return None
    ages = sorted(probe.end_ms for probe in ended)
    survivors = [probe for probe in probes if not _is_cut(probe) and probe.end_ms >= ages[0]]
    sure = len(ended) > 1 or not survivors
    example = ended[0]
    of = f"{len(example.events)} of {example.expected} events" if example.expected else f"{len(example.events)} events"
    told = (
        f"{len(ended)} of {len(probes)} streams were cut, after {ages[0]:.0f} to {ages[-1]:.0f} ms",
        f"{example.asked.name}: {of} came, then {_WORDS.get(example.ending, example.ending.value)}",
    )
    confidence = 0.45 if not sure else 0.95 if len(ended) > len(survivors) else 0.7
    return Finding(mechanism=Mechanism.CUT, confidence=confidence, evidence=told)


def _is_cut(probe: Probe) -> bool:
    if probe.done or not probe.is_stream or _missing(probe):
        return False
    short = probe.expected is not None and len(probe.events) < probe.expected
    return probe.ending in _BROKEN or (probe.ending in _CLEAN and short)
