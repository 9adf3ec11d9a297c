"""What a streamed response tells the hops it passes, so that none of them holds it.

Each of these is a request, not a guarantee: for every one of them there is a hop that ignores it.
"""

from collections.abc import Iterable

from streamgap.core.wire import STREAM_ID_HEADER
from streamgap.instrument.asgi.kinds import Header

_ID = STREAM_ID_HEADER.encode()
_EXPOSE = b"access-control-expose-headers"
_CACHE = b"cache-control"
# A length contradicts the opening comment; `connection` is illegal in HTTP/2 and HTTP/3.
_REMOVED = frozenset({b"content-length", b"connection", b"content-encoding", b"x-accel-buffering", b"incremental", _ID})


def stream_headers(headers: Iterable[Header], *, sid: str) -> list[Header]:
    """Return the headers of a streamed response: the app's own, and what lets it pass unhindered and be recognised."""
    own = [(name.lower(), value) for name, value in headers]
    stream_id = sid.encode()
    return [
        *((name, value) for name, value in own if name not in _REMOVED and name not in (_EXPOSE, _CACHE)),
        (_CACHE, _listed(own, _CACHE, b"no-cache", b"no-transform")),
        # Nine of thirteen compressors ignore no-transform, but none encodes what is encoded.
        (b"content-encoding", b"identity"),
        (b"x-accel-buffering", b"no"),
        (b"incremental", b"?1"),
        (_ID, stream_id),
        (_EXPOSE, _listed(own, _EXPOSE, _ID)),
        (b"server-timing", b'sid;desc="%b"' % stream_id),
    ]


def _listed(headers: Iterable[Header], name: bytes, *wanted: bytes) -> bytes:
    """Merge every line of a list header into one, and add what is missing."""
    items = [item.strip() for key, value in headers if key == name for item in value.split(b",") if item.strip()]
    present = {item.lower() for item in items}
    return b", ".join([*items, *(item for item in wanted if item not in present)])
