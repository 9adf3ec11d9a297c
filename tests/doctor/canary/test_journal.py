"""A log line is one line of JSON, whatever a server said."""

import io
import json

from streamgap.doctor.canary.journal import MAX_VALUE, Journal


def said(**fields: str | float | None) -> str:
    stream = io.StringIO()
    Journal(stream, unix_s=lambda: 1_700_000_000.25).say("held", **fields)
    return stream.getvalue()


def test_a_line_is_an_object_with_time_and_event() -> None:
    """Fields follow time and event; what is not known is left out."""
    assert json.loads(said(route="/chat", hold_s=1.5, suspect=None)) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "event": "held",
        "route": "/chat",
        "hold_s": 1.5,
    }


def test_what_a_server_sent_stays_on_the_line() -> None:
    """Line breaks, escapes, DEL and C1 controls are written as text, and no value is endless."""
    line = said(failure="\x1b[31m\r\n\x7f\x9b\u2028" + "x" * 10_000)
    assert line.count("\n") == 1
    assert line.rstrip("\n").isascii()
    assert line.rstrip("\n").isprintable()
    assert len(json.loads(line)["failure"]) == MAX_VALUE
