"""Types of ASGI, and which responses are streams."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from streamgap.core.timeline import Unit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

TAKEN = "streamgap.taken"
"""A key in the opening message of a response that a middleware further in has already made its own."""

BEAT = "streamgap.beat"
"""A key in the opening message: the bytes to send as heartbeat instead of a comment."""
CONTENT = "streamgap.content"
"""A key in a body message: how many content events it holds, whole ones, told by whoever made them."""
CONNECTION = "streamgap.connection"
"""A key in the scope: the `Connection` that a server of ours keeps note of."""

_UNITS: dict[bytes, Unit] = {
    b"text/event-stream": "events",
    b"application/x-ndjson": "bytes",
    b"application/ndjson": "bytes",
    b"application/jsonl": "bytes",
    b"application/x-jsonlines": "bytes",
    b"application/jsonlines": "bytes",
    b"application/json-seq": "bytes",
}
_NO_BODY = frozenset({204, 205})


def unit_of(start: Message, *, method: str) -> Unit | None:
    """Return what to count in the response that `start` opens, None for one that is no stream.

    No stream either: an error page, an answer to HEAD, a body that is compressed already (its events cannot be told
    apart), and NDJSON of a known length, which is a download.
    """
    headers = start.get("headers", ())
    unit = _UNITS.get(_value(headers, b"content-type").partition(b";")[0].strip().lower())
    status = start["status"]
    if unit is None or method == "HEAD" or not 200 <= status < 300 or status in _NO_BODY:  # noqa: PLR2004, successes
        return None
    if _value(headers, b"content-encoding").strip().lower() not in (b"", b"identity"):
        return None
    return None if unit == "bytes" and _value(headers, b"content-length") else unit


def header(headers: Iterable[Header], name: bytes) -> str:
    """Return the first value of a header (`name` in lower case), empty where there is none."""
    return _value(headers, name).decode("latin-1")


def _value(headers: Iterable[Header], name: bytes) -> bytes:
    for key, value in headers:
        if key.lower() == name:
            return value
    return b""
