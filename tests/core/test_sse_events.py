"""The event parser reads what a browser reads, however the bytes are cut."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from golden import vectors
from streamgap.core.sse import sse_event
from streamgap.core.sse_events import Event, EventParser

any_text = st.text(st.characters(codec="utf-8"))
wire_bytes = st.lists(
    st.sampled_from(
        [b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\r", b"\n", b"\r\n", b"\0", b"7", b"\xef\xbb\xbf"]
    )
    | st.binary(max_size=6),
    max_size=40,
).map(b"".join)


def parsed(wire: bytes, cuts: list[int] | None = None, **bound: int) -> list[Event]:
    """Parse `wire`, cut at `cuts`."""
    edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts or [])})
    parser = EventParser(**bound)
    return [event for a, b in pairwise(edges) for event in parser.feed(wire[a:b])]


@given(wire_bytes, st.lists(st.integers(0, 400), max_size=12), st.integers(1, 12))
@example(b"data: a\r\n\r\n", [8, 9, 10], 12)
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2], 12)
@example("data: 😀\n\n".encode(), [7, 8, 9], 12)
def test_cuts_do_not_change_the_events(wire: bytes, cuts: list[int], bound: int) -> None:
    """Any bytes give the same events wherever they are cut, also beyond the bound."""
    assert parsed(wire, cuts) == parsed(wire)
    assert parsed(wire, cuts, max_event_bytes=bound) == parsed(wire, max_event_bytes=bound)


@given(st.lists(st.tuples(any_text, st.integers(0, 99)), max_size=8))
def test_it_reads_what_the_encoder_writes(answers: list[tuple[str, int]]) -> None:
    """What sse_event encodes comes back as one event each: same type, id and JSON."""
    wire = b"".join(sse_event(text, event="delta", event_id=f"1.{n}") for text, n in answers)
    assert [(event.type, event.last_event_id) for event in parsed(wire)] == [("delta", f"1.{n}") for _, n in answers]
    again = b"".join(sse_event(text) for text, _ in answers)
    assert again == b"".join(b"data: %b\n\n" % (event.data or "").encode() for event in parsed(wire))


@pytest.mark.parametrize("case", vectors("scanner"), ids=lambda case: case["name"])
def test_it_agrees_with_the_scanner(case: dict[str, Any]) -> None:
    """The content events that the golden vectors count are the ones that are parsed."""
    parser = EventParser()
    content = [
        sum(
            event.data not in (None, "[DONE]") and event.type in case["content_types"]
            for event in parser.feed(chunk.encode())
        )
        for chunk in case["chunks"]
    ]
    assert content == case["expect"]


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event(data="YHOO\n+2\n10")]),
        (b"data\n\n", [Event(data="")]),
        (b"data:  two spaces\n\n", [Event(data=" two spaces")]),
        (b"event: done\ndata: {}\n\n", [Event(type="done", data="{}")]),
        (b"id: 1.0\n\ndata: x\n\n", [Event(id="1.0", last_event_id="1.0"), Event(data="x", last_event_id="1.0")]),
        (b"id: 7\n\nid\ndata: x\n\n", [Event(id="7", last_event_id="7"), Event(id="", data="x")]),
        (b"id: a\0b\ndata: x\n\n", [Event(data="x")]),
        (b"retry: 2750\n\n", [Event(retry_ms=2750)]),
        (b"retry: 2.5\n\nretry:\n\n", [Event(), Event()]),
        (b": open\n\n:\n:\ndata: x\n\n", [Event(comments=1), Event(comments=2, data="x")]),
        (b"data: a\nb\n\nfoo: bar\n\n", [Event(data="a", unknown=1), Event(unknown=1)]),
        (b"data: a\rb\n\n", [Event(data="a", unknown=1)]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [Event(data="a"), Event(unknown=1)]),
        ("data: \u2028\u0085é\n\n".encode(), [Event(data="\u2028\u0085é")]),
        (b"data: \xff\n\n", [Event(data="\ufffd")]),
        (b"data: cut off\nid: 9\n", []),
        (b"\n\r\n\r", []),
    ],
)
def test_fields_mean_what_the_standard_says(wire: bytes, expected: list[Event]) -> None:
    """Each field, comment and line end is read as WHATWG HTML § 9.2.6 has it."""
    assert parsed(wire) == expected


def test_an_event_is_bounded() -> None:
    """Of an endless line, of endless data lines and of endless empty ones only the bound is kept, and it is told."""
    parser = EventParser(max_event_bytes=10)
    for _ in range(1000):
        assert parser.feed(b"data: xxxx") == []
    assert len(parser._line) == 10
    assert parser.feed(b"\n\n") == [Event(data="xxxx", truncated=True)]
    assert parser.feed(b"data: 1\n" * 1000 + b"\n") == [Event(data="1\n1\n1\n1\n1\n", truncated=True)]
    assert parser.feed(b"data\n" * 1000 + b"\n") == [Event(data="\n" * 10, truncated=True)]
    assert parser.feed(b"data: fits\n\n") == [Event(data="fits")]
