"""ASGI middlewares that hold bytes in the ways that hand-written ones do."""

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Send], Awaitable[None]]
_GZIP = 31  # wbits: the largest window, and the header and trailer of gzip


class Rechunked:
    """Hands bytes on in pieces of `size_bytes`, cut anywhere; with `whole` in as many whole writes as fit in it."""

    def __init__(self, app: App, *, size_bytes: int, whole: bool = False) -> None:
        self._app = app
        self._size_bytes = size_bytes
        self._whole = whole

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        kept = bytearray()

        async def held(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            body = message.get("body", b"")
            if self._whole and kept and len(kept) + len(body) > self._size_bytes:
                await send(piece(bytes(kept)))
                kept.clear()
            kept.extend(body)
            while not self._whole and len(kept) >= self._size_bytes:
                await send(piece(bytes(kept[: self._size_bytes])))
                del kept[: self._size_bytes]
            if not message.get("more_body", False):
                await send({"type": "http.response.body", "body": bytes(kept)})

        await self._app(scope, receive, held)


class Timed:
    """Hands on what has gathered every `period_s` seconds."""

    def __init__(self, app: App, *, period_s: float) -> None:
        self._app = app
        self._period_s = period_s

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        kept = bytearray()

        async def held(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            kept.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await send({"type": "http.response.body", "body": bytes(kept)})

        async def flush() -> None:
            while True:
                await asyncio.sleep(self._period_s)
                if kept:
                    body = bytes(kept)
                    kept.clear()
                    await send(piece(body))

        flushing = asyncio.create_task(flush())
        try:
            await self._app(scope, receive, held)
        finally:
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing


class HandmadeGzip:
    """Compresses whatever accepts gzip; `flush` is what it does after each write."""

    def __init__(self, app: App, *, flush: bool) -> None:
        self._app = app
        self._flush = flush

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        if b"gzip" not in accepted:
            await self._app(scope, receive, send)
            return
        packer = zlib.compressobj(wbits=_GZIP)

        async def packed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() != b"content-encoding"]
                await send({**message, "headers": [*kept, (b"content-encoding", b"gzip")]})
                return
            more = message.get("more_body", False)
            body = packer.compress(message.get("body", b""))
            if self._flush or not more:
                body += packer.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)
            if body or not more:
                await send({"type": "http.response.body", "body": body, "more_body": more})

        await self._app(scope, receive, packed)


class Headed:
    """Sends a header of its own, as an app would: `line` is name and value, as remedies write it."""

    def __init__(self, app: App, *, line: str) -> None:
        self._app = app
        name, _, value = line.partition(": ")
        self._header = (name.lower().encode(), value.encode())

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [header for header in message["headers"] if header[0] != self._header[0]]
                message = {**message, "headers": [*kept, self._header]}
            await send(message)

        await self._app(scope, receive, headed)


class BodyLog(BaseHTTPMiddleware):
    """The logging middleware of a thousand blog posts: it joins the body to look at it."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        body = b"".join([part async for part in response.body_iterator])
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return Response(body, status_code=response.status_code, headers=headers)


class Watched:
    """A middleware that sees every message as it passes."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.seen = 0

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        async def seen(message: Message) -> None:
            self.seen += 1
            await send(message)

        await self._app(scope, receive, seen)


class PassedOn(BaseHTTPMiddleware):
    """A middleware of Starlette's convenient kind that only looks on."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response


def piece(body: bytes) -> Message:
    """Return a part of a body that is not the last one."""
    return {"type": "http.response.body", "body": body, "more_body": True}
