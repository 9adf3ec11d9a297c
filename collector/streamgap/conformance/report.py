"""What a person, or a program, gets to read."""

import json
from collections.abc import Sequence
from textwrap import TextWrapper

from streamgap.conformance.findings import Finding, Verdict
from streamgap.conformance.rules import Rule

Judged = Sequence[tuple[Rule, Finding]]

_COLOURS = {Verdict.HOLDS: "32", Verdict.BROKEN: "31", Verdict.INCONCLUSIVE: "33", Verdict.NOT_APPLICABLE: "2"}
_INDENT = " " * 21


def exit_status(judged: Judged) -> int:
    """Return 1 where a rule is broken, 3 where one could not be decided, else 0."""
    verdicts = {finding.verdict for _, finding in judged}
    if Verdict.BROKEN in verdicts:
        return 1
    return 3 if Verdict.INCONCLUSIVE in verdicts else 0


def table(judged: Judged, *, colours: bool, width: int) -> str:
    """Return one line per rule, with the evidence below those that do not simply hold, and a line that counts."""
    lines = []
    wrapper = TextWrapper(width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False)
    for rule, finding in judged:
        lines.append(f"{rule.code}  {_verdict(finding.verdict, colours=colours)}  {rule.statement}")
        if finding.verdict is not Verdict.HOLDS:
            lines.append(wrapper.fill(finding.evidence))
    counts = {verdict: sum(finding.verdict is verdict for _, finding in judged) for verdict in Verdict}
    return "\n".join([*lines, "", ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count), ""])


def document(judged: Judged, *, url: str, requests: int) -> str:
    """Return everything as one line of JSON."""
    rules = [
        {"code": rule.code, "verdict": finding.verdict, "statement": rule.statement, "evidence": finding.evidence}
        for rule, finding in judged
    ]
    return json.dumps({"url": url, "requests": requests, "rules": rules}) + "\n"


def _verdict(verdict: Verdict, *, colours: bool) -> str:
    padded = f"{verdict:<14}"
    return f"\x1b[{_COLOURS[verdict]}m{padded}\x1b[0m" if colours else padded
