"""What a person, or a program, gets to read."""

from collections.abc import Iterator
from textwrap import TextWrapper, indent
from typing import Any

import msgspec

from streamgap.core.hops import Suspect
from streamgap.core.mechanism import Severity
from streamgap.core.pages import code_page
from streamgap.core.showing import harmless, shown
from streamgap.doctor.idle.fate import Outcome
from streamgap.doctor.idle.findings import about_first_byte
from streamgap.doctor.idle.result import Charge, Result
from streamgap.doctor.idle.scene import Scene

SCHEMA = 1
_COLOUR = {Severity.FLOWING: "32", Severity.HELD: "31", Severity.DOUBT: "33", Severity.NOTE: "33"}
_SUSPECTS_TOLD = 3
_WORTH_TELLING = 0.1


def text(result: Result, *, url: str, colours: bool, width: int) -> str:
    """Return the report for a terminal: each finding with its evidence and suspects, then what to do."""
    lines = [shown(url, at_most=200)[1:-1], ""]
    for charge in result.charges:
        lines += _told(charge, colours=colours, width=width)
    lines += [f"→ {harmless(sentence)}" for sentence in result.advice]
    if result.measured.lives:
        count, decided_s = len(result.measured.lives), result.measured.decided_s
        lines += ["", f"{count} streams, certain after {decided_s:.1f} s"]
    return "\n".join(lines) + "\n"


def _told(charge: Charge, *, colours: bool, width: int) -> Iterator[str]:
    finding = charge.finding
    headline = f"{finding.code.code} {finding.code.title}, {finding.confidence:.0%} sure"
    yield f"\x1b[1;{_COLOUR[finding.code.severity]}m{headline}\x1b[0m" if colours else headline
    wrapper = TextWrapper(width, initial_indent="  · ", subsequent_indent="    ", break_on_hyphens=False)
    yield from (wrapper.fill(harmless(sentence)) for sentence in finding.evidence)
    worth = [suspect for suspect in charge.suspects if suspect.confidence >= _WORTH_TELLING]
    for suspect in worth[:_SUSPECTS_TOLD]:
        yield from _suspect(suspect, width=width)
    yield f"  more: {code_page(finding.code.code)}"
    yield ""


def _suspect(suspect: Suspect, *, width: int) -> Iterator[str]:
    yield f"  {suspect.title}, {suspect.confidence:.0%}"
    wrapper = TextWrapper(width, initial_indent="    · ", subsequent_indent="      ", break_on_hyphens=False)
    yield from (wrapper.fill(harmless(sentence)) for sentence in suspect.because)
    for remedy in suspect.remedies[:1]:
        yield f"    in {remedy.place}:"
        yield indent(remedy.lines.strip("\n"), " " * 8)


def document(result: Result, *, url: str) -> str:
    """Return everything as one line of JSON; the schema is told in docs/idle.md and only ever grows."""
    measured = result.measured
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "url": url,
        "exit_status": result.exit_status,
        "longest_s": measured.plan.longest_s,
        "decided_s": measured.decided_s,
        "cut": None if measured.cut is None else msgspec.to_builtins(measured.cut),
        "first_byte": next(iter(about_first_byte(measured)), ""),
        "heartbeat_s": result.heartbeat_s,
        "advice": result.advice,
        "findings": [_charge(charge) for charge in result.charges],
        "streams": [_stream(one) for one in _outcomes(result)],
    }
    return msgspec.json.encode(made).decode() + "\n"


def _charge(charge: Charge) -> dict[str, Any]:
    code = charge.finding.code
    named = {"code": code.code, "title": code.title, "severity": code.severity}
    return {**named, **msgspec.to_builtins(charge.finding), "suspects": msgspec.to_builtins(charge.suspects)}


def _outcomes(result: Result) -> tuple[Outcome, ...]:
    measured = result.measured
    if not measured.lives:
        return ()
    return Scene.of(measured.lives, now_s=measured.decided_s, plan=measured.plan).outcomes


def _stream(outcome: Outcome) -> dict[str, Any]:
    probe = outcome.life.probe
    made = {"name": outcome.stream.name, "lasts_s": outcome.stream.lasts_s, "fate": outcome.fate}
    if probe is None:
        return made
    told = {"status": probe.status, "ending": probe.ending, "failure": probe.failure, "end_s": probe.end_ms / 1000}
    counted = {"events": len(probe.events), "comments": len(probe.comments_ms)}
    return made | told | counted | {"age_s": outcome.age_s, "gap_s": outcome.gap_s}
