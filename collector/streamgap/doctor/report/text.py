"""The diagnosis for a person at a terminal: what happened, where, what to do, and the page that explains it."""

from collections.abc import Iterator
from statistics import mean
from textwrap import TextWrapper, indent

from streamgap.core.hops import Remedy, Suspect
from streamgap.core.mechanism import Finding, Severity
from streamgap.core.pages import code_page, hop_page
from streamgap.core.probe import Probe
from streamgap.core.showing import harmless, shown
from streamgap.doctor.path import Charge, Diagnosis, Examined, Verdict
from streamgap.doctor.report.picture import sparkline, staircase

_COLOUR = {Verdict.FLOWING: "32", Verdict.HELD: "31", Verdict.DOUBTFUL: "33", Verdict.UNREACHABLE: "33"}
LIKELY = 0.5
_SUSPECTS_TOLD = 3
_EVIDENCE_TOLD = 6
_NAME_WIDTH = 26


def text(diagnosis: Diagnosis, *, colours: bool, width: int) -> str:
    """Return the report: the verdict, each charge with evidence, suspects and remedies, and the pictures."""
    lines = [_headline(diagnosis, colours=colours), ""]
    for charge in diagnosis.charges:
        lines += _told(charge, width=width)
    lines += _without_charge(diagnosis, width=width)
    for examined in diagnosis.taps:
        lines += _pictures(examined, width=width)
    return "\n".join(lines)


def _headline(diagnosis: Diagnosis, *, colours: bool) -> str:
    url = shown(diagnosis.taps[-1].tap.url, at_most=200)[1:-1]
    said = f"{diagnosis.verdict.upper()}  {url}"
    return f"\x1b[1;{_COLOUR[diagnosis.verdict]}m{said}\x1b[0m" if colours else said


def _told(charge: Charge, *, width: int) -> Iterator[str]:
    finding = charge.finding
    likely = next((one for one in charge.suspects if one.hop and one.confidence >= LIKELY), None)
    named = f"{likely.title}: " if likely is not None else ""
    yield f"{finding.code.code} {named}{summary(finding)}"
    yield f"  where: {_place(charge)}"
    yield from _bulleted(finding.evidence[:_EVIDENCE_TOLD], width=width, indented=2)
    for number, suspect in enumerate(charge.suspects[:_SUSPECTS_TOLD], start=1):
        yield from _suspect(number, suspect, width=width)
    yield f"  more: {code_page(finding.code.code)}"
    yield ""


def summary(finding: Finding) -> str:
    """Return a finding in one line: what, how much, how sure."""
    detail = [finding.code.title]
    if finding.block_bytes is not None:
        detail.append(f"{finding.block_bytes:,} bytes each")
    if finding.period_ms is not None:
        detail.append(f"every {finding.period_ms:.0f} ms")
    if finding.hold_ms >= 1:
        detail.append(f"up to {finding.hold_ms / 1000:.2f} s late")
    detail.append(f"{finding.confidence:.0%} sure")
    return ", ".join(detail)


def _place(charge: Charge) -> str:
    if charge.inner:
        return f"between {charge.inner} and {charge.tap}"
    return f"between the app and {charge.tap}, the app's own server and middleware included"


def _suspect(number: int, suspect: Suspect, *, width: int) -> Iterator[str]:
    yield f"  {number}. {suspect.title}, {suspect.confidence:.0%}"
    yield from _bulleted(suspect.because, width=width, indented=5)
    for remedy in suspect.remedies[:2]:
        yield from _remedy(remedy)
    if suspect.hop:
        yield f"     see: {hop_page(suspect.hop)}"


def _remedy(remedy: Remedy) -> Iterator[str]:
    proof = " (proven by a test)" if remedy.proven else ""
    yield f"     to free it, in {remedy.place}{proof}:"
    yield indent(remedy.lines.strip("\n"), " " * 9)
    if remedy.note:
        yield f"       {remedy.note}"


def _without_charge(diagnosis: Diagnosis, *, width: int) -> Iterator[str]:
    """Tell the findings of the outermost tap that accuse nobody."""
    charged = {charge.finding.mechanism for charge in diagnosis.charges}
    for finding in diagnosis.outermost.findings:
        if finding.mechanism not in charged:
            yield f"{finding.code.code} {summary(finding)}"
            yield from _bulleted(finding.evidence[:_EVIDENCE_TOLD], width=width, indented=2)
            if finding.code.severity is not Severity.FLOWING:
                yield f"  more: {code_page(finding.code.code)}"
            yield ""


def _bulleted(sentences: tuple[str, ...], *, width: int, indented: int) -> Iterator[str]:
    wrapper = TextWrapper(
        width,
        initial_indent=" " * indented + "· ",
        subsequent_indent=" " * (indented + 2),
        break_on_hyphens=False,
        break_long_words=False,
    )
    for sentence in sentences:
        yield wrapper.fill(harmless(sentence))


def _pictures(examined: Examined, *, width: int) -> Iterator[str]:
    """Draw the probe with most between its stairs, and every probe as a line of its own."""
    probes = examined.examination.probes
    yield f"{examined.tap.name}: {shown(examined.tap.url, at_most=200)[1:-1]}"
    for sighting in examined.sightings:
        yield f"  on the path: {sighting.title} ({harmless('; '.join(sighting.evidence))})"
    drawn = max(probes, key=_between)
    if drawn.events:
        yield f"  {drawn.asked.name}: · written, █ has come"
    yield from (f"  {line}" for line in staircase(drawn, width=min(width - 6, 96)))
    yield from (f"  {_row(probe, width=width)}" for probe in probes)
    yield ""


def _row(probe: Probe, *, width: int) -> str:
    cells = max(min(width - _NAME_WIDTH - 40, 60), 10)
    name = f"{probe.asked.name:<{_NAME_WIDTH}}"
    if not probe.events:
        return f"{name}{shown(probe.failure or f'status {probe.status}, no event', at_most=width)[1:-1]}"
    times_ms = [event.came_ms for event in probe.events]
    drawn = sparkline(times_ms, count=probe.expected or len(times_ms), end_ms=probe.end_ms, cells=cells)
    coding = shown(probe.encoding, at_most=12)[1:-1] or "identity"
    return f"{name}{drawn}  {times_ms[0] / 1000:5.2f} s to {times_ms[-1] / 1000:5.2f} s{_late(probe)}, {coding}"


def _between(probe: Probe) -> float:
    """Return the area between the stairs of what was written and what has come, as a share of the picture."""
    if not (delays_ms := _delays_ms(probe)):
        return 0.0
    return (mean(delays_ms) - min(delays_ms)) / max(probe.end_ms, 1.0)


def _delays_ms(probe: Probe) -> list[float]:
    return [event.came_ms - event.wrote_ms for event in probe.events if event.wrote_ms is not None]


def _late(probe: Probe) -> str:
    """Return how late the latest event was, as words; "" where the app did not say when it wrote."""
    delays_ms = _delays_ms(probe)
    return f", {(max(delays_ms) - min(delays_ms)) / 1000:5.2f} s late" if delays_ms else ""
