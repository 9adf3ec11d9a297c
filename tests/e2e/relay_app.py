"""The relay's app under test, run by the real uvicorn: google-genai → FastAPI → Relay → StreamGapMiddleware.

Beside the answers it keeps a log of the requests for them, which is taken outside of everything that is streamgap's.
"""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI
from fastapi.responses import FileResponse
from google import genai
from google.genai import types
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import streamgap
from streamgap import shipped
from streamgap.relay import EventStream, Limits, Relay

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

MODEL = "gemini-3.5-flash"
RETRY_MS = (50, 150)
BUSY_MS = (200, 400)  # a person waits 5 to 15 s


class RequestLog:
    """Logs, as soon as its answer begins, what each request for an answer was and how it is answered.

    Its prompt ends with its key, wherever else it carries it.
    """

    def __init__(self, app: Any, path: Path) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or b"prompt=" not in scope["query_string"]:
            await self._app(scope, receive, send)
            return
        headers, query = dict(scope["headers"]), parse_qs(scope["query_string"].decode())

        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start":
                last = headers.get(b"last-event-id", b"").decode()
                entry = {
                    "cid": query["prompt"][0].split(" ")[-1],
                    "method": scope["method"],
                    "last": last,
                    "status": message["status"],
                }
                with self._path.open("a") as log:
                    log.write(json.dumps(entry) + "\n")
            await send(message)

        await self._app(scope, receive, logged)


def answering(relay: Relay, client: genai.Client) -> Callable[[str, float | None], Awaitable[EventStream]]:
    """Return the endpoint of a route whose answers `relay` keeps."""

    async def answer(prompt: str, grace_s: float | None = None) -> EventStream:
        return relay.stream(
            lambda: client.aio.models.generate_content_stream(model=MODEL, contents=prompt),
            asked=[MODEL, prompt],
            model=MODEL,
            grace_s=grace_s,
        )

    return answer


def make_app() -> Any:
    """Build the app from its environment."""
    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=os.environ["RELAY_TRACES"], timeout=2)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    trace.set_tracer_provider(provider)
    streamgap.instrument_genai()
    client = genai.Client(api_key="fake", http_options=types.HttpOptions(base_url=os.environ["RELAY_GEMINI"]))
    wide = Relay(grace_s=60, retry_ms=RETRY_MS)
    narrow = Relay(grace_s=60, retry_ms=RETRY_MS, busy_ms=BUSY_MS, limits=Limits(generations=1))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with wide, narrow:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(streamgap.StreamGapMiddleware)
    app.mount("/streams", wide.app)

    for route, relay in {"/chat": wide, "/narrow": narrow, "/whole": wide, "/broken": wide}.items():
        app.add_api_route(route, answering(relay, client), methods=["GET", "POST"], response_model=None)

    @app.get("/page")
    async def page() -> FileResponse:
        return FileResponse(Path(__file__).with_name("relay.html"))

    @app.get("/beacon.js")
    async def beacon() -> FileResponse:
        return FileResponse(shipped.path("beacon_js", "beacon.iife.js"))

    return RequestLog(app, Path(os.environ["RELAY_LOG"]))
