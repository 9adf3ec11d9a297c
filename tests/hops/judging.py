"""Holds a diagnosis against what is true of the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hops.configuration import Truth
from hops.examining import Examined
from streamgap.core.mechanism import Finding, Mechanism
from streamgap.doctor.examine import accuses
from streamgap.doctor.path import Charge, Diagnosis, Verdict

SURE = 0.5
FIRST = 3


class Mark(StrEnum):
    """How right a diagnosis is."""

    NAMED = "named"
    SUSPECTED = "in the first three"
    WRONG = "wrong"
    ACCUSED = "a clean path accused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The mark of one configuration, what was said in short, what is wrong with it ("": nothing), and with cures."""

    examined: Examined
    mark: Mark
    said: str
    fault: str = ""
    cure_faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.examined.configuration.name


def judge(examined: Examined) -> Judgement:
    """Mark a diagnosis, and say whether the cured path flows."""
    truth = examined.configuration.truth
    mark, fault = _acquitted(examined.diagnosis, truth) if truth.clean else _convicted(examined, truth)
    return Judgement(
        examined=examined, mark=mark, fault=fault, said=said(examined.diagnosis), cure_faults=_cure_faults(examined)
    )


def _cure_faults(examined: Examined) -> dict[str, str]:
    """Return what is wrong with each cured path, by the remedy; only the path with the remedy has to flow."""
    faults = {}
    for cure, diagnosis in zip(examined.configuration.cures, examined.cured, strict=True):
        mark, fault = _acquitted(diagnosis, None)
        if mark is not Mark.NAMED:
            faults[cure.remedy] = f"{cure.hop}'s remedy {cure.remedy!r} is in place, and yet: {fault}"
    return faults


def said(diagnosis: Diagnosis) -> str:
    """Return a diagnosis in one line."""
    charges = "; ".join(_charge_said(charge) for charge in diagnosis.charges)
    findings = ", ".join(_finding_said(one) for one in diagnosis.outermost.findings)
    return f"{diagnosis.verdict}: {charges or findings}"


def _acquitted(diagnosis: Diagnosis, truth: Truth | None) -> tuple[Mark, str]:
    accused = [charge for charge in diagnosis.charges if accuses(charge.finding)]
    if accused:
        return Mark.ACCUSED, f"expected nobody to be accused, got {_charge_said(accused[0])}"
    noted = truth.notes if truth is not None else frozenset()
    leading = diagnosis.outermost.findings[0].mechanism
    if diagnosis.verdict is Verdict.FLOWING or leading in noted:
        return Mark.NAMED, ""
    return Mark.WRONG, f"expected {', '.join(['flowing', *sorted(noted)])}, got {said(diagnosis)}"


def _convicted(examined: Examined, truth: Truth) -> tuple[Mark, str]:
    charges = [charge for charge in examined.diagnosis.charges if accuses(charge.finding)]
    truths = (truth, *truth.also)
    marks = [_mark_of(charges, one, place=_place(examined, one)) for one in truths]
    elsewhere = {charge.tap for charge in charges} - {_place(examined, one) for one in truths}
    mark = Mark.WRONG if Mark.WRONG in marks else Mark.SUSPECTED
    if set(marks) == {Mark.NAMED} and not elsewhere:
        return Mark.NAMED, ""
    return mark, f"expected {' and '.join(map(_expected, truths))}, got {said(examined.diagnosis)}"


def _mark_of(charges: Sequence[Charge], truth: Truth, *, place: str) -> Mark:
    """Mark what is said of one tap: named where its first charge and the first suspect of that are right."""
    here = [charge for charge in charges if charge.tap == place]
    fitting = next((charge for charge in here if _fits(charge.finding, truth)), None)
    if fitting is None or (rank := _rank(fitting, truth)) >= FIRST:
        return Mark.WRONG
    return Mark.NAMED if rank == 0 and fitting is here[0] else Mark.SUSPECTED


def _place(examined: Examined, truth: Truth) -> str:
    return examined.taps[truth.tap].netloc


def _expected(truth: Truth) -> str:
    return f"{' or '.join(sorted(truth.mechanisms))} at {' or '.join(truth.hops) or 'no known hop'} (tap {truth.tap})"


def _rank(charge: Charge, truth: Truth) -> int:
    """Return the place of the right hop among the suspects; for one not listed, whether nobody else is named."""
    names = [suspect.hop for suspect in charge.suspects]
    if truth.unlisted:
        sure = [one.hop for one in charge.suspects if one.hop and one.confidence >= SURE]
        return 0 if set(sure) <= set(truth.hops) else FIRST
    return next((place for place, name in enumerate(names) if name in truth.hops), len(names) + FIRST)


def _fits(finding: Finding, truth: Truth) -> bool:
    if finding.mechanism not in truth.mechanisms:
        return False
    if finding.mechanism is Mechanism.BLOCKS and truth.block_bytes is not None:
        return finding.block_bytes is not None and truth.block_bytes[0] <= finding.block_bytes <= truth.block_bytes[1]
    if finding.mechanism is Mechanism.TIMER and truth.period_ms is not None:
        return finding.period_ms is not None and truth.period_ms[0] <= finding.period_ms <= truth.period_ms[1]
    return True


def _charge_said(charge: Charge) -> str:
    suspects = ", ".join(f"{one.hop or 'unknown'} {one.confidence:.2f}" for one in charge.suspects[:FIRST])
    return f"{_finding_said(charge.finding)} at {charge.tap} [{suspects}]"


def _finding_said(finding: Finding) -> str:
    size = f" {finding.block_bytes} B" if finding.block_bytes is not None else ""
    period = f" {finding.period_ms:.0f} ms" if finding.period_ms is not None else ""
    return f"{finding.mechanism}{size}{period} {finding.confidence:.2f}"
