"""From bytes to numbered arrivals: where events end, and what they say."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgap.core.probe import AppView
from streamgap.core.sse_events import Event, EventParser
from streamgap.doctor.client.boundaries import Boundaries
from streamgap.doctor.client.events import MAX_RUNS, Content

LINES = st.sampled_from(["data: x", "data: yy", ":c", "id: 1", "", "", "junk"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@settings(deadline=None)
@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.lists(st.integers(0, 60), max_size=4))
def test_cutting_changes_neither_events_nor_their_ends(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    """Each event is the parser's, and ends behind its blank line: the bytes up to there hold it, one less do not."""
    body = "".join(line + end for line, end in lines).encode()
    whole = EventParser().feed(body)
    boundaries, got, start = Boundaries(), [], 0
    for cut in [*sorted(cut for cut in cuts if cut < len(body)), len(body)]:
        got += list(boundaries.feed(body[start:cut]))
        start = cut
    assert [event for event, _ in got] == whole
    for nth, (_, end) in enumerate(got):
        assert len(EventParser().feed(body[:end])) == nth + 1
        # CR LF that is cut in the middle ends its line at CR.
        before = end - 2 if body[end - 2 : end] == b"\r\n" else end - 1
        assert len(EventParser().feed(body[:before])) == nth


def numbered(index: int, run: str = "r1") -> Event:
    return Event(id=str(index), data=json.dumps({"r": run, "i": index, "t": index * 10.5, "w": "x"}))


OPENED = Event(
    type="drip-open",
    data=json.dumps(
        {
            "v": 1,
            "run": "r1",
            "expected": 3,
            "protocol": "HTTP/1.0",
            "method": "GET",
            "headers": [["via", "1.1 x"]],
            "in_flight": 2,
        }
    ),
)


def test_a_drip_is_recognised_and_numbered_by_the_app() -> None:
    """Its numbers are the app's: an event that is missing leaves a gap."""
    content = Content(is_drip=False)
    assert content.take(OPENED) is None
    assert [content.take(numbered(0)), content.take(numbered(2))] == [(0, 0.0), (2, 21.0)]
    assert (content.run, content.expected, content.done) == ("r1", 3, False)
    assert content.seen == AppView(protocol="HTTP/1.0", method="GET", headers=(("via", "1.1 x"),), in_flight=2)
    assert content.take(Event(type="done", data='{"r":"r1","n":3,"t":30}')) is None
    assert (content.done, content.runs) == (True, ["r1"])


def test_another_streams_events_show_by_their_run() -> None:
    """A cache that replays cannot hide, and cannot fill the memory with names."""
    content = Content(is_drip=True)
    content.take(OPENED)
    for nth in range(100):
        content.take(numbered(0, run=f"other{nth}"))
    assert content.run == "r1"
    assert content.runs[:2] == ["r1", "other0"]
    assert len(content.runs) == MAX_RUNS


@pytest.mark.parametrize(
    "data",
    [
        "",
        "no json",
        "[1]",
        '{"r":"r1"}',
        '{"r":"r1","i":-1,"t":0}',
        '{"r":"r1","i":1e99,"t":0}',
        '{"r":"r1","i":0,"t":"x"}',
        '{"r":"r1","i":0,"t":1e999}',
        '{"r":"r1","i":0,"t":NaN}',
        '{"r":1,"i":0,"t":0}',
        '{"r":"\\ud800","i":0}',
        "[" * 100_000,
    ],
    ids=range(12),
)
def test_what_a_hop_put_into_a_drip_is_counted_apart(data: str) -> None:
    """It is no event of the app's, and no number of it is taken over."""
    content = Content(is_drip=True)
    assert content.take(Event(data=data)) is None
    assert (content.others, content.runs) == (1, [])


@pytest.mark.parametrize(
    ("event", "done"),
    [
        (Event(data="[DONE]"), True),
        (Event(type="done", data="{}"), True),
        (Event(type="sg-end", data="{}"), True),
        (Event(type="end", data=""), True),
        (Event(type="message_stop", data="{}"), True),
        (Event(type="drip-open", data="no json"), False),
        (Event(type="delta", data="done"), False),
    ],
)
def test_any_other_stream_is_numbered_as_it_comes(event: Event, *, done: bool) -> None:
    """Without write times; what proves its end is no content."""
    content = Content(is_drip=False)
    assert content.take(Event(data="a")) == (0, None)
    assert content.take(Event(id="7")) is None
    assert content.take(event) == (None if done else (1, None))
    assert (content.done, content.is_drip, content.runs) == (done, False, [])
