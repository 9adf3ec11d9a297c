"""The admin listener: metrics, traces in, health, status, API docs, and the live page at its root."""

import asyncio
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from prometheus_client.exposition import choose_encoder
from starlette.types import ASGIApp

from streamgap.core.wire import ClientHalf
from streamgap.service.api_docs import docs_page
from streamgap.service.joiner import Joiner
from streamgap.service.public import BEACON_PATH
from streamgap.service.status import Status, status_of
from streamgap.service.traces import JSON, PROTOBUF, TRACES_PATH, receive_traces

DESCRIPTION = (
    "Joins what an app server streamed with what the browser saw. The beacon endpoint below is served by the public "
    "listener; everything else by this one."
)


def create_admin_app(joiner: Joiner, *, draining: Callable[[], bool], live: ASGIApp | None = None) -> FastAPI:
    """Return the app of the admin listener, with `live` at its root. `draining` makes /readyz answer 503."""
    app = FastAPI(
        title="streamgap collector",
        description=DESCRIPTION,
        version=version("streamgap"),
        docs_url=None,
        redoc_url=None,
        **_quiet(),
    )
    _add_health(app, draining)
    _add_metrics(app, joiner)
    _add_status(app, joiner, draining)
    _add_traces(app, joiner)
    _describe_beacon(app)
    _add_docs(app)
    if live is not None:
        app.mount("/", live)
    return app


def _quiet() -> dict[str, Any]:
    """Switch off FastAPI's own telemetry, which costs each request some 0.2 ms where the process has SDK providers."""
    known = "telemetry" in inspect.signature(FastAPI.__init__).parameters
    off = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
    return {"telemetry": off} if known else {}


def _add_health(app: FastAPI, draining: Callable[[], bool]) -> None:
    @app.get("/healthz", summary="Is the process alive?", response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @app.get(
        "/readyz",
        summary="Should it get traffic?",
        response_class=PlainTextResponse,
        responses={503: {"description": "It is shutting down."}},
    )
    async def readyz() -> PlainTextResponse:
        return PlainTextResponse("draining\n", 503) if draining() else PlainTextResponse("ready\n")


def _add_metrics(app: FastAPI, joiner: Joiner) -> None:
    @app.get("/metrics", summary="Metrics as Prometheus text, or OpenMetrics with exemplars", response_class=Response)
    async def metrics(request: Request) -> Response:
        joiner.tick()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        # Rendering ten thousand lines takes about 0.1 s: in a thread, on a copy, it does not keep beacons waiting.
        text = await asyncio.to_thread(encode, joiner.snapshot())
        return Response(text, headers={"content-type": content_type})


def _add_status(app: FastAPI, joiner: Joiner, draining: Callable[[], bool]) -> None:
    @app.get(
        "/status",
        summary="Coverage, the conservation law in numbers, the last refusals, advice",
        response_class=Response,
        description=str(Status.__doc__),
        responses={200: {"content": {JSON: {}}}},
    )
    async def status() -> Response:
        body = msgspec.json.encode(status_of(joiner, version=app.version, draining=draining()))
        return Response(body, media_type=JSON, headers={"cache-control": "no-store"})


def _add_traces(app: FastAPI, joiner: Joiner) -> None:
    @app.post(
        TRACES_PATH,
        summary="Server halves, as any OTLP/HTTP trace exporter sends them",
        response_class=Response,
        openapi_extra={"requestBody": {"content": {PROTOBUF: {}, JSON: {}}}},
        responses={200: {"content": {PROTOBUF: {}, JSON: {}}}},
    )
    async def traces(request: Request) -> Response:
        answer = await receive_traces(
            joiner,
            content_type=request.headers.get("content-type", ""),
            content_encoding=request.headers.get("content-encoding", ""),
            chunks=request.stream(),
        )
        return Response(answer.body, answer.status, media_type=answer.media_type)


def _add_docs(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    async def docs() -> str:
        return docs_page(app.openapi())


def _describe_beacon(app: FastAPI) -> None:
    """Put the public listener's endpoint into the API docs, where people look for it."""
    (reference,), components = msgspec.json.schema_components([ClientHalf])
    schema = components.get("ClientHalf", reference)
    inherited = app.openapi

    def openapi() -> dict[str, Any]:
        document = inherited()
        document["paths"][BEACON_PATH] = {
            "post": {
                "summary": "Client half (on the public listener)",
                "requestBody": {"content": {"text/plain": {"schema": schema}}},
                "responses": {"204": {"description": "Taken, whatever became of it"}},
            }
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the document
