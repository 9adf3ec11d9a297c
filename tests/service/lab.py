"""What the tests of the service share: a clock to turn by hand, a served collector, and a bare HTTP client."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from halves import SID, client_half, server_half
from streamgap.core.join import JoinedStream
from streamgap.core.wire import dump_client
from streamgap.service.collector import Collector
from streamgap.service.joiner import Joiner
from streamgap.service.script import BeaconScript
from streamgap.service.serve import serve

SCRIPT = BeaconScript(b"/* beacon */")
PACE_MS = [500.0, 550.0, 600.0]
PATIENCE_S = 30.0


@dataclass(slots=True)
class Clock:
    """Seconds that pass when told to."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class Caught:
    """A sink that keeps what it gets."""

    streams: list[JoinedStream] = field(default_factory=list)

    def emit(self, stream: JoinedStream) -> None:
        self.streams.append(stream)


def body(offsets_ms: Iterable[float] = (600.0, 650.0, 700.0), **fields: Any) -> bytes:
    """Return the body of a beacon."""
    return dump_client(client_half(list(offsets_ms), **fields))


def samples(joiner: Joiner) -> dict[tuple[str, frozenset[tuple[str, str]]], Sample]:
    """Return every sample of the OpenMetrics exposition by name and labels."""
    text = generate_latest(joiner.meters.registry).decode()  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {(s.name, frozenset(s.labels.items())): s for family in families for s in family.samples}


def value(joiner: Joiner, name: str, **labels: str) -> float:
    """Return the value of one sample."""
    return float(samples(joiner)[name, frozenset(labels.items())].value)


def join_one(joiner: Joiner, sid: str = SID, **fields: Any) -> None:
    """Let one healthy stream through, the server half first; fields ending in `_` are the server's."""
    server = {name.removesuffix("_"): fields.pop(name) for name in list(fields) if name.endswith("_")}
    assert joiner.offer_server(server_half(PACE_MS, **{"sid": sid} | server)) is None
    assert joiner.offer_client(body(sid=sid, **fields)) is None


@dataclass(frozen=True, slots=True)
class Served:
    """A collector on two real listeners."""

    collector: Collector
    public_port: int
    admin_port: int
    stop: asyncio.Event


@contextlib.asynccontextmanager
async def served(collector: Collector, *, max_receive_s: float = PATIENCE_S) -> AsyncIterator[Served]:
    """Serve until the block ends, then drain as the program does."""
    stop = asyncio.Event()
    public, admin = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    running = asyncio.create_task(serve(collector, stop=stop, public=public, admin=admin, max_receive_s=max_receive_s))
    try:
        yield Served(collector, public.getsockname()[1], admin.getsockname()[1], stop)
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await running


async def until(check: Callable[[], bool], what: str) -> None:
    """Return once `check` holds; fail after `PATIENCE_S` and say what was awaited."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


async def http(port: int, request: bytes) -> Response:
    """Send bytes as they are and read one response up to its announced end, or to the connection's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE_S):
            return await read_response(reader, head=request.startswith(b"HEAD "))
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_response(reader: asyncio.StreamReader, *, head: bool = False) -> Response:
    """Read one response."""
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    length = 0 if head else int(headers.get("content-length", 0))
    return Response(int(status.split()[1]), headers, await reader.readexactly(length))


def post(payload: bytes, *headers: str, path: str = "/v1/beacon", method: str = "POST") -> bytes:
    """Write a request; a page of the collector's own host unless `headers` name an Origin."""
    lines = [f"{method} {path} HTTP/1.1", "Host: collector.test", *headers]
    if not any(line.lower().startswith("origin:") for line in headers):
        lines.append("Origin: https://collector.test")
    if not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in headers):
        lines.append(f"Content-Length: {len(payload)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload


def get(path: str, *headers: str) -> bytes:
    """Write a GET request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: collector.test", *headers, "", ""]).encode()
