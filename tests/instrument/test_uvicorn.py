"""uvicorn with our protocol: limits on each connection, and a note of how its client went."""

import asyncio
import contextlib
import logging
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from instrument.lab import HOST, PATIENCE_S, fetched, until
from instrument.uvicorns import LOOPS, NewLoop, run, under_uvicorn
from streamgap.core.errors import SettingsError
from streamgap.core.words import Disconnect
from streamgap.demo.processes import free_port, running
from streamgap.instrument import uvicorn as ours
from streamgap.instrument.asgi.kinds import CONNECTION
from streamgap.instrument.uvicorn import StreamProtocol
from streamgap.service.protocol import GuardedProtocol

pytestmark = pytest.mark.slow


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
LAST = {"type": "http.response.body", "body": b"ok"}
EVENT_END = b"\n\n\r\n"
RESPONSE_END = b"\r\n0\r\n\r\n"
START_S = 30.0
APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(scope["streamgap.connection"]).encode()})
"""


class Streaming:
    """An app whose stream never ends: one event, or as fast as `send` takes them."""

    def __init__(self, *, pushes: bool = False) -> None:
        self._pushes = pushes
        self.sent_bytes = 0
        self.lost_by: list[Disconnect | None] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        pushing = asyncio.create_task(self._push(send))
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        self.lost_by.append(scope[CONNECTION].lost_by)
        pushing.cancel()

    async def _push(self, send: Any) -> None:
        event = b"data: %b\n\n" % (b"x" * 1000)
        while True:
            await send({"type": "http.response.body", "body": event, "more_body": True})
            self.sent_bytes += len(event)
            await (asyncio.sleep(0) if self._pushes else asyncio.Future())


async def complete(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer at once."""
    await send(START)
    await send(LAST)


def listening() -> socket.socket:
    return socket.create_server((HOST, 0))


@contextlib.contextmanager
def client_of(listener: socket.socket, *, receive_bytes: int | None = None) -> Iterator[socket.socket]:
    """Connect and ask; reading is up to the test. With `receive_bytes` there is room for no more than that."""
    with socket.socket() as client:
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.connect(listener.getsockname())
        client.sendall(REQUEST)
        yield client


async def read_to(client: socket.socket, end: bytes) -> None:
    """Read all that there is, up to its known end: closing on unread bytes would send a reset."""
    client.setblocking(False)
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        while not received.endswith(end):
            received += await asyncio.get_running_loop().sock_recv(client, 65536)


def close(client: socket.socket) -> None:
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class Patient(StreamProtocol):
    user_timeout_s = 90
    unsent_bytes = 1000


class Indifferent(StreamProtocol):
    user_timeout_s = None
    unsent_bytes = None


class Hasty(StreamProtocol):
    user_timeout_s = 0.5


@pytest.mark.parametrize(
    ("protocol", "timeout_ms", "unsent_bytes"),
    [(StreamProtocol, 30_000, 16_384), (Patient, 90_000, 1000), (Indifferent, 0, 0), (GuardedProtocol, 30_000, 16_384)],
)
@LOOPS
def test_each_connection_has_the_limits(
    new_loop: NewLoop, protocol: type[StreamProtocol], timeout_ms: int, unsent_bytes: int
) -> None:
    """An accepted socket has the limits of its protocol's class, the collector's own included; None sets nothing."""
    found = []

    class ReadingBack(protocol):  # type: ignore[valid-type, misc] # a parameter
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            options = (socket.TCP_USER_TIMEOUT, socket.TCP_NOTSENT_LOWAT)
            accepted = transport.get_extra_info("socket")
            found.append([accepted.getsockopt(socket.IPPROTO_TCP, option) for option in options])

    async def scenario() -> None:
        listener = listening()
        async with under_uvicorn(complete, ReadingBack, listener=listener):
            assert (await fetched(listener.getsockname()[1])).body == b"ok"

    run(scenario(), new_loop)
    assert found == [[timeout_ms, unsent_bytes]]


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"user_timeout_s": 0}, r"Mine\.user_timeout_s: expected a number from 0\.001 to 86400, got 0; None leaves"),
        ({"user_timeout_s": "30"}, r"Mine\.user_timeout_s: .*got '30'"),
        ({"unsent_bytes": -1}, r"Mine\.unsent_bytes: expected a number from 1 to \d+, got -1"),
    ],
)
def test_a_limit_that_is_none_is_refused(limits: dict[str, Any], complaint: str) -> None:
    """A class with an impossible limit cannot be made, and the error says which limit, and what would do."""
    with pytest.raises(SettingsError, match=complaint):
        type("Mine", (StreamProtocol,), limits)


@pytest.mark.parametrize(
    ("leave", "how"), [(close, Disconnect.FIN), (half_close, Disconnect.FIN), (reset, Disconnect.RST)]
)
@LOOPS
def test_how_a_client_left_is_told(new_loop: NewLoop, leave: Callable[[socket.socket], None], how: Disconnect) -> None:
    """A client that closes is told from one that resets, and the app can see which when it hears of it."""
    app = Streaming()

    async def scenario() -> None:
        listener = listening()
        async with under_uvicorn(app, StreamProtocol, listener=listener):
            with client_of(listener) as client:
                await read_to(client, EVENT_END)
                leave(client)
                await until(lambda: app.lost_by)

    run(scenario(), new_loop)
    assert app.lost_by == [how]


@LOOPS
def test_what_breaks_after_the_client_closed_is_not_news(new_loop: NewLoop) -> None:
    """A client that closes while bytes wait for it has closed, also if the connection breaks before they are gone."""
    app = Streaming(pushes=True)
    closed = asyncio.Event()

    class Watched(StreamProtocol):
        def eof_received(self) -> None:
            super().eof_received()
            closed.set()

    async def scenario() -> None:
        listener = listening()
        async with under_uvicorn(app, Watched, listener=listener):
            with client_of(listener, receive_bytes=4096) as client:
                await until(lambda: app.sent_bytes > 30_000)
                half_close(client)
                async with asyncio.timeout(PATIENCE_S):
                    await closed.wait()
                reset(client)
                await until(lambda: app.lost_by)

    run(scenario(), new_loop)
    assert app.lost_by == [Disconnect.FIN]


@LOOPS
def test_a_client_that_reads_nothing_is_lost(new_loop: NewLoop) -> None:
    """A client that is there, but keeps its window closed for longer than the timeout, counts as vanished."""
    app = Streaming(pushes=True)

    async def scenario() -> None:
        listener = listening()
        async with under_uvicorn(app, Hasty, listener=listener):
            with client_of(listener, receive_bytes=4096):
                await until(lambda: app.lost_by)

    run(scenario(), new_loop)
    assert app.lost_by == [Disconnect.TIMEOUT]


@LOOPS
def test_a_stalled_client_soaks_little(new_loop: NewLoop) -> None:
    """A client that reads nothing makes `send` wait after less than a tenth of what it takes by default."""
    limited, unlimited = Streaming(pushes=True), Streaming(pushes=True)

    async def scenario() -> None:
        one, other = listening(), listening()
        async with (
            under_uvicorn(limited, StreamProtocol, listener=one),
            under_uvicorn(unlimited, Indifferent, listener=other),
        ):
            with client_of(one, receive_bytes=4096), client_of(other, receive_bytes=4096):
                await until(lambda: limited.sent_bytes and unlimited.sent_bytes > 1_000_000)
                assert limited.sent_bytes < unlimited.sent_bytes / 10

    run(scenario(), new_loop)


async def test_a_client_that_leaves_between_requests_was_not_lost() -> None:
    """A connection that is closed once its responses are complete has lost nobody."""
    gone = asyncio.Event()
    scopes = []

    class Watched(StreamProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            gone.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await complete(scope, receive, send)

    listener = listening()
    async with under_uvicorn(app, Watched, listener=listener):
        with client_of(listener) as client:
            await read_to(client, RESPONSE_END)
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    assert [scope[CONNECTION].lost_by for scope in scopes] == [None]


async def test_a_system_without_the_options_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where an option does not exist, one warning for all connections says so, and they work."""
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    ours._warn_once.cache_clear()
    listener = listening()
    async with under_uvicorn(complete, StreamProtocol, listener=listener):
        for _ in range(2):
            assert (await fetched(listener.getsockname()[1])).body == b"ok"
    (warning,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert "expected a system with TCP_USER_TIMEOUT" in warning


@LOOPS
def test_a_unix_socket_needs_no_limits(new_loop: NewLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Behind a proxy on the same machine there is no TCP: no limit is set, and none is missed."""
    app = Streaming()

    async def scenario() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "uvicorn.sock"))
            listener.listen()
            async with under_uvicorn(app, StreamProtocol, listener=listener):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(listener.getsockname())
                    client.sendall(REQUEST)
                    await read_to(client, EVENT_END)
                await until(lambda: app.lost_by)

    run(scenario(), new_loop)
    assert app.lost_by == [Disconnect.FIN]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_command_line_takes_it(tmp_path: Path) -> None:
    """`uvicorn app:app --http streamgap.instrument.uvicorn:StreamProtocol` serves, and its app sees the connection."""
    (tmp_path / "app.py").write_text(APP)
    port, log = free_port(), tmp_path / "uvicorn.log"
    options = ["--app-dir", str(tmp_path), "--port", str(port), "--http", "streamgap.instrument.uvicorn:StreamProtocol"]
    async with running([sys.executable, "-m", "uvicorn", "app:app", *options], log=log) as process:
        async with asyncio.timeout(START_S):
            while True:
                assert process.returncode is None, log.read_text()
                with contextlib.suppress(OSError):
                    visit = await fetched(port)
                    break
                await asyncio.sleep(0.05)
    assert visit.body == b"Connection(lost_by=None)"
