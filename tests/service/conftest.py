"""Fixtures that fail the test in which the collector counted an error of its own, or lost a report uncounted."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.lab import SCRIPT, Clock
from streamgap.service.collector import Collector
from streamgap.service.joiner import Joiner
from streamgap.service.settings import Settings


def check(joiner: Joiner) -> None:
    """Every half is accounted for, and nothing of the collector's own went wrong."""
    waiting = joiner.waiting()
    assert joiner.meters.ledger.residual("server", waiting) == 0
    assert joiner.meters.ledger.residual("client", waiting) == 0
    assert joiner.meters.internal_errors.total() == 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_joiner(clock: Clock) -> Iterator[Callable[..., Joiner]]:
    """Make joiners on the test's clock; `sinks` count their errors under `join`, the rest are settings."""
    made: list[Joiner] = []

    def make(*, sinks: Any = (), pending: Any = None, **settings: Any) -> Joiner:
        joiner = Joiner(
            Settings(**settings),
            sinks=[("join", sink) for sink in sinks],
            clock=clock,
            unix_clock=clock,
            pending=pending,
        )
        made.append(joiner)
        return joiner

    yield make
    for joiner in made:
        check(joiner)


@pytest.fixture
def joiner(make_joiner: Callable[..., Joiner]) -> Joiner:
    return make_joiner()


@pytest.fixture
def make_collector(clock: Clock) -> Iterator[Callable[..., Collector]]:
    """Make whole collectors on the test's clock, with a stand-in for the script that the build makes."""
    made: list[Collector] = []

    def make(*, sinks: Any = (), **settings: Any) -> Collector:
        collector = Collector(Settings(**settings), sinks=sinks, script=SCRIPT, clock=clock, unix_clock=clock)
        made.append(collector)
        return collector

    yield make
    for collector in made:
        check(collector.joiner)
