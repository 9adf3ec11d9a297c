"""Single signs for and against one habit of one program, each a factor on the odds and a sentence.

A factor above 1 speaks for the habit, below 1 against it. The figures are how many times oftener a sign is seen where
the habit is the cause than where it is not, judged on measured paths (docs/hops/README.md says how they combine).
"""

from collections.abc import Callable, Iterator

import msgspec

from streamgap.core.hops import Habit
from streamgap.core.mechanism import Finding, Mechanism
from streamgap.core.probe import Hint
from streamgap.core.showing import shown
from streamgap.core.suspects.case import Case, short
from streamgap.core.suspects.versions import within

AGAINST = 0.05  # the habit cannot do this
UNLIKELY = 0.2  # it can, behind another hop that hides the sign
SWALLOWED = 0.1  # its hint did not help: another hop kept the hint from it, or it is not this one
NOT_MEASURED = 0.6  # the habit has a mark that the probes did not look for, or a stream too short to show
NARROW_SHARE = 0.25  # a range of sizes or times narrower than this share of its middle is a fingerprint
NEAR_SHARE = 0.15  # this far outside of a range a figure decides nothing: a loaded machine moves it
FINGERPRINT, RANGE = 8.0, 2.0
DISTINGUISHED = 4.0  # held under these and, tried, not under others

# Most that collect a whole response send its headers with it, most compressors at once: the other way tells more.
HEAD_FITS = {(Mechanism.WHOLE, "early"): 3.0, (Mechanism.COMPRESSOR, "late"): 3.0}
HEAD_USUAL, HEAD_OTHER = 1.2, 1 / 3
HEADED = frozenset({Mechanism.WHOLE, Mechanism.COMPRESSOR})

# Freed by this header of the app, which few programs obey: the factor where the habit is known to be.
FREED = {Hint.X_ACCEL: 15.0, Hint.NO_TRANSFORM: 3.0, Hint.IDENTITY: 2.0, Hint.OPENING: 1.5, Hint.INCREMENTAL: 3.0}
DISTINCT = frozenset({Hint.X_ACCEL, Hint.NO_TRANSFORM, Hint.IDENTITY})
# Freed by it although the habit is not known to be: nothing but an nginx obeys X-Accel-Buffering by chance.
FREED_UNKNOWN = {Hint.X_ACCEL: 0.02}
HINT_SAID = {
    Hint.OPENING: "an opening comment",
    Hint.X_ACCEL: "`X-Accel-Buffering: no`",
    Hint.NO_TRANSFORM: "`Cache-Control: no-transform`",
    Hint.IDENTITY: "`Content-Encoding: identity`",
    Hint.INCREMENTAL: "`Incremental: ?1`",
}


class Sign(msgspec.Struct, frozen=True):
    """A factor on the odds of one habit and why. A `specific` sign tells it from other programs' habits."""

    factor: float
    says: str = ""
    specific: bool = False


def signs(habit: Habit, *, case: Case, version: str = "") -> Iterator[Sign]:
    """Yield every sign that the case holds about a habit. `version` is the program's where a trace told it."""
    for look in _LOOKS:
        if sign := look(habit, case):
            yield sign
    yield from _hints(habit, case.finding)
    if habit.versions and version and not within(version, habit.versions):
        yield Sign(UNLIKELY, f"but that is known of versions {habit.versions}, and this says {version}")


def _protocols(habit: Habit, case: Case) -> Sign | None:
    held = frozenset(case.finding.protocols) or case.protocols
    return _among(frozenset(habit.protocols), held, case.protocols, said="over")


def _methods(habit: Habit, case: Case) -> Sign | None:
    held = frozenset(case.finding.methods) or case.methods
    return _among(frozenset(habit.methods), held, case.methods, said="for")


def _among(mine: frozenset[str], held: frozenset[str], tried: frozenset[str], *, said: str) -> Sign | None:
    """Judge what a habit holds (empty: everything) against what was held of what was tried."""
    spared = tried - held
    if not held or (not mine and not spared):
        return None
    names = ", ".join(sorted(held))
    if not mine:
        return Sign(UNLIKELY, f"but it would hold {', '.join(sorted(spared))} as well")
    if held - mine:
        return Sign(UNLIKELY, f"but it does not hold {', '.join(sorted(held - mine))}")
    if spared & mine:
        return Sign(UNLIKELY, f"but it would hold {', '.join(sorted(spared & mine))} as well")
    if not spared:
        return None
    return Sign(
        DISTINGUISHED, f"held {said} {names} and not {said} {', '.join(sorted(spared))}, as it does", specific=True
    )


def _encodings(habit: Habit, case: Case) -> Sign | None:
    held = {coding for coding in case.finding.encodings if coding != "identity"} or (case.codings - {""})
    if not habit.encodings or not case.codings:
        return None
    if not held:
        return Sign(AGAINST, "but nothing came back compressed")
    mine = held.intersection(habit.encodings)
    if not mine:
        return Sign(AGAINST, f"but it does not compress with {', '.join(shown(one) for one in sorted(held)[:3])}")
    spared = (case.codings - {""} - held).difference(habit.encodings)
    factor = DISTINGUISHED if spared else 1.0
    return Sign(factor, f"held under {', '.join(sorted(mine))}, which it compresses", specific=bool(spared))


def _block(habit: Habit, case: Case) -> Sign | None:
    seen = case.finding.block_bytes
    if habit.block_bytes is None:
        return None if seen is None else Sign(NOT_MEASURED)
    if seen is None:
        return Sign(NOT_MEASURED)
    return _inside(habit.block_bytes, seen, said=f"blocks of {seen:,} bytes")


def _period(habit: Habit, case: Case) -> Sign | None:
    seen = case.finding.period_ms
    if habit.period_ms is None or seen is None:
        return None
    return _inside(habit.period_ms, seen, said=f"a release every {seen:.0f} ms")


def _inside(span: tuple[float, float], seen: float, *, said: str) -> Sign | None:
    low, high = span
    if low <= seen <= high:
        narrow = high - low <= NARROW_SHARE * high
        return Sign(FINGERPRINT if narrow else RANGE, f"{said}, as it makes", specific=narrow)
    if (1 - NEAR_SHARE) * low <= seen <= (1 + NEAR_SHARE) * high:
        return None
    return Sign(AGAINST, f"but it does not make {said} (it makes {low:,.0f} to {high:,.0f})")


def _request_protocol(habit: Habit, case: Case) -> Sign | None:
    if not habit.request_protocol or not case.request_protocols:
        return None
    if short(habit.request_protocol) in case.request_protocols:
        return Sign(DISTINGUISHED, f"the app saw {habit.request_protocol}, as it asks for", specific=True)
    return Sign(AGAINST, f"but the app did not see {habit.request_protocol}")


def _head(habit: Habit, case: Case) -> Sign | None:
    """Judge when the headers of a stream came whose events were held to the end."""
    mechanism = case.finding.mechanism
    if not habit.head or not case.head or mechanism not in HEADED:
        return None
    when = "long before the first event" if case.head == "early" else "with the first event"
    if habit.head != case.head:
        return Sign(HEAD_OTHER, f"but the headers came {when}")
    return Sign(HEAD_FITS.get((mechanism, case.head), HEAD_USUAL), f"the headers came {when}, as they do there")


_LOOKS: tuple[Callable[[Habit, Case], Sign | None], ...] = (
    _block,
    _period,
    _protocols,
    _encodings,
    _methods,
    _request_protocol,
    _head,
)


def _hints(habit: Habit, finding: Finding) -> Iterator[Sign]:
    if _idle(finding):
        return
    for hint in finding.freed_by:
        said = HINT_SAID[hint]
        if hint in habit.freed_by:
            yield Sign(FREED[hint], f"{said} frees it", specific=hint in DISTINCT)
        elif hint in habit.not_freed_by:
            yield Sign(AGAINST, f"but {said} freed the stream, and does not free this")
        else:
            yield Sign(FREED_UNKNOWN.get(hint, NOT_MEASURED))
    for hint in finding.not_freed_by:
        said = HINT_SAID[hint]
        if hint in habit.not_freed_by:
            yield Sign(1.0, f"{said} does not free it, as is known of this")
        elif hint in habit.freed_by:
            yield Sign(SWALLOWED, f"but {said} did not free it: it does not get there, or this is another")


def _idle(finding: Finding) -> bool:
    """Return whether the hints tell nothing: a hold that each of them frees was gone when they were tried."""
    return not finding.not_freed_by and len(finding.freed_by) > len(DISTINCT) and Hint.OPENING in finding.freed_by
