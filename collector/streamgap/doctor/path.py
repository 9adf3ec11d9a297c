"""Several URLs of one path, from the app outwards: the hop that holds stands where the hold appears.

The hops are an AND: while an inner one keeps the whole response, what the outer ones do cannot be seen. So a hold is
charged to the first tap at which it shows, and the taps behind it are told as masked, not as acquitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from streamgap.core.hops import Hop, Suspect
from streamgap.core.mechanism import Finding, Mechanism, Severity, alike
from streamgap.core.suspects import suspects
from streamgap.core.suspects.sightings import Sighting, traced
from streamgap.doctor.examine import Ask, Examination, Examiner, accuses
from streamgap.doctor.progress import Progress

_ALL_AT_END = (Mechanism.WHOLE, Mechanism.COMPRESSOR)


class Verdict(StrEnum):
    """What the path does to streams, as a gate needs it."""

    FLOWING = "flowing"
    HELD = "held"
    DOUBTFUL = "doubtful"
    UNREACHABLE = "unreachable"


EXIT_STATUS = {Verdict.FLOWING: 0, Verdict.HELD: 1, Verdict.DOUBTFUL: 3, Verdict.UNREACHABLE: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A place at which the path can be asked: a name for people, the URL as text, and how to ask it."""

    name: str
    url: str
    tls: bool
    ask: Ask
    has_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A finding at the tap where it first shows, and who may stand between it and the `inner` one ("": the app)."""

    finding: Finding
    tap: str
    inner: str
    suspects: tuple[Suspect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A tap, its examination, and the programs that show themselves behind it."""

    tap: Tap
    examination: Examination
    sightings: tuple[Sighting, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Every tap from the inside out, every charge, and the verdict on the outermost tap."""

    taps: tuple[Examined, ...]
    charges: tuple[Charge, ...]

    @property
    def outermost(self) -> Examination:
        """What was seen where the people are."""
        return self.taps[-1].examination

    @property
    def verdict(self) -> Verdict:
        """Judge by the outermost tap: that is what a browser gets."""
        if self.outermost.held:
            return Verdict.HELD
        leading = self.outermost.findings[0]
        if leading.mechanism is Mechanism.REFUSED:
            return Verdict.UNREACHABLE
        doubtful = leading.code.severity in (Severity.DOUBT, Severity.HELD)
        return Verdict.DOUBTFUL if doubtful else Verdict.FLOWING

    @property
    def exit_status(self) -> int:
        """0 flowing, 1 held, 3 unreachable or undecided (2 is usage)."""
        return EXIT_STATUS[self.verdict]


async def examine_path(
    taps: Sequence[Tap], *, hops: Sequence[Hop], examiner: Callable[[Tap, Progress], Examiner], progress: Progress
) -> Diagnosis:
    """Examine each tap, the innermost first, one after another: two at once would make each other late."""
    examined: list[Examined] = []
    for place, tap in enumerate(taps):
        staged = _stage(progress, place=place, of=len(taps), tap=tap)
        examination = await examiner(tap, staged).examine()
        sightings = traced(examination.probes, hops)
        examined.append(Examined(tap=tap, examination=examination, sightings=sightings))
    return Diagnosis(taps=tuple(examined), charges=charges(examined, hops=hops))


def charges(examined: Sequence[Examined], *, hops: Sequence[Hop]) -> tuple[Charge, ...]:
    """Charge each finding to the tap where it first shows, inside out, and name the suspects there."""
    made: list[Charge] = []
    inner: Examined | None = None
    for one in examined:
        inside = inner.examination.findings if inner is not None else ()
        new = [finding for finding in _worth_telling(one.examination.findings) if not _inherited(finding, inside)]
        made += [_charge(finding, one, inner, hops=hops, several=len(examined) > 1) for finding in new]
        if one.examination.findings[0].mechanism is not Mechanism.REFUSED:
            inner = one
    return tuple(made)


def _charge(finding: Finding, at: Examined, inner: Examined | None, *, hops: Sequence[Hop], several: bool) -> Charge:
    named = suspects(
        finding,
        probes=at.examination.probes,
        hops=hops,
        inner=inner.examination.probes if inner is not None else (),
        innermost=several and inner is None,
    )
    return Charge(finding=finding, tap=at.tap.name, inner=inner.tap.name if inner is not None else "", suspects=named)


def _worth_telling(findings: Sequence[Finding]) -> list[Finding]:
    """Return what is to be told of a tap: a hold, or a note that has a cure."""
    return [one for one in findings if accuses(one) or one.mechanism is Mechanism.LATE_HEADERS]


def _inherited(finding: Finding, inside: Sequence[Finding]) -> bool:
    """Say whether the next tap inside shows the same already, or so much that this one cannot be told from it."""
    return any(_same(finding, one) for one in inside if accuses(one) or one.mechanism is finding.mechanism)


def _same(outer: Finding, inner: Finding) -> bool:
    if inner.mechanism in _ALL_AT_END and outer.mechanism in _ALL_AT_END:
        return True
    if inner.mechanism is not outer.mechanism:
        return False
    return alike(outer.block_bytes, inner.block_bytes) and alike(outer.period_ms, inner.period_ms)


def _stage(progress: Progress, *, place: int, of: int, tap: Tap) -> Progress:
    """Return a progress for one tap out of several: the others are taken to last as long."""

    def tell(done_s: float, total_s: float, words: str) -> None:
        where = f"{tap.name}: {words}" if of > 1 else words
        progress(place * total_s + done_s, of * total_s, where)

    return tell
