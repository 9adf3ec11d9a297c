"""Server-sent events as a reader gets them: a push parser for bytes that are cut anywhere.

Format: WHATWG HTML, § 9.2.6 "Interpreting an event stream". Where a browser would only dispatch, this one also
tells what it passed over: comments, ids without data, and lines that no reader understands.
"""

from dataclasses import dataclass

MAX_EVENT_BYTES = 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What stood between two blank lines. A reader dispatches it where `data` is not None.

    `id` is its own id field, `last_event_id` what a reconnect after it would send. `comments` counts its comment lines,
    `unknown` those with a field name that does not exist: mostly text that fell out of its data line. `truncated`: a
    line, or all of its data, was longer than the parser's bound.
    """

    type: str = "message"
    data: str | None = None
    id: str | None = None
    last_event_id: str = ""
    retry_ms: int | None = None
    comments: int = 0
    unknown: int = 0
    truncated: bool = False


class EventParser:
    """Turns a byte stream into events; what follows the last blank line is no event, as in a browser.

    Of one line, and of the data of one event, the first `max_event_bytes` are kept: memory is bounded whatever comes.
    """

    __slots__ = ("_after_cr", "_before_first_line", "_event", "_last_event_id", "_line", "_max_bytes")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_event_bytes
        self._line = b""
        self._after_cr = False
        self._before_first_line = True
        self._last_event_id = ""
        self._event = _OpenEvent()

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that `chunk` completed."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if chunk.endswith(b"\r"):
            self._after_cr = True
        *ends, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events = []
        for end in ends:
            self._extend(end)
            if (event := self._end_line()) is not None:
                events.append(event)
        self._extend(rest)
        return events

    def _extend(self, part: bytes) -> None:
        room = self._max_bytes - len(self._line)
        self._event.truncated |= len(part) > room
        self._line += part[:room]

    def _end_line(self) -> Event | None:
        line, self._line = self._line, b""
        if self._before_first_line:
            self._before_first_line = False
            line = line.removeprefix(_BOM)
        if line:
            self._event.take(line, max_bytes=self._max_bytes)
            return None
        event, self._event = self._event, _OpenEvent()
        if not event.touched:
            return None
        if event.id is not None:
            self._last_event_id = event.id
        return event.close(self._last_event_id)


class _OpenEvent:
    """The fields of an event whose blank line has not come yet."""

    __slots__ = ("_bytes", "_data", "comments", "id", "retry_ms", "touched", "truncated", "type", "unknown")

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._bytes = 0
        self.type = ""
        self.id: str | None = None
        self.retry_ms: int | None = None
        self.comments = self.unknown = 0
        self.touched = self.truncated = False

    def take(self, line: bytes, *, max_bytes: int) -> None:
        self.touched = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._take_data(value, max_bytes=max_bytes)
            case b"event":
                self.type = value.decode(errors="replace")
            case b"id":
                if b"\0" not in value:
                    self.id = value.decode(errors="replace")
            case b"retry":
                if value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                    self.retry_ms = int(value)
            case b"":
                self.comments += 1
            case _:
                self.unknown += 1

    def _take_data(self, value: bytes, *, max_bytes: int) -> None:
        # The line break between two data lines counts too, so that empty lines cannot fill the memory.
        room = max_bytes - self._bytes - (1 if self._data else 0)
        if room < 0:
            self.truncated = True
            return
        self.truncated |= len(value) > room
        self._data.append(value[:room])
        self._bytes = max_bytes - room + min(len(value), room)

    def close(self, last_event_id: str) -> Event:
        return Event(
            type=self.type or "message",
            data=b"\n".join(self._data).decode(errors="replace") if self._data else None,
            id=self.id,
            last_event_id=last_event_id,
            retry_ms=self.retry_ms,
            comments=self.comments,
            unknown=self.unknown,
            truncated=self.truncated,
        )
