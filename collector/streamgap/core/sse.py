"""Server-sent events: an encoder that model text cannot break out of, and a scanner that counts content events.

Format: WHATWG HTML, § 9.2 "Server-sent events". Both are push cores without I/O; the browser beacon has a scanner of
the same behaviour, held to this one by tests/golden/scanner.json.
"""

from collections.abc import Collection
from typing import Any

import msgspec

MESSAGE = b"message"
DONE_SENTINEL = b"[DONE]"
MAX_EVENT_TYPE_BYTES = 64

_encode_json = msgspec.json.Encoder().encode


def sse_event(data: Any, *, event: str | None = None, event_id: str | None = None) -> bytes:
    r"""Encode one event whose data is one line of JSON.

    JSON escapes CR, LF and every other control character, so any text (also text that looks like SSE, such as
    ``"\n\nevent: done"``) arrives exactly as it was: the page reads it with ``JSON.parse(event.data)``.
    Raises ValueError when `event` or `event_id` holds a line break or NUL, TypeError when `data` is not JSON.
    """
    lines = [b"data: " + _encode_json(data)]
    if event is not None:
        lines.insert(0, b"event: " + _field(event, "event"))
    if event_id is not None:
        # Last: there are clients that take it before they have the data, and would skip on resuming what was cut off.
        lines.append(b"id: " + _field(event_id, "event_id"))
    return b"\n".join(lines) + b"\n\n"


def sse_comment(text: str = "") -> bytes:
    """Encode a comment: bytes on the wire that no SSE reader dispatches. Used as heartbeat and to open a stream."""
    return b":" + _field(text, "comment") + b"\n\n"


def sse_retry(retry_ms: int) -> bytes:
    """Encode the reconnection time, in ms."""
    return b"retry: %d\n\n" % retry_ms


def sse_prime(event_id: str) -> bytes:
    """Encode an id alone: no SSE reader dispatches it, and every reconnect carries it."""
    return b"id: " + _field(event_id, "event_id") + b"\n\n"


def _field(value: str, name: str) -> bytes:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"sse {name}: expected one line without NUL, got {value!r}")
    return value.encode()


class ContentScanner:
    """Counts *content events* in a byte stream that is cut anywhere.

    A content event has a data field, its type is in `content_types` (`message` is the type of events that name none),
    and its data is not exactly ``[DONE]``. Comments, heartbeats and control events do not count. Only the first few
    bytes of a line are kept, so memory is bounded whatever the size of an event.
    """

    __slots__ = ("_after_cr", "_data", "_has_data", "_line", "_plain_counts", "_type", "_types", "at_boundary")

    _KEEP = MAX_EVENT_TYPE_BYTES + len(b"event: ")

    def __init__(self, content_types: Collection[str] = ("message",)) -> None:
        self._types = frozenset(name.encode() for name in content_types)
        self._plain_counts = int(MESSAGE in self._types)
        self._line = b""
        self._after_cr = False
        self.at_boundary = True
        self._reset()

    def _reset(self) -> None:
        self._has_data = False
        self._data = b""
        self._type = MESSAGE

    def feed(self, chunk: bytes) -> int:
        """Return how many content events `chunk` completed. `at_boundary` then tells whether an event is open."""
        if not chunk:
            return 0
        if self._is_one_plain_event(chunk):
            return self._plain_counts
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r") if chunk else False
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        completed = 0
        for line in lines:
            completed += self._end_line(self._line + line[: self._KEEP])
            self._line = b""
        self._line = (self._line + rest[: self._KEEP])[: self._KEEP]
        self.at_boundary = self.at_boundary and not self._line
        return completed

    def _is_one_plain_event(self, chunk: bytes) -> bool:
        """Recognise one whole event of one data line, as `sse_event` writes it: a third of the cost of the rest."""
        return (
            self.at_boundary
            and not self._after_cr
            and chunk.startswith(b"data: ")
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk.endswith(b"\n\n")
            and b"\r" not in chunk
            and chunk[6:-2] != DONE_SENTINEL
        )

    def _end_line(self, line: bytes) -> int:
        if not line:
            is_content = self._has_data and self._type in self._types and self._data != DONE_SENTINEL
            self._reset()
            self.at_boundary = True
            return int(is_content)
        self.at_boundary = False
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            # Two data lines can never be exactly [DONE].
            self._data = value[: len(DONE_SENTINEL) + 1] if not self._has_data else b"\n"
            self._has_data = True
        elif name == b"event":
            self._type = value or MESSAGE
        return 0
