"""The collector inside somebody's own FastAPI app: one process, nothing else to run."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse

from service.lab import PATIENCE_S, Clock, body, get, http, post, until
from streamgap.core.sse import sse_event
from streamgap.instrument import StreamGapMiddleware
from streamgap.service.collector import Collector


def make_app(collector: Collector) -> FastAPI:
    """Return an app that streams, with the collector mounted as the docs say."""
    app = FastAPI()

    @app.get("/answer")
    async def answer() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            for word in ("three", "small", "words"):
                yield sse_event(word)

        return StreamingResponse(events(), media_type="text/event-stream")

    app.mount("/streamgap", collector.public)
    app.mount("/internal/streamgap", collector.admin)
    app.add_middleware(StreamGapMiddleware, sinks=[collector.offer_server])
    return app


async def run(app: FastAPI, talk: Callable[[int], Awaitable[None]]) -> None:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await talk(listener.getsockname()[1])
        finally:
            server.should_exit = True
            async with asyncio.timeout(PATIENCE_S):
                await running


@pytest.mark.parametrize("cors", [False, True])
async def test_one_process_joins_its_own_streams(make_collector: Callable[..., Collector], *, cors: bool) -> None:
    """The middleware's half and the page's beacon meet without any other process, also below CORS middleware."""
    collector = make_collector()
    app = make_app(collector)
    if cors:
        app.add_middleware(CORSMiddleware, allow_origins=["https://other.example"])

    async def talk(port: int) -> None:
        answer = await http(port, get("/answer", "x-stream-id: stream-0001"))
        assert answer.headers["x-stream-id"] == "stream-0001"
        for _ in range(2):
            beacon = await http(port, post(body(), path="/streamgap/v1/beacon"))
            assert beacon.status == 204
        assert (await http(port, get("/streamgap/beacon.js"))).status == 200
        assert (await http(port, get("/streamgap/metrics"))).status == 404
        status = json.loads((await http(port, get("/internal/streamgap/status"))).body)
        assert (status["server"]["joined"], status["client"]["duplicate"]) == (1, 1)
        metrics = (await http(port, get("/internal/streamgap/metrics"))).body.decode()
        assert 'streamgap_streams_total{route="/answer",verdict="flowing"} 1.0' in metrics
        assert (await http(port, get("/internal/streamgap/"))).headers["content-type"].startswith("text/html")

    await run(app, talk)
    await collector.stop()


async def test_it_ticks_without_a_lifespan(make_collector: Callable[..., Collector], clock: Clock) -> None:
    """The first request starts what lets old halves go."""
    collector = make_collector()

    async def talk(port: int) -> None:
        await http(port, post(body(), path="/streamgap/v1/beacon"))
        clock.now_s += 60.0
        await until(lambda: collector.joiner.waiting().client == 0, "the half to expire")

    await run(make_app(collector), talk)
    await collector.stop()


async def test_stopping_counts_what_waits(make_collector: Callable[..., Collector]) -> None:
    """After `stop` nothing waits and nothing was lost uncounted, started or not."""
    collector = make_collector()
    collector.offer_client(body())
    await collector.stop()
    assert collector.joiner.meters.ledger.unmatched.values["client", "shutdown"] == 1


async def test_a_websocket_is_turned_away(make_collector: Callable[..., Collector]) -> None:
    """The public app answers what it does not speak, instead of failing in the app it is mounted in."""
    collector = make_collector()
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    await collector.public({"type": "websocket", "path": "/v1/beacon"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]
    await collector.stop()
