"""The drip under ASGI, bare and behind an unflushed compressor, and under WSGI; for more streams than are usual."""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from streamgap.doctor import Drip, DripWsgi
from streamgap.doctor.drip import Limits

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
LIMITS = Limits(max_concurrent=1000)
_GZIP = 31  # wbits: the largest window, and the header and trailer of gzip

drip = Drip(limits=LIMITS)
wsgi = DripWsgi(limits=LIMITS)


async def app(scope: Any, receive: Any, send: Send) -> None:
    """Serve the drip; below /gzip compressed, where that is accepted, and never flushed."""
    accepted = dict(scope.get("headers", ())).get(b"accept-encoding", b"")
    zipped = scope["type"] == "http" and scope["path"].startswith("/gzip") and b"gzip" in accepted
    await drip(scope, receive, compressed(send) if zipped else send)


def compressed(send: Send) -> Send:
    """Return a `send` that compresses as hand-written middleware does: all that it keeps leaves at the end."""
    compressor = zlib.compressobj(wbits=_GZIP)

    async def zipped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"content-encoding", b"gzip")]}
        else:
            more = message.get("more_body", False)
            body = compressor.compress(message.get("body", b"")) + (b"" if more else compressor.flush())
            message = {**message, "body": body}
        await send(message)

    return zipped
