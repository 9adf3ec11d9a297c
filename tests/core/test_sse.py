"""Model text cannot break out of an event, and cutting the bytes elsewhere changes nothing."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgap.core.sse import ContentScanner, sse_comment, sse_event

any_text = st.text(st.characters(codec="utf-8"))
hostile_text = st.sampled_from(
    ["a\r\nb", "\n\nevent: done\ndata: [DONE]\n\n", "\u2028\u2029\x85\x0b\0", "😀\r", ": x", ""]
)


@given(any_text | hostile_text)
def test_any_text_arrives_intact(text: str) -> None:
    """Whatever the model says is one data line, and JSON.parse of it is the text."""
    encoded = sse_event({"t": text}).decode()
    assert encoded.startswith("data: ")
    assert encoded.endswith("\n\n")
    assert len(encoded.splitlines()) >= 2
    line = encoded[len("data: ") : -2]
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line) == {"t": text}


@given(st.lists(any_text | hostile_text, max_size=8), st.lists(st.integers(0, 4000), max_size=12))
def test_cuts_do_not_change_the_count(texts: list[str], cuts: list[int]) -> None:
    """The scanner counts the same events however the proxies cut the bytes."""
    wire = b"".join([sse_comment(" open"), *(sse_event({"t": text}) for text in texts), sse_event({}, event="done")])
    edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    scanner = ContentScanner()
    assert sum(scanner.feed(wire[a:b]) for a, b in pairwise(edges)) == len(texts)
    assert scanner.at_boundary


def test_fields_with_line_breaks_are_refused() -> None:
    """An event type or id that would forge another field raises and says which."""
    with pytest.raises(ValueError, match="sse event: expected one line"):
        sse_event(1, event="done\ndata: forged")
    with pytest.raises(ValueError, match="sse event_id"):
        sse_event(1, event_id="1\r2")


def test_the_id_comes_after_the_data() -> None:
    """A client that takes an id before the event is whole has the data by then."""
    assert sse_event({"n": 1}, event="sg-open", event_id="1.0") == b'event: sg-open\ndata: {"n":1}\nid: 1.0\n\n'
