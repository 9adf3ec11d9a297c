"""What Content-Encoding names, undone: what a flush let out is here at once."""

from collections.abc import Callable, Iterable, Iterator

from streamgap.core.errors import StreamgapError
from streamgap.doctor.client.inflating import (
    GZIP_BITS,
    RAW_BITS,
    ZLIB_BITS,
    Inflate,
    Stream,
    Unbrotli,
    Unzstd,
    WrongBytesError,
)

_MAX_CODINGS = 4
_SHOWN_BYTES = 16
_ZLIB_HEAD_BYTES = 2


class CodingError(StreamgapError):
    """A body that is not what its Content-Encoding says, or a coding that is not known."""


class Coding:
    """One coding whose streams may stand one behind another (gzip members, zstd frames): all of them are decoded.

    Half of the clients in use stop at the first (measured: Chromium, curl and httpx do, undici and urllib3 do not).
    `members` counts those that began.
    """

    def __init__(self, name: str, start: Callable[[bytes], Stream], *, head_bytes: int = 1) -> None:
        self.name = name
        self.members = 0
        self._start = start
        self._head_bytes = head_bytes
        self._head = b""
        self._open: Stream | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield all that `data` lets be decoded; raises CodingError."""
        while data:
            if self._open is None:
                self._head += data
                if len(self._head) < self._head_bytes:
                    return
                data, self._head = self._head, b""
                self._open = self._start(data)
                self.members += 1
            try:
                yield from self._open.pieces(data)
            except WrongBytesError as error:
                raise CodingError(f"body: expected {self.name}, got {data[:_SHOWN_BYTES]!r}… ({error})") from error
            data = b""
            if self._open.eof:
                data, self._open = self._open.rest, None

    @property
    def is_whole(self) -> bool:
        """Whether no member is open."""
        return self._open is None and not self._head


class Decoder:
    """Several codings, undone in the order given; none: the bytes as they are."""

    def __init__(self, codings: Iterable[Coding]) -> None:
        self._codings = tuple(codings)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield all that `data` lets be decoded; raises CodingError."""
        return _through(data, self._codings)

    @property
    def gzip_members(self) -> int:
        """How many gzip members began."""
        return sum(coding.members for coding in self._codings if coding.name == "gzip")

    @property
    def is_whole(self) -> bool:
        """Whether every coding that began came to its own end."""
        return all(coding.is_whole for coding in self._codings)


def decoder_of(encoding: str) -> Decoder:
    """Return what undoes a Content-Encoding; raises CodingError for one that is not known."""
    names = [name.strip().lower().removeprefix("x-") for name in encoding.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    if len(names) > _MAX_CODINGS:
        raise CodingError(f"content-encoding: expected at most {_MAX_CODINGS} codings, got {len(names)}")
    return Decoder(_coding(name) for name in reversed(names))


def _coding(name: str) -> Coding:
    match name:
        case "gzip":
            return Coding(name, lambda _: Inflate(GZIP_BITS))
        case "deflate":
            return Coding(name, _deflate, head_bytes=_ZLIB_HEAD_BYTES)
        case "br":
            return Coding(name, lambda _: Unbrotli())
        case "zstd":
            return Coding(name, lambda _: Unzstd())
    raise CodingError(f"content-encoding: expected gzip, deflate, br, zstd or identity, got {name[:80]!r}")


def _deflate(data: bytes) -> Stream:
    """Tell zlib's header, which the RFC demands, from the bare deflate that some send: RFC 1950 § 2.2."""
    has_head = data[0] & 15 == 8 and int.from_bytes(data[:_ZLIB_HEAD_BYTES]) % 31 == 0  # noqa: PLR2004
    return Inflate(ZLIB_BITS if has_head else RAW_BITS)


def _through(data: bytes, codings: tuple[Coding, ...]) -> Iterator[bytes]:
    if not codings:
        yield data
        return
    for piece in codings[0].feed(data):
        yield from _through(piece, codings[1:])
