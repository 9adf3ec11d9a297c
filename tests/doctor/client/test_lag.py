"""The watcher of the prober's own event loop."""

import pytest

from instrument.lab import until
from streamgap.doctor.client.lag import TICK_S, Lag


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_tick_that_is_overdue_is_told_to_every_watch() -> None:
    """Each is told what happened in its own time, even while the loop still hangs."""
    clock = Clock()
    async with Lag(clock) as lag:
        with lag.watch() as first:
            assert first.worst_ms == pytest.approx(0)
            clock.now_s += TICK_S + 0.3
            assert first.worst_ms == pytest.approx(300)
            with lag.watch() as second:
                assert second.worst_ms == pytest.approx(0)
                clock.now_s += 0.05
                assert second.worst_ms == pytest.approx(50)
                assert first.worst_ms == pytest.approx(350)


async def test_the_worst_is_kept_when_the_loop_runs_again() -> None:
    """A late tick is noted by itself, and the next one is due anew."""
    clock = Clock()
    async with Lag(clock) as lag:
        with lag.watch() as watch:
            due_s = lag.due_s
            clock.now_s += TICK_S + 0.2
            await until(lambda: lag.due_s != due_s)
            assert lag.due_s == pytest.approx(clock.now_s + TICK_S)
            assert watch.worst_ms == pytest.approx(200)


async def test_outside_its_block_nothing_is_late() -> None:
    """A lag that is not running has nothing to say."""
    clock = Clock()
    lag = Lag(clock)
    with lag.watch() as watch:
        clock.now_s += 5
        assert watch.worst_ms == pytest.approx(0)
