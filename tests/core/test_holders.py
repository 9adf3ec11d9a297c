"""What each way of holding does to a stream of events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgap.core.diagnosis.holders import (
    Blocks,
    Chain,
    Count,
    FirstBytes,
    Flow,
    Grid,
    Holder,
    OneBehind,
    SlowLink,
    Stream,
    Throttle,
    Timer,
    Whole,
)

# Six events of 100 bytes, one every 50 ms.
STREAM = Stream([0.0, 50.0, 100.0, 150.0, 200.0, 250.0], [100.0, 200.0, 300.0, 400.0, 500.0, 600.0])
EXAMPLES: list[tuple[Holder, list[float]]] = [
    (Flow(), [0, 50, 100, 150, 200, 250]),
    (Whole(), [250, 250, 250, 250, 250, 250]),
    (Whole(after=2), [0, 50, 250, 250, 250, 250]),
    (OneBehind(), [50, 100, 150, 200, 250, 250]),
    (Count(4), [150, 150, 150, 150, 250, 250]),
    (FirstBytes(250.0), [100, 100, 100, 150, 200, 250]),
    (Blocks(250.0), [100, 100, 200, 200, 200, 250]),
    (Blocks(250.0, before=50.0), [50, 50, 200, 200, 250, 250]),
    (Blocks(250.0, "below"), [100, 100, 200, 200, 250, 250]),
    (Blocks(250.0, "above"), [100, 100, 100, 250, 250, 250]),
    (Timer(100.0), [100, 100, 100, 250, 250, 250]),
    (Timer(100.0, cap_bytes=200.0), [50, 50, 150, 150, 250, 250]),
    (Timer(100.0, begun_ms=-60.0), [40, 150, 150, 150, 250, 250]),
    (Grid(120.0, 20.0), [20, 140, 140, 250, 250, 250]),
    (Throttle(120.0), [0, 120, 120, 240, 240, 250]),
    (SlowLink(1.0), [100, 200, 300, 400, 500, 600]),
    (Chain(Blocks(200.0), Timer(80.0)), [130, 130, 230, 230, 250, 250]),
]
sizes = st.lists(st.integers(1, 3000), min_size=1, max_size=60)
gaps = st.lists(st.floats(0.0, 400.0), min_size=60, max_size=60)


@pytest.mark.parametrize(("holder", "out"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_what_comes_out(holder: Holder, out: list[float]) -> None:
    """Each holder lets the example's events through at these times."""
    assert holder.passed(STREAM) == out


@settings(derandomize=True, deadline=None)
@given(sizes, gaps, st.sampled_from([holder for holder, _ in EXAMPLES]))
def test_nothing_comes_before_it_went_in_nor_out_of_order(lengths: list[int], waits: list[float], one: Holder) -> None:
    """Whatever the stream, every event comes out once, in order, not before it went in."""
    at, ends = [], []
    now, end = 0.0, 0.0
    for length, wait in zip(lengths, waits, strict=False):
        now, end = now + wait, end + length
        at.append(now)
        ends.append(end)
    out = one.passed(Stream(at, ends))
    assert len(out) == len(at)
    assert all(came >= went - 1e-6 for came, went in zip(out, at, strict=True))
    assert out == sorted(out)
