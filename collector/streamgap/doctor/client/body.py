"""The body of one response: decoded and cut into events, within a bound."""

from collections.abc import Iterator

from streamgap.core.sse_events import Event
from streamgap.doctor.client.boundaries import Boundaries
from streamgap.doctor.client.coding import CodingError, Decoder, decoder_of
from streamgap.doctor.client.limits import ClientLimits

_SHOWN_BYTES = 512


class Body:
    """Takes bytes as transferred, within the limits: behind one of them nothing more is read and `is_too_long` is true.

    What cannot be decoded is counted and not read; `failure` then says why. `shown` is how the decoded body begins: an
    error page, where it is no stream.
    """

    def __init__(self, encoding: str, *, limits: ClientLimits) -> None:
        self.failure = ""
        self.wire_bytes = 0
        self.decoded_bytes = 0
        self.shown = b""
        self._lines = 0
        self._limits = limits
        self._boundaries = Boundaries()
        self._decoder = Decoder(())
        try:
            self._decoder = decoder_of(encoding)
        except CodingError as error:
            self.failure = str(error)

    def feed(self, data: bytes) -> Iterator[tuple[Event, int]]:
        """Yield the events that `data` completed, each with its end in the decoded body."""
        self.wire_bytes += len(data)
        if self.failure:
            return
        try:
            for piece in self._decoder.feed(data):
                self.decoded_bytes += len(piece)
                self._lines += piece.count(b"\n") + piece.count(b"\r")
                if self.is_too_long:
                    return
                self.shown += piece[: _SHOWN_BYTES - len(self.shown)]
                yield from self._boundaries.feed(piece)
        except CodingError as error:
            self.failure = str(error)

    @property
    def is_too_long(self) -> bool:
        """Whether more came, or was decoded, than is read."""
        too_many = max(self.wire_bytes, self.decoded_bytes) > self._limits.body_bytes
        return too_many or self._lines > self._limits.lines

    @property
    def is_whole(self) -> bool:
        """Whether every coding that began came to its own end."""
        return bool(self.failure) or self._decoder.is_whole

    @property
    def gzip_members(self) -> int:
        """How many gzip members began."""
        return self._decoder.gzip_members
