"""The ways in which one URL is asked, in turn: what one of them holds another may let through."""

from streamgap.core.probe import Asked, Pace, Protocol, Segment
from streamgap.doctor.examine import BROWSER_ENCODINGS

# Several silences, for a compressor that is one event behind shows only in the last event before one, and not in each
# (measured: HAProxy 2.6.12, 58 to 82 % of events). Large writes at the end: Caddy 2.6 compresses from 512 bytes on.
GLANCE: Pace = (
    Segment(count=8, gap_ms=60.0, size_bytes=110, silence_ms=300.0),
    Segment(count=3, gap_ms=60.0, size_bytes=110, silence_ms=300.0),
    Segment(count=3, gap_ms=60.0, size_bytes=200, silence_ms=300.0),
    Segment(count=3, gap_ms=60.0, size_bytes=300, silence_ms=300.0),
    Segment(count=8, gap_ms=20.0, size_bytes=900, silence_ms=300.0),
)


def ways_of(*, tls: bool) -> tuple[Asked, ...]:
    """Return as a browser without h2 asks, without compression, and over TLS as a browser with h2 asks."""
    base = Protocol.TLS if tls else Protocol.CLEAR
    ordinary = Asked(name="ordinary", protocol=base, accept_encoding=BROWSER_ENCODINGS)
    identity = Asked(name="identity", protocol=base, accept_encoding="identity")
    h2 = (Asked(name="h2", protocol=Protocol.H2, accept_encoding=BROWSER_ENCODINGS),) if tls else ()
    return (ordinary, *h2, identity)
