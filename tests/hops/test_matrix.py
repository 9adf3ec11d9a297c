"""The zoo of real hops: every path is named for what it is, no clean one is accused, and the remedies cure."""

import sys

import pytest

from hops.judging import Judgement, Mark
from hops.matrix import CONFIGURATIONS
from hops.table import LEAST_SHARE, right, table
from hops.touring import Outcome, Toured

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

NAMES = [one.name for one in CONFIGURATIONS]
CURED = [(one.name, cure.remedy) for one in CONFIGURATIONS for cure in one.cures]
LEAST_CONFIGURATIONS = 60


def judgement_of(outcome: Outcome) -> Judgement:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@pytest.mark.parametrize("name", NAMES)
async def test_a_path_is_known_for_what_it_is(toured: Toured, name: str) -> None:
    """The doctor names the mechanism and has the hop among its first three suspects, or acquits a clean path."""
    judgement = judgement_of(toured.outcomes[name])
    assert judgement.mark in {Mark.NAMED, Mark.SUSPECTED}, judgement.fault


@pytest.mark.parametrize(("name", "remedy"), CURED)
async def test_a_remedy_cures(toured: Toured, name: str, remedy: str) -> None:
    """With the remedy of the knowledge base in the configuration, the same stream flows."""
    assert remedy not in (faults := judgement_of(toured.outcomes[name]).cure_faults), faults[remedy]


async def test_the_table(toured: Toured) -> None:
    """At least 97 % of at least 60 paths are named, mechanism and hop, and no clean path is accused."""
    judgements = [judgement_of(outcome) for outcome in toured.outcomes.values()]
    sys.stdout.write(f"\n{table(judgements)}\n{toured.repeated} diagnoses were made again\n")
    assert len(judgements) >= LEAST_CONFIGURATIONS
    assert not [one.name for one in judgements if one.mark is Mark.ACCUSED]
    assert right(judgements) >= LEAST_SHARE, table(judgements)
