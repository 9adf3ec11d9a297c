"""What one side says of itself: first, gaps, spread, quantiles."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgap.core.timeline import Timeline, quantile


def test_an_empty_timeline_has_no_first_chunk() -> None:
    """A stream without content has no TTFC and no spread, and asking raises nothing."""
    timeline = Timeline()
    assert timeline.first_ms is None
    assert timeline.spread_ms == 0.0


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1e6)), max_size=300))
def test_gaps_are_one_fewer_than_chunks_and_sum_to_the_spread(arrivals: list[tuple[int, float]]) -> None:
    """Every chunk but the first is one gap, none is negative, and the longest is within the spread."""
    timeline = Timeline()
    for items, at_ms in arrivals:
        timeline.arrive(items, at_ms)
    assert sum(timeline.gaps) == max(timeline.chunks - 1, 0)
    assert 0.0 <= timeline.longest_gap_ms <= timeline.spread_ms


def test_p95_of_twenty_is_not_the_maximum() -> None:
    """The naive index `int(n * .95)` returns the maximum for n ≤ 20; ours interpolates."""
    values = [float(i) for i in range(1, 21)]
    assert quantile(values, 0.95) == pytest.approx(19.05)
    assert values[int(len(values) * 0.95)] == 20.0


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60), st.integers(1, 99))
def test_quantiles_agree_with_the_standard_library(values: list[float], percent: int) -> None:
    """The definition is the inclusive method of `statistics.quantiles`."""
    expected = statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
    assert quantile(values, percent / 100) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_quantile_of_nothing_and_beside_the_range() -> None:
    """No values have no quantile, and a q outside [0, 1] is an error that names it."""
    assert quantile([], 0.5) is None
    with pytest.raises(ValueError, match=r"expected q in \[0, 1\], got 95"):
        quantile([1.0], 95)
