"""One request and what came back: all that a rule may look at."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from streamgap.conformance.reading import json_of
from streamgap.core.showing import shown
from streamgap.core.sse_events import Event

OPEN_EVENT = "sg-open"
_OK = 200
_EVENT_STREAM = "text/event-stream"


def is_event_stream(status: int | None, headers: Mapping[str, str]) -> bool:
    """Say whether a status and headers (names in lower case) open a successful answer of server-sent events."""
    return status == _OK and headers.get("content-type", "").partition(";")[0].strip().lower() == _EVENT_STREAM


class Ending(StrEnum):
    """How an answer came to its end; `dropped` is our own doing."""

    COMPLETE = "ended by itself"
    DROPPED = "was dropped on purpose"
    TIMED_OUT = "had not ended in time"
    CUT = "broke off"
    TOO_LONG = "was longer than we read"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, and when it came, in seconds since the request."""

    event: Event
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What was `asked`, in words, and what came. Times are seconds since the request; `began_s` is when that was.

    `status` is None where no response came; `failure` then, and where the answer broke off, says why. `content` are
    those of `arrivals` that carry a part of the answer, `text` their text. `reads_s` is when bytes came, of any kind.
    """

    asked: str
    began_s: float
    status: int | None = None
    headers: Mapping[str, str]
    head_s: float = 0.0
    arrivals: tuple[Arrival, ...] = ()
    content: tuple[Arrival, ...] = ()
    text: str = ""
    reads_s: tuple[float, ...] = ()
    end_s: float
    ending: Ending
    failure: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether this is a successful answer of server-sent events."""
        return is_event_stream(self.status, self.headers)

    @property
    def complete(self) -> bool:
        """Whether all of it was read."""
        return self.ending is Ending.COMPLETE

    @property
    def ids(self) -> list[str | None]:
        """The ids that the content events carry themselves."""
        return [arrival.event.id for arrival in self.content]

    @property
    def has_ids(self) -> bool:
        """Whether any content event carries an id."""
        return any(self.ids)

    @property
    def last_event_id(self) -> str:
        """What a browser would send if it reconnected now."""
        return self.arrivals[-1].event.last_event_id if self.arrivals else ""

    @property
    def retry_ms(self) -> int | None:
        """The reconnection time that the answer asked for last, in ms."""
        return next((one.event.retry_ms for one in reversed(self.arrivals) if one.event.retry_ms is not None), None)

    @property
    def said(self) -> str:
        """What the endpoint itself says in an `sg-open` event that this request came to, such as `attached`."""
        for arrival in self.arrivals:
            if arrival.event.type == OPEN_EVENT:
                opened = json_of(arrival.event.data or "")
                return str(opened.get("result", "")) if isinstance(opened, dict) else ""
        return ""

    @property
    def summary(self) -> str:
        """What came, in words."""
        if self.status is None:
            return f"no response ({self.failure or self.ending})"
        if not self.is_stream:
            kind = self.headers.get("content-type")
            return str(self.status) if kind is None else f"{self.status} {shown(kind)}"
        count = len(self.content)
        ending = f"{self.ending}: {self.failure}" if self.failure else self.ending
        return f"200, {count} content event{'' if count == 1 else 's'}, {ending}"
