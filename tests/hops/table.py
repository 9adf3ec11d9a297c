"""The table of a run: for each family how many were named, suspected, wrong; and what was said of each that was not."""

from collections import Counter
from collections.abc import Sequence

from hops.judging import Judgement, Mark

LEAST_SHARE = 0.97


def table(judgements: Sequence[Judgement]) -> str:
    """Return the table of a run, and below it every configuration that was not named."""
    families: dict[str, list[Judgement]] = {}
    for one in judgements:
        families.setdefault(one.examined.configuration.family, []).append(one)
    head = f"{'family':<14}{'paths':>6}{'named':>7}{'first three':>13}{'wrong':>7}{'cured':>9}"
    lines = [head, *(_row(name, of) for name, of in sorted(families.items())), _row("all", judgements)]
    lines += [f"\n{one.name}: {one.mark}\n  {one.fault}" for one in judgements if one.mark is not Mark.NAMED]
    lines += [f"\n{one.name}: not cured\n  {fault}" for one in judgements for fault in one.cure_faults.values()]
    return "\n".join(lines)


def right(judgements: Sequence[Judgement]) -> float:
    """Return the share of configurations whose mechanism and hop were named."""
    return sum(one.mark is Mark.NAMED for one in judgements) / len(judgements)


def _row(name: str, judgements: Sequence[Judgement]) -> str:
    marks = Counter(one.mark for one in judgements)
    cures = sum(len(one.examined.cured) for one in judgements)
    cured = f"{cures - sum(len(one.cure_faults) for one in judgements)}/{cures}"
    wrong = marks[Mark.WRONG] + marks[Mark.ACCUSED]
    return f"{name:<14}{len(judgements):>6}{marks[Mark.NAMED]:>7}{marks[Mark.SUSPECTED]:>13}{wrong:>7}{cured:>9}"
