"""The writes of a drip: when each is due, and what it holds."""

import zlib
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from doctor.drip.lab import VIEW, taken_apart
from streamgap.core.probe import AppView
from streamgap.doctor.drip.events import filler, numbered
from streamgap.doctor.drip.limits import MAX_EVENT_BYTES, MIN_EVENT_BYTES, Limits
from streamgap.doctor.drip.plan import plan_of
from streamgap.doctor.drip.schedule import Step, steps

RUN = "8f3a51c0"


def written(**query: str) -> list[Step]:
    return list(steps(plan_of(urlencode(query), limits=Limits()), run=RUN, view=lambda: VIEW))


@given(st.integers(0, 999_999), st.integers(MIN_EVENT_BYTES, MAX_EVENT_BYTES), st.floats(0, 86_430_000))
def test_an_event_is_as_long_as_it_was_asked_to_be(index: int, size_bytes: int, t_ms: float) -> None:
    """Whatever its number and its time, within the widest limits, an event has `size` bytes and is one event."""
    event = numbered(index, size_bytes=size_bytes, run=RUN, t_ms=t_ms)
    assert len(event) == size_bytes
    (data,) = taken_apart(event).numbered
    assert (data["r"], data["i"], data["t"]) == (RUN, index, round(t_ms, 1))
    assert data["w"].isascii()


def test_each_write_is_due_at_the_sum_of_the_waits_before_it() -> None:
    """A segment begins after its silence, else after its gap; the very first event without a silence at once."""
    assert [step.at_ms for step in written(segments="3x100@10,2x100@5,2x100@7+200")] == [
        *(0, 10, 20),
        *(25, 30),
        *(230, 237),
        237,  # done
    ]
    assert [step.at_ms for step in written(segments="2x100@10+500", open="1")] == [0, 500, 510, 510]


def test_heartbeats_fill_the_waits_and_nothing_else() -> None:
    """Comments go out in every wait that is longer than the heartbeat, before the first event too, never with one."""
    sent = [
        (step.at_ms, step.make(0).startswith(b":hb")) for step in written(segments="3x100@40+100", heartbeat_ms="40")
    ]
    assert sent == [(40, True), (80, True), (100, False), (140, False), (180, False), (180, False)]


def test_a_padded_heartbeat_is_a_comment_of_that_many_more_bytes() -> None:
    """`padding` are spaces behind the comment's text."""
    beat = written(segments="1x100@1+50", heartbeat_ms="40", padding="300")[0].make(0)
    assert beat == b":hb" + b" " * 300 + b"\n\n"


def test_the_app_tells_its_view_with_event_0_and_not_before() -> None:
    """The opening comment goes alone; the view is asked when event 0 is written, and leaves in the same write."""
    asked: list[None] = []

    def view() -> AppView:
        asked.append(None)
        return VIEW

    plan = plan_of("segments=2x100@5+50&open=1", limits=Limits())
    opening, first, second, done = steps(plan, run=RUN, view=view)
    assert opening.make(0) == b":drip\n\n"
    assert not asked
    body = taken_apart(first.make(412.34))
    assert body.opening == {
        "v": 1,
        "run": RUN,
        "expected": 2,
        "protocol": "HTTP/1.1",
        "method": "GET",
        "headers": [["host", "x"]],
        "in_flight": 1,
    }
    assert [event["t"] for event in body.numbered] == [412.3]
    assert second.make(0).startswith(b"id: 1\n")
    assert done.make(417.36) == b'event: done\ndata: {"r":"8f3a51c0","n":2,"t":417.4}\n\n'
    assert len(asked) == 1


def test_the_filler_is_prose_to_a_compressor() -> None:
    """It repeats itself no more than prose does, so that compressors hold about as much of it; and never changes."""
    text = " ".join(filler(index, size_bytes=120) for index in range(500)).encode()
    assert 2.0 < len(text) / len(zlib.compress(text)) < 4.0
    assert filler(7, size_bytes=40) == filler(7, size_bytes=400)[:40]
    assert filler(0, size_bytes=60) != filler(1, size_bytes=60)
