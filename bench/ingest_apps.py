"""The servers that `ingest.py` compares, each run by the same uvicorn: `python -m uvicorn ingest_apps:<name>`.

`raw` reads the body and answers 204: the ceiling. `ours` is the whole collector: admission, strict decoding, the join
with a waiting server half, every histogram. `ours_otel` is the same in a process that has OpenTelemetry providers.
`ordinary` is what one writes first: a FastAPI route with a pydantic model and eight labelled prometheus-client
histograms; it joins nothing.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, Histogram
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from streamgap.core.catalog import TTFC_BUCKETS_S
from streamgap.core.timeline import Timeline
from streamgap.core.wire import ServerHalf
from streamgap.service import Collector, Settings

CHUNKS = 40
START = {"type": "http.response.start", "status": 204, "headers": []}
END = {"type": "http.response.body", "body": b""}


def offsets_ms(first_ms: float) -> list[float]:
    """Return the offsets of one stream, a chunk every 40 ms."""
    return [round(first_ms + 40.1 * i, 1) for i in range(CHUNKS)]


def stream_id(nth: int) -> str:
    """Return the id of the nth stream; wrk's script writes the same."""
    return f"bench{nth:011d}"


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, answer 204."""
    del scope
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(END)


def _server_halves() -> Callable[[str], ServerHalf]:
    timeline = Timeline()
    for at_ms in offsets_ms(600.0):
        timeline.arrive(1, at_ms)
    at, last = tuple(timeline.offsets.times_ms), timeline.last_ms or 0.0
    half = ServerHalf(
        sid=stream_id(0),
        route="/chat",
        model="gemini",
        call=5.0,
        answer=595.0,
        at=at,
        count=CHUNKS,
        last=last,
        dur=last,
        gaps=tuple(timeline.gaps),
    )
    return lambda sid: msgspec.structs.replace(half, sid=sid)


class Ours:
    """The collector's public listener, and a door through which the benchmark lays in server halves between rounds."""

    def __init__(self) -> None:
        settings = Settings(
            allow_origin=("https://app.example",), client_rate=1e9, client_burst=10**6, pending_entries=10**6
        )
        self._collector = Collector(settings)
        self._ids = itertools.count()
        self._half = _server_halves()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the collector; `POST /lay/<count>` lays in that many server halves, `GET /joined` counts the joined."""
        if scope["path"].startswith("/lay/"):
            for nth in itertools.islice(self._ids, int(scope["path"][5:])):
                self._collector.offer_server(self._half(stream_id(nth)))
                if nth % 1000 == 0:
                    await asyncio.sleep(0)
            await raw(scope, receive, send)
        elif scope["path"] == "/joined":
            joined = self._collector.joiner.meters.ledger.joined.total(half="client")
            await send({**START, "status": 200})
            await send({**END, "body": str(int(joined)).encode()})
        else:
            await self._collector.public(scope, receive, send)


def ours() -> Ours:
    """Build the collector."""
    return Ours()


def ours_otel() -> Ours:
    """Build the collector in a process with OpenTelemetry providers."""
    metrics.set_meter_provider(MeterProvider(metric_readers=[InMemoryMetricReader()]))
    trace.set_tracer_provider(TracerProvider())
    return Ours()


class Report(BaseModel):
    """The beacon as a pydantic model."""

    model_config = ConfigDict(extra="forbid")

    v: int
    sid: Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    page: str
    n: int
    final: bool
    via: str
    end: str
    status: int
    head: float
    byte: float
    paint: float
    at: list[Annotated[float, Field(ge=0, le=3_600_000)]]
    count: int
    last: float
    dur: float
    longest: float
    gaps: list[int]
    proto: str


def ordinary() -> FastAPI:
    """Build the route one writes first."""
    app = FastAPI()
    registry = CollectorRegistry()
    histograms = [
        Histogram(
            f"ordinary_{nth}_seconds", "One of eight.", ["route", "model"], buckets=TTFC_BUCKETS_S, registry=registry
        )
        for nth in range(8)
    ]

    @app.post("/v1/beacon", status_code=204)
    async def beacon(report: Report) -> None:
        for histogram in histograms:
            histogram.labels(route="/chat", model="gemini").observe(report.at[0] / 1000)

    return app
