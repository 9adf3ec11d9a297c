"""What one probe of a path brought back: the evidence that a diagnosis may rest on, and nothing else.

A probe is one request for a stream of numbered events. Where the stream is a *drip* (docs/drip.md) each event carries
its number and the offset at which the app wrote it, and the app says how it saw the request; any other stream has only
what the client saw. Times are ms: `wrote_ms` on the app's clock since it received the request, all others on the
client's clock since the request was sent. The two are compared by differences only, as the halves of a stream are.
"""

from enum import StrEnum

import msgspec

# Formulas and the figures behind every limit: docs/doctor.md.
EVENT_STREAM = "text/event-stream"


class Protocol(StrEnum):
    """The client's protocol to the first hop: the same nginx holds one and passes the other."""

    CLEAR = "http/1.1"
    TLS = "http/1.1+tls"
    H2 = "h2"


class Hint(StrEnum):
    """What an app may send to ask a path not to hold its bytes, each of which some hop ignores."""

    OPENING = "opening-comment"
    X_ACCEL = "x-accel-buffering"
    NO_TRANSFORM = "no-transform"
    IDENTITY = "content-encoding-identity"
    INCREMENTAL = "incremental"


class Ending(StrEnum):
    """How the transfer ended, told apart by framing (RFC 9112 § 6.3, § 8; RFC 9113 § 8.1)."""

    FRAMED = "framed"  # last chunk, whole Content-Length, or END_STREAM
    CLOSED = "closed"  # FIN of a body that only the close delimits: complete or not, nobody can tell
    TRUNCATED = "truncated"  # FIN inside a framed body
    RESET = "reset"  # RST, or RST_STREAM / GOAWAY
    TIMED_OUT = "timed_out"  # nothing ended it in the time given
    STOPPED = "stopped"  # by us: enough was seen, or a bound was reached
    REFUSED = "refused"  # no response came: see `failure`


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """`count` events of about `size_bytes` each, one every `gap_ms`, after `silence_ms` without any."""

    count: int
    gap_ms: float
    size_bytes: int
    silence_ms: float = 0.0


Pace = tuple[Segment, ...]

# Slow and small, then silence, then fast and large: one rate cannot tell a buffer from a timer, and an event that waits
# for the next one shows before a silence only. A drip that is asked for nothing else writes this.
ORDINARY: Pace = (
    Segment(count=20, gap_ms=60.0, size_bytes=110, silence_ms=300.0),
    Segment(count=150, gap_ms=8.0, size_bytes=700, silence_ms=900.0),
)
LARGE_FIRST: Pace = (
    Segment(count=60, gap_ms=8.0, size_bytes=900, silence_ms=300.0),
    Segment(count=15, gap_ms=60.0, size_bytes=110, silence_ms=600.0),
)
SHORT: Pace = (
    Segment(count=12, gap_ms=50.0, size_bytes=110, silence_ms=200.0),
    Segment(count=10, gap_ms=20.0, size_bytes=500, silence_ms=400.0),
)


def pace_ms(pace: Pace) -> float:
    """Return how long a stream of this pace takes to write, in ms."""
    return sum(segment.silence_ms + segment.count * segment.gap_ms for segment in pace)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How the stream was asked for. `accept_encoding` is the header's value ("" sends none)."""

    name: str
    protocol: Protocol
    accept_encoding: str
    method: str = "GET"
    hints: frozenset[Hint] = frozenset()
    pace: Pace = ()
    heartbeat_ms: float = 0.0
    padding_bytes: int = 0


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """One complete event: its number, when it was complete, when it was written (None: unknown), and in which read.

    `end_byte` is the offset in the decoded body just behind its blank line.
    """

    index: int
    came_ms: float
    wrote_ms: float | None
    read: int
    end_byte: int


class Read(msgspec.Struct, frozen=True, array_like=True):
    """One receive from the socket: when, and how many bytes of body as transferred (before decoding, after framing)."""

    at_ms: float
    wire_bytes: int


class AppView(msgspec.Struct, frozen=True, kw_only=True):
    """The request as the app saw it behind the path: what the hops before it changed."""

    protocol: str = ""
    method: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    in_flight: int = 0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One request and all that came.

    `began_ms` places the request on the clock that all probes of one diagnosis share; `run` is the drip's random name
    of this very stream, `runs` every such name that events carried (a cache that replays shows another's). `expected`
    is the count the app announced; `done` says that the terminator came. `members` counts gzip members. `lag_ms` is the
    worst delay of the prober's own clock tick meanwhile: what the client itself may have added.
    """

    asked: Asked
    began_ms: float = 0.0
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    head_ms: float | None = None
    events: tuple[Arrival, ...] = ()
    comments_ms: tuple[float, ...] = ()
    reads: tuple[Read, ...] = ()
    ending: Ending
    failure: str = ""
    end_ms: float
    done: bool = False
    expected: int | None = None
    runs: tuple[str, ...] = ()
    run: str = ""
    seen: AppView | None = None
    wire_bytes: int = 0
    body_bytes: int = 0
    members: int = 0
    lag_ms: float = 0.0

    def header(self, name: str) -> str:
        """Return the values of a response header joined by `, `; "" where there is none. `name` is in lower case."""
        return ", ".join(value for key, value in self.headers if key.lower() == name)

    @property
    def encoding(self) -> str:
        """The response's content coding in lower case, "" for none."""
        coding = self.header("content-encoding").strip().lower()
        return "" if coding == "identity" else coding

    @property
    def is_stream(self) -> bool:
        """Whether a successful answer of server-sent events came."""
        media_type = self.header("content-type").partition(";")[0].strip().lower()
        return self.status == 200 and media_type == EVENT_STREAM  # noqa: PLR2004

    @property
    def timed(self) -> bool:
        """Whether the app's own write offsets came with the events."""
        return bool(self.events) and all(event.wrote_ms is not None for event in self.events)
