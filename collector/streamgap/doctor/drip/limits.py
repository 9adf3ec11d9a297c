"""The bounds of a drip endpoint: what strangers can make it cost."""

from dataclasses import dataclass

from streamgap.core.errors import SettingsError

MIB = 1024 * 1024
MIN_EVENT_BYTES = 80
"""Room for the numbers of any event that the highest limits allow, and a word or two."""
MAX_EVENT_BYTES = 64 * 1024
MAX_REQUEST_BODY_BYTES = 64 * 1024

_MAX_EVENTS = 1_000_000
_MAX_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one `Drip` (one process) serves at most. Asking for more is answered with 400, for one stream more with 429.

    `max_bytes` counts the body before the transfer's framing: events and heartbeats. A client that reads more
    slowly than the stream is written is given up `grace_s` after `max_s`. Raises SettingsError for a limit that is out
    of its range.
    """

    max_events: int = 4000
    max_bytes: int = 4 * MIB
    max_s: float = 900.0
    max_concurrent: int = 64
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        _check("max_events", self.max_events, most=_MAX_EVENTS)
        _check("max_bytes", self.max_bytes, most=1024 * MIB)
        _check("max_s", self.max_s, most=_MAX_S)
        _check("max_concurrent", self.max_concurrent, most=_MAX_EVENTS)
        _check("grace_s", self.grace_s, most=_MAX_S)


def _check(name: str, value: float, *, most: float) -> None:
    if not 0 < value <= most:
        raise SettingsError(f"drip {name}: expected a number above 0 and up to {most:g}, got {value!r}")
