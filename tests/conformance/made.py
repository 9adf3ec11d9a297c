"""Answers made by hand: what came, and when, without a server and without waiting."""

from collections.abc import Mapping
from typing import Any

from streamgap.conformance.conversation import Conversation
from streamgap.conformance.exchange import Arrival, Ending, Exchange
from streamgap.conformance.reading import Reading
from streamgap.core.sse_events import EventParser

HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


def answer(
    *reads: tuple[float, str], head_s: float = 0.01, headers: Mapping[str, str] = HEADERS, **fields: Any
) -> Exchange:
    """Make a complete answer from what came when."""
    parser = EventParser()
    arrivals = [Arrival(event, at_s) for at_s, text in reads for event in parser.feed(text.encode())]
    content = [arrival for arrival in arrivals if Reading().is_content(arrival.event)]
    usual: dict[str, Any] = {
        "asked": "a question",
        "began_s": 0.0,
        "status": 200,
        "headers": headers,
        "head_s": head_s,
        "arrivals": tuple(arrivals),
        "content": tuple(content),
        "text": "".join(Reading().text_of(arrival.event) for arrival in content),
        "reads_s": tuple(at_s for at_s, _ in reads),
        "end_s": reads[-1][0] if reads else head_s,
        "ending": Ending.COMPLETE,
    }
    return Exchange(**usual | fields)


def talk(first: Exchange, **others: Any) -> Conversation:
    """Make a conversation."""
    return Conversation(first=first, **others)


def content(*texts: str) -> str:
    """Return content events with the ids 1, 2 and so on."""
    return "".join(f'id: {n}\ndata: "{text}"\n\n' for n, text in enumerate(texts, start=1))
