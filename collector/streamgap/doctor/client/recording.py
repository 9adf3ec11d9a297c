"""Keeps what comes in answer to one request, until it is a `Probe`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from streamgap.core.probe import EVENT_STREAM, Arrival, Asked, Ending, Probe, Read
from streamgap.core.sse_events import Event
from streamgap.doctor.client.body import Body
from streamgap.doctor.client.events import Content
from streamgap.doctor.client.limits import OVERHEAD_PER_BODY, ClientLimits

OnEvent = Callable[[Arrival], None]
_OK = 200
_SHOWN_CHARS = 200


def silent(_: Arrival) -> None:
    """Tell nobody."""


@dataclass(slots=True, kw_only=True)
class Recording:
    """What has come so far: `receive`, then what the framing found in those bytes, until there is an `ending`.

    Times are ms of the clock; the probe's are those since `began_ms`. The first of `failures` is why it ended.
    """

    asked: Asked
    limits: ClientLimits
    began_ms: float
    content: Content
    on_event: OnEvent
    head_only: bool
    status: int | None = None
    ending: Ending | None = None
    failures: list[str] = field(default_factory=list)
    _headers: tuple[tuple[str, str], ...] = ()
    _head_ms: float | None = None
    _end_ms: float = 0.0
    _now_ms: float = 0.0
    _received_bytes: int = 0
    _body: Body | None = None
    _reads: list[Read] = field(default_factory=list)
    _read_is_new: bool = False
    _arrivals: list[Arrival] = field(default_factory=list)
    _comments_ms: list[float] = field(default_factory=list)
    _others: int = 0

    @property
    def arrived(self) -> int:
        """How many events with content came."""
        return len(self._arrivals)

    def receive(self, now_ms: float, received_bytes: int) -> None:
        """Note a receive of so many bytes (after TLS); what is told next came in it."""
        self._now_ms = now_ms
        self._read_is_new = True
        body_bytes = self._body.wire_bytes if self._body else 0
        # This very read is not yet told apart into body and the rest.
        overhead = self._received_bytes - body_bytes
        if overhead > (allowed := self.limits.overhead_bytes + OVERHEAD_PER_BODY * body_bytes):
            self.end(Ending.STOPPED, f"framing: expected at most {allowed} bytes beside the body, got {overhead}")
        self._received_bytes += received_bytes

    def open(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Take the response's status and headers."""
        self.status, self._headers, self._head_ms = status, tuple(headers), self._now_ms
        self._body = Body(self._header("content-encoding"), limits=self.limits)
        if self.head_only:
            self.end(Ending.STOPPED)

    def take(self, data: bytes) -> None:
        """Take bytes of the body as transferred."""
        if self.ending is not None or self._body is None or not data:
            return
        self._note_read(len(data))
        for event, end_byte in self._body.feed(data):
            if self.status == _OK:
                self._arrive(event, end_byte)
            if self.ending is not None:
                return
        if self._body.is_too_long:
            allowed = f"{self.limits.body_bytes} bytes and {self.limits.lines} lines"
            came = f"{self._body.wire_bytes} bytes as transferred, {self._body.decoded_bytes} decoded"
            self.end(Ending.STOPPED, f"body: expected at most {allowed}, got more ({came})")

    def end(self, ending: Ending, failure: str = "", *, at_ms: float | None = None) -> None:
        """Note how it ended, the first time: by this read or `at_ms`; `failure` says what was expected and got."""
        if self.ending is not None:
            return
        self.ending, self._end_ms = ending, self._now_ms if at_ms is None else at_ms
        if failure:
            self.failures.append(failure)
        self.failures += self._unexpected()

    def probe(self, *, lag_ms: float) -> Probe:
        """Return what has come; there must be an `ending`."""
        if self.ending is None:
            raise ValueError("recording: expected an ending, got none")
        body = self._body or Body("", limits=self.limits)
        return Probe(
            asked=self.asked,
            began_ms=self.began_ms,
            status=self.status,
            headers=self._headers,
            head_ms=None if self._head_ms is None else self._head_ms - self.began_ms,
            events=tuple(self._arrivals),
            comments_ms=tuple(self._comments_ms),
            reads=tuple(self._reads),
            ending=self.ending,
            failure="; ".join(self.failures),
            end_ms=max(0.0, self._end_ms - self.began_ms),
            done=self.content.done,
            expected=self.content.expected,
            runs=tuple(self.content.runs),
            run=self.content.run,
            seen=self.content.seen,
            wire_bytes=body.wire_bytes,
            body_bytes=body.decoded_bytes,
            members=body.gzip_members,
            lag_ms=lag_ms,
        )

    def _header(self, name: str) -> str:
        return ", ".join(value for key, value in self._headers if key.lower() == name)

    def _note_read(self, wire_bytes: int) -> None:
        if not self._read_is_new:  # another frame or chunk of the same read
            wire_bytes += self._reads.pop().wire_bytes
        self._read_is_new = False
        self._reads.append(Read(self._now_ms - self.began_ms, wire_bytes))
        if len(self._reads) >= self.limits.reads:
            self.end(Ending.STOPPED, f"body: expected fewer than {self.limits.reads} reads, got as many")

    def _arrive(self, event: Event, end_byte: int) -> None:
        came_ms = self._now_ms - self.began_ms
        if event.comments:
            self._comments_ms.append(came_ms)
        if (numbered := self.content.take(event)) is None:
            self._others += 1
        else:
            arrival = Arrival(numbered[0], came_ms, numbered[1], len(self._reads) - 1, end_byte)
            self._arrivals.append(arrival)
            self.on_event(arrival)
        if max(len(self._arrivals), self._others) >= self.limits.events:
            self.end(Ending.STOPPED, f"body: expected fewer than {self.limits.events} events, got as many")

    def _unexpected(self) -> Iterator[str]:
        """Say what about the answer, however it ended, is not as a stream's."""
        if self.status is None or self._body is None or self.head_only:
            return
        kind = self._header("content-type")
        if self.status != _OK or kind.partition(";")[0].strip().lower() != EVENT_STREAM:
            shown = f": {self._body.shown!r}" if self._body.shown else ""
            yield f"expected 200 {EVENT_STREAM}, got {self.status} {kind[:_SHOWN_CHARS]!r}{shown}"
        if self._body.failure:
            yield self._body.failure
        elif self.ending in {Ending.FRAMED, Ending.CLOSED} and not self._body.is_whole:
            coding = self._header("content-encoding")
            yield f"body: expected {coding!r} to come to its own end, got the response's end before it"
        if self.content.is_drip and self.content.others and not self._arrivals:
            yield f"expected a drip's numbered events, got {self.content.others} other events"
