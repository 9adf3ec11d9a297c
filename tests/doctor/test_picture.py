"""The staircase and the lines that people look at."""

import msgspec

from streamgap.core.probe import Arrival, Asked, Ending, Probe, Protocol
from streamgap.doctor.report.picture import sparkline, staircase

ASKED = Asked(name="alone", protocol=Protocol.CLEAR, accept_encoding="identity")


def probe(*pairs: tuple[float, float | None], end_ms: float) -> Probe:
    events = tuple(
        Arrival(index=i, came_ms=came, wrote_ms=wrote, read=i, end_byte=(i + 1) * 100)
        for i, (came, wrote) in enumerate(pairs)
    )
    return Probe(asked=ASKED, status=200, events=events, ending=Ending.FRAMED, end_ms=end_ms, expected=len(events))


def test_a_stream_that_flows_shows_one_stair() -> None:
    """What came covers what was written: no dot is left."""
    drawn = staircase(probe(*((t + 3.0, t) for t in range(0, 1000, 100)), end_ms=1000.0), width=40)
    assert "█" in "".join(drawn)
    assert "·" not in "".join(drawn)


def test_a_held_stream_shows_the_area_between_the_stairs() -> None:
    """Ten events are written over a second and come at its end: dots, and full cells in the last column only."""
    drawn = staircase(probe(*((1000.0, float(t)) for t in range(100, 1100, 100)), end_ms=1000.0), width=20, height=5)
    top = drawn[0].removeprefix("│")
    assert top[-1] == "█"
    assert "█" not in "".join(line.removeprefix("│")[:-1] for line in drawn[:5])
    assert sum(line.count("·") for line in drawn) > 20


def test_no_event_no_picture() -> None:
    """A probe without events is drawn by words elsewhere."""
    assert staircase(probe(end_ms=10.0), width=20) == []


def test_a_stream_without_write_times_is_drawn_by_what_came() -> None:
    """Only the arrivals of a stream that is no drip are known."""
    drawn = staircase(probe((100.0, None), (500.0, None), end_ms=600.0), width=12)
    assert "█" in "".join(drawn)
    assert "·" not in "".join(drawn)


def test_a_sparkline_rises_to_the_share_that_came() -> None:
    """Half of the events came in the first half, all by the end."""
    line = sparkline([10.0, 90.0], count=2, end_ms=100.0, cells=10)
    assert line[0] == "▄"
    assert line[-1] == "█"
    assert sparkline([], count=3, end_ms=100.0, cells=4) == "    "


def test_events_that_never_came_leave_the_stair_low() -> None:
    """The height is the share of the events that the app announced."""
    lossy = msgspec.structs.replace(probe((10.0, 5.0), end_ms=100.0), expected=10)
    assert "█" not in staircase(lossy, width=10, height=5)[0]
