"""What a program's traces, found and missing, and its place on the path say before its habits are looked at."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streamgap.core.hops import Hop, Kind
from streamgap.core.probe import Probe
from streamgap.core.suspects.sightings import NAMING_STRENGTH, Mark, Match, describe, marks, matches
from streamgap.core.suspects.signs import Sign

BEHIND_THE_APP = frozenset[Kind]({"app_server", "framework", "middleware"})
# The tap inside flows through the app, which acquits what runs there; a middleware may run in a hop between as well.
ACQUITTED: dict[Kind, float] = {"app_server": 0.02, "framework": 0.02, "middleware": 0.5}
# The innermost tap is held: look in and about the app first.
PREFERRED, DEMOTED = 3.0, 0.3
# A server's header is replaced by the proxies in front of it: that it is missing says little.
COVERED = 0.5
LEAST_UNSEEN = 0.01
EDGE_UNSEEN = 0.02
# Some answers only, or some clients, bear a cookie: that it is missing says nothing.
OPTIONAL = frozenset({"set-cookie"})
SEEN_MOST, SEEN_NEW_MOST = 4.0, 12.0
EDGES = frozenset[Kind]({"cdn", "platform"})


class Scene(NamedTuple):
    """What does not change from one program to the next.

    `looked` says where traces could have been seen, `covered` that a proxy's `Server` header stands where the app
    server's would, `inside` are the marks of the tap inside, `inner` that there is one, and that it flows.
    """

    found: Sequence[Mark]
    looked: frozenset[str]
    covered: bool
    inside: frozenset[tuple[str, str, str]]
    inner: bool
    innermost: bool


class Sighted(NamedTuple):
    """The signs of a program's traces and place, whether one that names it is new here, and the version they tell."""

    signs: tuple[Sign, ...]
    new: bool
    version: str


def scene_of(probes: Sequence[Probe], *, hops: Sequence[Hop], inner: Sequence[Probe], innermost: bool) -> Scene:
    """Return the scene of one tap; `inner` are the probes of the next tap inside, () where there is none."""
    found = marks(probes)
    return Scene(
        found=found,
        looked=_looked(probes),
        covered=_covered(hops, found),
        inside=frozenset(_key(mark) for mark in marks(inner)),
        inner=bool(inner),
        innermost=innermost and not inner,
    )


def sighted_in(hop: Hop, scene: Scene) -> Sighted:
    """Return what is to be seen of a program."""
    hits = matches(hop, scene.found)
    new = [hit for hit in hits if _key(hit.mark) not in scene.inside]
    signs = [*_shown(new, most=SEEN_NEW_MOST if scene.inner else SEEN_MOST)]
    if not _named(hop, hits):
        signs.append(Sign(_unseen(hop, scene)))
    version = next((hit.version for hit in hits if hit.version), "")
    return Sighted((*signs, *_missing(hop, scene), *_placed(hop, scene)), new=_naming(new), version=version)


def _named(hop: Hop, hits: Sequence[Match]) -> bool:
    """Return whether the traces found are as good as the program has: a weak one does not stand for a strong one."""
    strongest = max((trace.strength for trace in hop.traces), default=0.0)
    return any(hit.trace.strength >= min(strongest, NAMING_STRENGTH) for hit in hits)


def _naming(hits: Sequence[Match]) -> bool:
    return any(hit.trace.strength >= NAMING_STRENGTH for hit in hits)


def _shown(hits: Sequence[Match], *, most: float) -> Iterator[Sign]:
    """Yield the traces that were found, strongest first; all of them together count for no more than `most`."""
    for hit in sorted(hits, key=lambda hit: -hit.trace.strength):
        factor = min(1 / max(1 - hit.trace.strength, LEAST_UNSEEN), most)
        most /= factor
        yield Sign(factor, describe(hit))


def _unseen(hop: Hop, scene: Scene) -> float:
    """Return the factor for a program that would show itself and does not: 1 − its strongest trace's strength."""
    shows = [trace for trace in hop.traces if not trace.absent and trace.where in scene.looked]
    strength = max((trace.strength for trace in shows if trace.header not in OPTIONAL), default=0.0)
    factor = max(1 - strength, LEAST_UNSEEN)
    if hop.kind in EDGES:
        return min(factor, EDGE_UNSEEN)
    hidden = hop.kind in BEHIND_THE_APP and scene.covered and all(trace.header == "server" for trace in shows)
    return max(factor, COVERED) if hidden else factor


def _missing(hop: Hop, scene: Scene) -> Iterator[Sign]:
    """Judge the headers that a program is known to leave out or take away."""
    for trace in hop.traces:
        if not trace.absent or trace.where not in scene.looked:
            continue
        there = any(mark.where == trace.where and mark.header == trace.header for mark in scene.found)
        yield (
            Sign(max(1 - trace.strength, LEAST_UNSEEN)) if there else Sign(min(1 / (1.01 - trace.strength), SEEN_MOST))
        )


def _placed(hop: Hop, scene: Scene) -> Iterator[Sign]:
    inside_app = hop.kind in BEHIND_THE_APP
    if scene.inner and inside_app:
        acquitted = ACQUITTED[hop.kind]
        yield Sign(acquitted, "but the tap inside flows, and it stands behind that" if acquitted < DEMOTED else "")
    if scene.innermost:
        where = "this is the innermost tap, where the app and its server stand"
        yield Sign(PREFERRED, where) if inside_app else Sign(DEMOTED, f"but {where}")


def _looked(probes: Sequence[Probe]) -> frozenset[str]:
    """Return where traces could have been seen: in a response that came, in a request that the app told of."""
    answered = [probe for probe in probes if probe.status is not None]
    told = {"request"} if any(probe.seen is not None for probe in answered) else set[str]()
    return frozenset(told | {"response"} if answered else told)


def _covered(hops: Sequence[Hop], found: Sequence[Mark]) -> bool:
    """Return whether a proxy's own `Server` header stands where the app server's would."""
    proxies = (hop for hop in hops if hop.kind not in BEHIND_THE_APP)
    return any(hit.mark.header == "server" for hop in proxies for hit in matches(hop, found))


def _key(mark: Mark) -> tuple[str, str, str]:
    return (mark.where, mark.header, mark.value)
