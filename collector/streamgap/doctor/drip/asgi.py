"""`Drip`: one line in an ASGI app."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from streamgap.doctor.drip.answering import Answering
from streamgap.doctor.drip.limits import MAX_REQUEST_BODY_BYTES, Limits
from streamgap.doctor.drip.refusals import RefusedError, too_long
from streamgap.doctor.drip.request import Clock, Headers, Request
from streamgap.doctor.drip.streaming import Streaming

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

# `streamgap.instrument`'s middleware leaves such a response alone (its kinds.TAKEN): no hint and no heartbeat of its
# own would be told from those of the plan, and a drip is no answer to measure.
_TAKEN = "streamgap.taken"


class Drip:
    """An ASGI app that streams numbered events as its query asks, to mount beside the route that streams answers.

    `token`: who does not know it gets 403 (None: everybody may ask). `limits`: what it may cost. `clock` is monotonic,
    in seconds, and `sleep` waits on it. Runs on asyncio. Raises SettingsError for a token that no request can carry.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        limits: Limits | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._answering = Answering(token=token, limits=limits, clock=clock)
        self._sleep = sleep

    @property
    def in_flight(self) -> int:
        """How many of its streams run now in this process."""
        return self._answering.seats.taken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            raise RuntimeError(f"drip: expected a connection of type 'http', got {scope['type']!r}")
        try:
            with contextlib.closing(self._grant(scope)) as streaming:
                await self._serve(streaming, receive, send)
        except RefusedError as refused:
            await send({"type": "http.response.start", "status": refused.status, "headers": _raw(refused.headers)})
            await send({"type": "http.response.body", "body": refused.body})

    def _grant(self, scope: Scope) -> Streaming:
        return self._answering.grant(request_of(scope, began_s=self._answering.clock()))

    async def _serve(self, streaming: Streaming, receive: Receive, send: Send) -> None:
        # A client that has not taken the stream in so long is not told more.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._answering.patience_s):
                await _read_body(receive)
                await _unless_left(self._stream(streaming, send), receive)

    async def _stream(self, streaming: Streaming, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _raw(streaming.headers), _TAKEN: True})
        async for event in PacedBody(streaming, sleep=self._sleep):
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class PacedBody:
    """The writes of a stream, each when it is due. `close` gives its seat back, also where nobody began to read."""

    def __init__(self, streaming: Streaming, *, sleep: Sleep) -> None:
        self.close = streaming.close
        self._streaming = streaming
        self._steps = streaming.steps()
        self._sleep = sleep

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if (step := next(self._steps, None)) is None:
            raise StopAsyncIteration
        # Also where it is late: `send` need not yield to the loop, and other requests have a right to it.
        await self._sleep(self._streaming.wait_s(step))
        return self._streaming.write(step)


def request_of(scope: Scope, *, began_s: float) -> Request:
    """Read a scope of ASGI."""
    return Request(
        method=scope["method"],
        protocol=f"HTTP/{scope.get('http_version', '?')}",
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
        began_s=began_s,
    )


async def _read_body(receive: Receive) -> None:
    """Read the request's body, which says nothing. Raises RefusedError where it is too long."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
        if size > MAX_REQUEST_BODY_BYTES:
            raise too_long()


async def _unless_left(stream: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Run `stream` to its end, or drop it as soon as the client is gone."""
    streaming, leaving = asyncio.create_task(stream), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if streaming.done():
            with contextlib.suppress(OSError):  # what a server may raise instead of telling of the disconnect
                streaming.result()
    finally:
        streaming.cancel()
        leaving.cancel()
        await asyncio.gather(streaming, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
