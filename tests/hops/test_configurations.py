"""The zoo's configurations as values: what can be told without starting anything."""

from collections import Counter

import pytest

from hops.configuration import Configuration, Cure
from hops.matrix import CONFIGURATIONS
from hops.remedies import lines_of, merged
from streamgap.core.mechanism import CODES, Severity
from streamgap.doctor.knowledge import load_hops

CURES = [cure for one in CONFIGURATIONS for cure in one.cures]
GUILTY = [one for one in CONFIGURATIONS if not one.truth.clean]


def name_of(configuration: Configuration) -> str:
    return configuration.name


def test_names_are_unique() -> None:
    """Each configuration has a name of its own."""
    names = Counter(map(name_of, CONFIGURATIONS))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("cure", CURES, ids=lambda cure: f"{cure.hop}-{cure.remedy}")
def test_a_cure_proves_a_remedy_that_exists(cure: Cure) -> None:
    """What a cured configuration claims to prove is a remedy of the knowledge base."""
    assert lines_of(cure.hop, cure.remedy)


@pytest.mark.parametrize("configuration", GUILTY, ids=name_of)
def test_a_guilty_hop_is_in_the_knowledge_base(configuration: Configuration) -> None:
    """Whoever is to be named has a name in the knowledge base, and what it does counts as holding."""
    known = {hop.name for hop in load_hops()}
    assert set(configuration.truth.hops) <= known
    assert {CODES[one].severity for one in configuration.truth.mechanisms} == {Severity.HELD}


def test_a_remedy_takes_the_place_of_what_sets_the_same() -> None:
    """A directive of the remedy replaces the configuration's own, and leaves the others alone."""
    lines = "proxy_http_version 1.0; proxy_buffering on; add_header X-Kept 1;"
    cured = merged(lines, hop="nginx", remedies=("proxy-buffering-off",))
    assert "proxy_buffering on;" not in cured
    assert "add_header X-Kept 1;" in cured
    assert cured.count("proxy_http_version") == 1
    assert lines_of("nginx", "proxy-buffering-off").strip() in cured
