"""What one probe's arrivals look like."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgap.core.diagnosis.shape import shape_of
from streamgap.core.probe import Arrival, Asked, Ending, Probe, Protocol, Read

ASKED = Asked(name="alone", protocol=Protocol.CLEAR, accept_encoding="")
offsets = st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=60).map(sorted)


def probe(
    came_ms: Sequence[float], wrote_ms: Sequence[float | None], *, size: int = 100, reads: Sequence[Read] = ()
) -> Probe:
    events = [
        Arrival(i, came, wrote, i, (i + 1) * size)
        for i, (came, wrote) in enumerate(zip(came_ms, wrote_ms, strict=True))
    ]
    return Probe(
        asked=ASKED,
        status=200,
        headers=(("content-type", "text/event-stream"),),
        events=tuple(events),
        reads=tuple(reads),
        ending=Ending.FRAMED,
        end_ms=max(came_ms, default=0.0),
    )


def test_hold_is_what_was_added_to_the_least_delay() -> None:
    """Written at 0, 50 and 100 ms, all there at 130 ms: held for 100, 50 and 0 ms, in one release."""
    shape = shape_of(probe([130.0, 130.0, 130.0], [0.0, 50.0, 100.0]))
    assert shape.holds_ms == (100.0, 50.0, 0.0)
    assert shape.delay_ms == 30.0
    assert [(one.events, one.oldest_ms, one.youngest_ms) for one in shape.releases] == [(3, 100.0, 0.0)]
    assert (shape.written_ms, shape.arrived_ms, shape.batched) == (100.0, 0.0, 1.0)


def test_a_stream_without_write_times_has_no_holds() -> None:
    """Nothing is made up where the app did not say when it wrote."""
    shape = shape_of(probe([10.0, 60.0], [None, None]))
    assert not shape.timed
    assert (shape.holds_ms, shape.hold_ms, shape.written_ms) == ((), 0.0, 0.0)


def test_reads_of_one_moment_are_one_release() -> None:
    """Two reads 0.3 ms apart are one release of their bytes, one 50 ms later is another."""
    reads = [Read(100.0, 120), Read(100.3, 80), Read(150.0, 100)]
    shape = shape_of(probe([100.3, 100.3, 150.0], [0.0, 50.0, 150.0], reads=reads))
    assert [(one.first, one.stop, one.until_byte) for one in shape.releases] == [(0, 2, 200), (2, 3, 300)]


def test_an_app_that_writes_fast_is_not_batched_by_our_own_tolerance() -> None:
    """Events written and come every 2 ms are as many releases."""
    at = [2.0 * i for i in range(40)]
    assert len(shape_of(probe(at, at)).releases) == 40


def test_bytes_are_counted_as_they_are_transferred() -> None:
    """1,000 decoded bytes that were 400 on the wire end at 400; chunk framing adds 6 to each event of 100 bytes."""
    plain = shape_of(probe([float(i) for i in range(10)], [float(i) for i in range(10)]))
    assert (plain.ends[-1], plain.framed[-1]) == (1000.0, 1000.0 + 10 * 6)


def test_nothing_at_all_has_a_shape() -> None:
    """A probe without one event is an empty shape and no error."""
    shape = shape_of(probe([], []))
    assert (shape.hold_ms, shape.arrived_ms, shape.batched, shape.late(0.0), shape.sizes) == (0.0, 0.0, 0.0, 0.0, [])


@given(offsets, st.floats(-1000.0, 100_000.0))
def test_clocks_and_constant_delays_cancel(wrote: list[float], constant: float) -> None:
    """Whatever the two clocks' zeros are, a path that adds a constant holds nothing."""
    shape = shape_of(probe([at + constant for at in wrote], wrote))
    assert shape.hold_ms == pytest.approx(0.0, abs=1e-6)


@given(offsets)
def test_every_event_is_in_one_release(came: list[float]) -> None:
    """The releases partition the events, in order."""
    releases = shape_of(probe(came, [0.0] * len(came))).releases
    assert [i for one in releases for i in range(one.first, one.stop)] == list(range(len(came)))
