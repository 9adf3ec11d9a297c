"""What a rule comes to for one endpoint."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`not applicable`: the rule has no subject here. `inconclusive`: it has, but what came does not decide it."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and what was sent and what came that it rests on."""

    verdict: Verdict
    evidence: str


def holds(evidence: str) -> Finding:
    """Say that the rule holds."""
    return Finding(Verdict.HOLDS, evidence)


def broken(evidence: str) -> Finding:
    """Say that the rule is broken."""
    return Finding(Verdict.BROKEN, evidence)


def not_applicable(evidence: str) -> Finding:
    """Say that there is nothing the rule could be about."""
    return Finding(Verdict.NOT_APPLICABLE, evidence)


def inconclusive(evidence: str) -> Finding:
    """Say that what came decides nothing, and what would."""
    return Finding(Verdict.INCONCLUSIVE, evidence)
