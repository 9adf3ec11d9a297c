"""The app under test, run by the real uvicorn: google-genai → FastAPI → streamgap, and a log of its own writes.

The log is the truth the collector is checked against. It is written outside the middleware, by counting what this app
itself put into the stream, and shares no code with streamgap.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, StreamingResponse
from google import genai
from google.genai import types
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import streamgap
from streamgap import shipped

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
ANTI_BUFFERING = (b"x-accel-buffering", b"content-encoding", b"cache-control", b"incremental")


class WriteLog:
    """Logs, per stream, when the request came and when each content event had been handed to the server."""

    def __init__(self, app: Any, path: Path) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request; `x-bare` takes the anti-buffering headers away, as other stacks do not send them."""
        if scope["type"] != "http" or not scope["path"].startswith("/stream"):
            await self._app(scope, receive, send)
            return
        zero = time.perf_counter()
        bare = (b"x-bare", b"1") in scope["headers"]
        entry: dict[str, Any] = {"sid": None, "at": []}

        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["sid"] = dict(message["headers"]).get(b"x-stream-id", b"").decode()
                if bare:
                    message["headers"] = [h for h in message["headers"] if h[0].lower() not in ANTI_BUFFERING]
            await send(message)
            written = message.get("body", b"").count(b'data: {"t":')
            entry["at"] += [(time.perf_counter() - zero) * 1000] * written

        try:
            await self._app(scope, receive, logged)
        finally:
            with self._path.open("a") as log:
                log.write(json.dumps(entry) + "\n")


def make_app() -> Any:
    """Build the app from its environment."""
    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=os.environ["ORIGIN_TRACES"], timeout=2)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    trace.set_tracer_provider(provider)
    streamgap.instrument_genai()
    client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=os.environ["ORIGIN_GEMINI"]))
    app = FastAPI()
    app.add_middleware(streamgap.StreamGapMiddleware)

    async def answer() -> AsyncIterator[bytes]:
        async for chunk in await client.aio.models.generate_content_stream(model="gemini-3.5-flash", contents="hi"):
            if chunk.text:
                yield streamgap.sse_event({"t": chunk.text})
        yield streamgap.sse_event({}, event="done")

    @app.api_route("/stream", methods=["GET", "POST"])
    async def stream() -> StreamingResponse:
        return StreamingResponse(answer(), media_type="text/event-stream")

    @app.get("/page")
    async def page() -> FileResponse:
        return FileResponse(Path(__file__).with_name("page.html"))

    @app.get("/beacon.js")
    async def beacon() -> FileResponse:
        return FileResponse(shipped.path("beacon_js", "beacon.iife.js"))

    return WriteLog(app, Path(os.environ["ORIGIN_LOG"]))
