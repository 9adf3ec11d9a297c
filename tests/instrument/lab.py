"""Real parts to test with: uvicorn in the test's own loop, and a client that is nothing but a socket."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import uvicorn

from streamgap.core.wire import ServerHalf
from streamgap.demo.fake_gemini import Script, Step

PATIENCE_S = 10.0
MODEL = "gemini-3.5-flash"
HOST = "127.0.0.1"


def playing(*steps: Step) -> Script:
    return lambda _request: steps


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that other tasks and threads bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110, what happens in other threads sets no event of this loop
            await asyncio.sleep(0.002)


class Ticks:
    """A clock that says when: each reading is `step_ms` after the one before."""

    def __init__(self, *, step_ms: int) -> None:
        self.now_ns = 0
        self._step_ns = step_ms * 1_000_000

    def __call__(self) -> int:
        self.now_ns += self._step_ns
        return self.now_ns


def chat_chunk(text: str | None, *, finish: str | None = None) -> SimpleNamespace:
    """Make a chunk of the OpenAI chat shape."""
    choice = SimpleNamespace(delta=SimpleNamespace(content=text), finish_reason=finish)
    return SimpleNamespace(choices=[choice], usage=None, model="gpt-x")


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """Serve an ASGI app with uvicorn; the port."""
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(app, lifespan="off", ws="none", log_level="critical", timeout_graceful_shutdown=1)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Not `serve()` and `shutdown()`, which sleep 0.1 s each.
    await server.startup(sockets=[listener])
    try:
        yield listener.getsockname()[1]
    finally:
        for listening in server.servers:
            listening.close()
        state: Any = server.server_state
        for connection in tuple(state.connections):
            connection.transport.close()
        await until(lambda: not state.connections and not state.tasks)


@dataclass
class Visit:
    """One request over one raw connection, and what has come back so far."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str = ""
    body: bytes = b""
    ended: bool = False
    _raw: bytes = field(default=b"", repr=False)

    @property
    def status(self) -> int:
        return int(self.head.split(" ", 2)[1])

    def header(self, name: str) -> list[str]:
        return re.findall(rf"(?im)^{re.escape(name)}:[ \t]*(.*?)\r?$", self.head)

    async def read_head(self) -> "Visit":
        async with asyncio.timeout(PATIENCE_S):
            self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        return self

    async def read_until(self, marker: bytes) -> "Visit":
        """Read until the body holds `marker`."""
        async with asyncio.timeout(PATIENCE_S):
            while marker not in self.body:
                assert await self._more(), f"the body ended without {marker!r}: {self.body!r}"
        return self

    async def read_all(self) -> "Visit":
        """Read until the server closes the connection."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._more():
                pass
        return self

    async def leave(self) -> float:
        """Close the connection as a browser does that is closed; the `time.monotonic()` of it."""
        self.writer.close()
        left_s = time.monotonic()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
        return left_s

    async def _more(self) -> bool:
        if not (received := await self.reader.read(65536)):
            return False
        self._raw += received
        if not self.header("transfer-encoding"):
            self.body, self._raw = self.body + self._raw, b""
            return True
        while match := re.match(rb"([0-9a-f]+)\r\n", self._raw):
            size, start = int(match[1], 16), match.end()
            if len(self._raw) < start + size + 2:
                break
            self.ended = self.ended or size == 0
            self.body += self._raw[start : start + size]
            self._raw = self._raw[start + size + 2 :]
        return True


async def send_request(
    port: int, path: str = "/", *, method: str = "GET", headers: Sequence[str] = (), body: bytes = b""
) -> Visit:
    """Send a request and read nothing."""
    reader, writer = await asyncio.open_connection(HOST, port)
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", *headers, *length, "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    return Visit(reader, writer)


@contextlib.asynccontextmanager
async def visiting(port: int, path: str = "/", **request: Any) -> AsyncIterator[Visit]:
    """Send a request and read the response's head; the connection is closed at the end of the block."""
    visit = await send_request(port, path, **request)
    try:
        yield await visit.read_head()
    finally:
        visit.writer.close()


async def fetched(port: int, path: str = "/", **request: Any) -> Visit:
    """Send a request and read the response to its end."""
    async with visiting(port, path, **request) as visit:
        return await visit.read_all()


def events(body: bytes) -> list[bytes]:
    """Split a body into what stands between blank lines."""
    return [event for event in body.split(b"\n\n") if event]


def data_of(body: bytes) -> list[bytes]:
    """Return the data lines of a body of server-sent events."""
    return [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]


async def only(halves: Iterable[ServerHalf]) -> ServerHalf:
    """Wait for the one server half."""
    await until(lambda: list(halves))
    (half,) = halves
    return half
