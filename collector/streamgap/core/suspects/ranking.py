"""Who may be the hop that a finding speaks of, how likely, and what frees the stream if it is.

Each habit of each known program starts at odds of its `prior`, times one factor for each sign (signs.py), times
what the program's traces say. An unknown hop has odds of 1. A program's confidence is

    finding.confidence · odds ÷ (1 + Σ odds of all programs' best habits)

so it is never more than the finding's own, several programs that fit alike share it, and something that was not thought
of always keeps its part. Example: `server: nginx` (strength 0.75: odds × 4), blocks of 16,384 bytes (× 8), over TLS and
not over h2 (× 4), freed by X-Accel-Buffering (× 15): odds 0.9 · 1920 = 1728 against 1, confidence 0.95 · 0.99.

To be on the path is not to be guilty: all traces together count for no more than × 4, or × 12 where they are new
outside of a tap that flows (presence.py). A program without any trace whose habit tells it from no other stays
below 0.3 whoever it competes with.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from streamgap.core.hops import Habit, Hop, Suspect, Timer
from streamgap.core.mechanism import CODES, Finding, Mechanism, Severity
from streamgap.core.probe import Probe
from streamgap.core.suspects.case import Case, case_of
from streamgap.core.suspects.presence import Scene, Sighted, scene_of, sighted_in
from streamgap.core.suspects.sightings import Sighting, traced
from streamgap.core.suspects.signs import DISTINGUISHED, FINGERPRINT, NOT_MEASURED, UNLIKELY, Sign, signs

__all__ = ["Sighting", "suspects", "traced"]

UNKNOWN_ODDS = 1.0
TIMER_PRIOR = 0.5
GENERIC_ODDS = 0.4  # 0.4 ÷ (1 + 0.4) < 0.3
WORTH_NAMING = 0.02
UNNAMED_CONFIDENCE = 0.3
# What looks alike on a stream that is too short, or was not tried with and without: habits of these fit too, less well.
KIN: dict[Mechanism, dict[Mechanism, float]] = {
    Mechanism.WHOLE: {Mechanism.BLOCKS: 0.5, Mechanism.COMPRESSOR: 0.3},
    Mechanism.FIRST_BYTES: {Mechanism.BLOCKS: 0.3},
    Mechanism.CUT: {Mechanism.IDLE_CUT: 0.5, Mechanism.AGE_CUT: 0.5},
}
TIMED = {"idle": Mechanism.IDLE_CUT, "age": Mechanism.AGE_CUT}
# A measured timer is the default one within this share of it; some cut the client 1 s after the app (Envoy).
NEAR, NEAR_LATE_S = 0.05, 1.0
# What so few programs do that the mechanism alone tells them from others.
RARE = frozenset({Mechanism.ONE_BEHIND, Mechanism.LOST_EVENTS})


class _Weight(NamedTuple):
    """One program's best case: its odds and the sentences for them, strongest first."""

    hop: Hop
    odds: float
    because: tuple[str, ...]
    habit: str
    remedies: tuple[str, ...]


def suspects(
    finding: Finding,
    *,
    probes: Sequence[Probe],
    hops: Sequence[Hop],
    inner: Sequence[Probe] = (),
    innermost: bool = False,
    limit: int = 5,
) -> tuple[Suspect, ...]:
    """Return who may be the cause of a held finding, likeliest first; () for one that accuses no hop.

    `inner` are the probes of the next tap inside, which flows: only traces that are new outside of it count.
    `innermost` says that this tap is the innermost of several. For cuts `finding.period_ms` is the age or silence at
    which the stream was cut. Where no program fits, one Suspect without a name describes what is known of the hop.
    """
    if not _accuses(finding):
        return ()
    case = case_of(finding, probes)
    scene = scene_of(probes, hops=hops, inner=inner, innermost=innermost)
    weights = [weight for hop in hops if (weight := _best(hop, case, scene)) is not None]
    total = UNKNOWN_ODDS + sum(weight.odds for weight in weights)
    ranked = sorted(weights, key=lambda weight: (-weight.odds, weight.hop.name))
    named = [_suspect(weight, finding.confidence * weight.odds / total) for weight in ranked[:limit]]
    worth = tuple(suspect for suspect in named if suspect.confidence >= WORTH_NAMING)
    return worth or (_unnamed(finding),)


def _accuses(finding: Finding) -> bool:
    late = finding.mechanism is Mechanism.LATE_HEADERS
    return late or CODES[finding.mechanism].severity is Severity.HELD or finding.mechanism is Mechanism.UNKNOWN


def _best(hop: Hop, case: Case, scene: Scene) -> _Weight | None:
    """Return a program's likeliest way to have done it, None where it has none."""
    sighted = sighted_in(hop, scene)
    habits = (_weigh(hop, habit, sighted, case=case) for habit in hop.habits)
    timers = (_timed(hop, timer, sighted, finding=case.finding) for timer in hop.timers)
    fitting = [weight for weight in chain(habits, timers) if weight is not None]
    return max(fitting, key=lambda weight: weight.odds, default=None)


def _weigh(hop: Hop, habit: Habit, sighted: Sighted, *, case: Case) -> _Weight | None:
    asked = case.finding.mechanism
    kinship = 1.0 if habit.mechanism is asked else KIN.get(asked, {}).get(habit.mechanism, 0.0)
    if not kinship:
        return None
    own = list(signs(habit, case=case, version=sighted.version))
    odds = habit.prior * kinship * _product(own) * _product(sighted.signs)
    if asked in RARE:
        odds *= DISTINGUISHED
    elif not sighted.new and not any(sign.specific for sign in own):
        odds = _generic(odds)
    because = (habit.because, *_sentences([*sighted.signs, *own]))
    return _Weight(hop, odds, because, habit.id, habit.remedies)


def _timed(hop: Hop, timer: Timer, sighted: Sighted, *, finding: Finding) -> _Weight | None:
    """Weigh a timer of a program against the age or silence at which the stream was cut."""
    mechanism = TIMED.get(timer.kind)
    if mechanism is None:
        return None
    kinship = 1.0 if mechanism is finding.mechanism else KIN.get(finding.mechanism, {}).get(mechanism, 0.0)
    if not kinship:
        return None
    sign = _near(timer, finding.period_ms)
    odds = TIMER_PRIOR * kinship * sign.factor * _product(sighted.signs)
    if not sighted.new:
        odds = _generic(odds)
    remedies = (timer.remedy,) if timer.remedy else ()
    return _Weight(hop, odds, _sentences([sign, *sighted.signs]), timer.directive, remedies)


def _near(timer: Timer, period_ms: float | None) -> Sign:
    if timer.default_s is None or period_ms is None:
        return Sign(NOT_MEASURED, f"`{timer.directive}` ends streams like this; what it is set to here is not known")
    cut_s = period_ms / 1000
    said = f"`{timer.directive}` is {timer.default_s:g} s by default"
    if (1 - NEAR) * timer.default_s <= cut_s <= (1 + NEAR) * timer.default_s + NEAR_LATE_S:
        return Sign(FINGERPRINT, f"{said}, and the stream was cut after {cut_s:.1f} s", specific=True)
    return Sign(UNLIKELY, f"but {said}, and the stream was cut after {cut_s:.1f} s")


def _suspect(weight: _Weight, confidence: float) -> Suspect:
    remedies = {remedy.id: remedy for remedy in weight.hop.remedies}
    return Suspect(
        hop=weight.hop.name,
        title=weight.hop.title,
        confidence=min(1.0, max(0.0, confidence)),
        because=weight.because,
        habit=weight.habit,
        remedies=tuple(remedies[name] for name in weight.remedies),
    )


def _unnamed(finding: Finding) -> Suspect:
    known = [f"{CODES[finding.mechanism].title}, by a hop that is not known"]
    if finding.block_bytes is not None:
        known.append(f"it holds blocks of {finding.block_bytes:,} bytes")
    if finding.period_ms is not None:
        known.append(f"it lets go after {finding.period_ms:.0f} ms")
    confidence = min(UNNAMED_CONFIDENCE, finding.confidence)
    return Suspect(hop="", title="an unknown hop", confidence=confidence, because=tuple(known))


def _generic(odds: float) -> float:
    """Bound odds that rest on no sign of this very program; their order stays."""
    return odds * GENERIC_ODDS / (odds + GENERIC_ODDS)


def _product(factors: Sequence[Sign]) -> float:
    product = 1.0
    for sign in factors:
        product *= sign.factor
    return product


def _sentences(told: Sequence[Sign]) -> tuple[str, ...]:
    """Return what the signs say, those for it first, the strongest of them at the front."""
    strongest = sorted((sign for sign in told if sign.says), key=lambda sign: -sign.factor)
    return tuple(dict.fromkeys(sign.says for sign in strongest))
