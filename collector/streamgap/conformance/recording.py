"""Keeps what comes in answer to one request, until it is an `Exchange`."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx2

from streamgap.conformance.exchange import Arrival, Ending, Exchange
from streamgap.conformance.reading import Reading
from streamgap.core.sse_events import EventParser

MAX_ANSWER_BYTES = 32 * 1024 * 1024


@dataclass(slots=True)
class Recording:
    """What has come so far."""

    asked: str
    reading: Reading
    clock: Callable[[], float]
    stop_after: int | None = field(kw_only=True)
    has_content: asyncio.Event | None = field(kw_only=True)
    began_s: float = 0.0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    head_s: float = 0.0
    arrivals: list[Arrival] = field(default_factory=list)
    content: list[Arrival] = field(default_factory=list)
    reads_s: list[float] = field(default_factory=list)
    ending: Ending = Ending.COMPLETE
    _bytes: int = 0
    _parser: EventParser = field(default_factory=EventParser)

    def __post_init__(self) -> None:
        self.began_s = self.clock()

    def open(self, response: httpx2.Response) -> None:
        """Note that the response's headers have come."""
        self.head_s = self.clock() - self.began_s
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def take(self, chunk: bytes) -> bool:
        """Take bytes; false once nothing more is wanted."""
        at_s = self.clock() - self.began_s
        self.reads_s.append(at_s)
        self._bytes += len(chunk)
        for _ in self._arrive(chunk, at_s):
            if len(self.content) == self.stop_after:
                self.ending = Ending.DROPPED
                return False
        if self._bytes > MAX_ANSWER_BYTES:
            self.ending = Ending.TOO_LONG
            return False
        return True

    def _arrive(self, chunk: bytes, at_s: float) -> Iterator[Arrival]:
        for event in self._parser.feed(chunk):
            arrival = Arrival(event, at_s)
            self.arrivals.append(arrival)
            if self.reading.is_content(event):
                self.content.append(arrival)
                if self.has_content is not None:
                    self.has_content.set()
            yield arrival

    def exchange(self, ending: Ending, *, failure: str = "") -> Exchange:
        """Return what has come, with what brought it to its end."""
        return Exchange(
            asked=self.asked,
            began_s=self.began_s,
            status=self.status,
            headers=self.headers,
            head_s=self.head_s,
            arrivals=tuple(self.arrivals),
            content=tuple(self.content),
            text="".join(self.reading.text_of(arrival.event) for arrival in self.content),
            reads_s=tuple(self.reads_s),
            end_s=self.clock() - self.began_s,
            ending=ending,
            failure=failure,
        )
