"""The servers of streams.py: one answer, streamed in the ways that a FastAPI app can stream it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse as NativeResponse
from fastapi.sse import ServerSentEvent as NativeEvent
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from streamgap.core.sse import sse_event
from streamgap.relay import EventStream, Relay

EVERY_S = float(os.environ.get("BENCH_EVERY_S", "0.05"))
TEXT = "of the answer, a few words"
SSE = "text/event-stream"


async def model() -> AsyncIterator[str]:
    """Say something every `EVERY_S` seconds, for ever."""
    while True:
        await asyncio.sleep(EVERY_S)
        yield TEXT


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream without any framework, until the client has left: the limit."""
    await receive()
    if scope["path"] != "/":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})
        return

    async def stream() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE.encode())]})
        async for text in model():
            await send({"type": "http.response.body", "body": sse_event({"t": text}), "more_body": True})

    streaming = asyncio.create_task(stream())
    await receive()
    streaming.cancel()


def plain() -> FastAPI:
    """Stream by Starlette's `StreamingResponse`."""
    app = FastAPI()

    async def events() -> AsyncIterator[bytes]:
        async for text in model():
            yield sse_event({"t": text})

    @app.get("/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(events(), media_type=SSE)

    return app


def sse_starlette() -> FastAPI:
    """Stream by sse-starlette."""
    app = FastAPI()

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for text in model():
            yield ServerSentEvent(data=json.dumps({"t": text}, separators=(",", ":")))

    @app.get("/")
    async def stream() -> EventSourceResponse:
        return EventSourceResponse(events())

    return app


def native() -> FastAPI:
    """Stream by FastAPI's own server-sent events."""
    app = FastAPI()

    @app.get("/", response_class=NativeResponse)
    async def stream() -> AsyncIterator[NativeEvent]:
        async for text in model():
            yield NativeEvent(data={"t": text})

    return app


def relay() -> FastAPI:
    """Stream by the relay: every key its own generation, with headers, heartbeats, resumption and measuring."""
    app = FastAPI()
    ours = Relay(grace_s=0)

    @app.get("/")
    async def stream() -> EventStream:
        return ours.stream(model, asked="bench")

    return app
