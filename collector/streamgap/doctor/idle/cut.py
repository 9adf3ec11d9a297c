"""What the streams of a measurement show together."""

from enum import StrEnum

import msgspec

from streamgap.core.probe import Ending


class Kind(StrEnum):
    """Which timer ends streams.

    `idle`: a silence. `age`: a total time, whatever is said meanwhile. `swallowed`: a silence that heartbeats ought to
    have broken, but did not reach the timer's hop. `first_byte`: a silence before the first byte only.
    """

    IDLE = "idle"
    AGE = "age"
    SWALLOWED = "swallowed"
    FIRST_BYTE = "first_byte"


class Swallower(StrEnum):
    """What keeps heartbeats back, told by which of them come through."""

    COMPRESSOR = "compressor"
    BUFFER = "buffer"
    PATH = "path"


class How(msgspec.Struct, frozen=True, kw_only=True):
    """How streams end. `status` is there where an error page came in place of the stream."""

    ending: Ending
    status: int | None = None


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A timer of the path: `at_s`, surely within `low_s`…`high_s`.

    `seen_s` is when the client saw the close (None: nothing closes, the stream is dropped silently); where it is
    later than the timer the hop closes late. `how` is None where nothing closes. `at_next_write`: the stream lives on
    until it speaks. `witnesses` streams agree; `survivors` were silent for longer and lived. `heartbeats_help`: None
    where that is not known.
    """

    kind: Kind
    at_s: float
    low_s: float
    high_s: float
    seen_s: float | None = None
    how: How | None = None
    at_next_write: bool = False
    witnesses: int = 1
    survivors: int = 0
    swallower: Swallower | None = None
    heartbeats_help: bool | None = None

    @property
    def silently(self) -> bool:
        """Whether nobody is told: the connection stays open."""
        return self.how is None

    @property
    def closes_late_s(self) -> float:
        """How long after the timer the connection was closed."""
        return 0.0 if self.seen_s is None else max(self.seen_s - self.at_s, 0.0)


class Wait(msgspec.Struct, frozen=True):
    """Not known yet."""


class Narrow(msgspec.Struct, frozen=True):
    """Streams are dropped after a silence between `low_s` and `high_s`: split that, as the rung of number `rung`."""

    low_s: float
    high_s: float
    rung: int


class Known(msgspec.Struct, frozen=True):
    """It is certain; None: nothing cuts a silent stream up to the longest silence."""

    cut: Cut | None


Step = Wait | Narrow | Known
