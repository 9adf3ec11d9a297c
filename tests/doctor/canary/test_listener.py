"""The canary's own server answers scrapers, and lets nobody keep it busy."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import h11
import pytest

from streamgap.doctor.canary import listener
from streamgap.doctor.canary.listener import MAX_CONNECTIONS, listening

PATIENCE_S = 10.0


def render(accept: str) -> tuple[str, bytes]:
    return "text/plain; version=0.0.4", f"asked {accept}\n".encode()


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[int]:
    sock = socket.create_server(("127.0.0.1", 0))
    async with listening(sock, render=render):
        yield sock.getsockname()[1]


async def answer(port: int, request: bytes) -> str:
    """Return all that comes back for these bytes, with the socket left open on our side."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            return (await reader.read()).decode()
        except ConnectionResetError:
            return ""
        finally:
            writer.close()


def asking(target: str, *, method: str = "GET", extra: str = "") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: canary\r\n{extra}\r\n".encode()


async def test_metrics_are_rendered_for_who_asks() -> None:
    """The `Accept` header decides the format; the length is told and the connection ends."""
    async with serving() as port:
        said = await answer(port, asking("/metrics?x=1", extra="Accept: application/openmetrics-text\r\n"))
    head, _, body = said.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert "content-type: text/plain; version=0.0.4" in head.lower()
    assert "connection: close" in head.lower()
    assert f"content-length: {len(body)}" in head.lower()
    assert body == "asked application/openmetrics-text\n"


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (asking("/healthz"), 200, "ok\n"),
        (asking("/healthz", method="HEAD"), 200, ""),
        (asking("/"), 404, "expected /metrics or /healthz\n"),
        (asking("/metrics", method="DELETE"), 405, "expected GET\n"),
        (asking("/metrics", method="POST", extra="Content-Length: 99\r\n"), 405, "expected GET\n"),
    ],
)
async def test_other_requests_get_a_fitting_answer(request_: bytes, status: int, body: str) -> None:
    """Health is a plain ok, the rest is refused in words."""
    async with serving() as port:
        head, _, said = (await answer(port, request_)).partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}")
    assert said == body


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET\r\n\r\n", b"a" * 200_000])
async def test_what_is_no_http_is_let_go(garbage: bytes) -> None:
    """TLS, broken request lines and endless ones end their own connection only."""
    async with serving() as port:
        assert await answer(port, garbage) == ""
        assert "200" in await answer(port, asking("/healthz"))


async def test_a_slow_request_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says half a request and waits, is not waited for."""
    monkeypatch.setattr(listener, "RECEIVE_S", 0.05)
    async with serving() as port:
        assert await answer(port, b"GET /metrics HT") == ""


async def test_connections_are_bounded() -> None:
    """Past the bound a connection is closed at once, and those before it still get their answer."""
    async with serving() as port, contextlib.AsyncExitStack() as closing:
        held = []
        for _ in range(MAX_CONNECTIONS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            closing.callback(writer.close)
            held.append((reader, writer))
        assert await answer(port, b"") == ""
        reader, writer = held[0]
        writer.write(asking("/healthz"))
        assert b"200" in await reader.read()


async def test_ending_ends_open_connections() -> None:
    """A scraper that says nothing does not keep the canary from ending."""
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET ")
        await writer.drain()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    writer.close()


def test_h11_is_the_one_that_bounds_a_request() -> None:
    """The bound on a request's head is the library's own default."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET /" + b"a" * 200_000)
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
