"""Runs begin at their own time, whatever the ones before took."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streamgap.doctor.canary.schedule import JITTER_SHARE, Schedule


def schedule(*, every_s: float = 60.0, seed: int = 7) -> Schedule:
    return Schedule(first_s=1000.0, every_s=every_s, random=Random(seed))  # noqa: S311, jitter is no secret


@given(seed=st.integers(), every_s=st.floats(1, 300))
def test_jitter_does_not_add_up(seed: int, every_s: float) -> None:
    """Run k begins at most a tenth of the interval after first + k·every, and never before."""
    made, now_s = schedule(every_s=every_s, seed=seed), 0.0
    for k in range(50):
        now_s, left_out = made.after(now_s)
        assert left_out == 0
        assert -1e-6 <= now_s - (1000.0 + k * every_s) <= JITTER_SHARE * every_s + 1e-6


@given(seed=st.integers(), took_s=st.floats(0, 1000))
def test_every_interval_is_run_or_counted(seed: int, took_s: float) -> None:
    """What a long run displaced is left out and counted: runs and gaps make up the intervals that went by."""
    made = schedule(seed=seed)
    began_s, _ = made.after(0.0)
    next_s, left_out = made.after(began_s + took_s)
    assert next_s >= began_s + took_s
    assert round((next_s - began_s) / 60.0) == left_out + 1


def test_a_run_within_its_interval_displaces_none() -> None:
    """A run of 59 s a minute is just in time."""
    made = schedule()
    began_s, _ = made.after(0.0)
    assert made.after(began_s + 50.0)[1] == 0
