"""A client whose network is gone: nobody says goodbye, and only the server's kernel can notice."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from instrument.uvicorns import LOOPS, NewLoop, run, under_uvicorn
from netns.hosts import Host, two_hosts
from streamgap.core.words import Disconnect
from streamgap.instrument import StreamGapMiddleware
from streamgap.instrument.asgi.kinds import CONNECTION, App, Message, Receive, Scope, Send
from streamgap.instrument.uvicorn import StreamProtocol

pytestmark = pytest.mark.slow

HEARTBEAT_S = 0.3
USER_TIMEOUT_S = 2.0
PATIENCE_S = 30.0
TEN_SECONDS_OF_BEATS = 33


class Attentive(StreamProtocol):
    user_timeout_s = USER_TIMEOUT_S


class Silence:
    """An app that writes one event and then thinks; around it the middleware, whose heartbeats are counted."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.lost_by: Disconnect | None = None
        self.writes = 0
        self.halves: list[Any] = []
        self._app: App = StreamGapMiddleware(self._stream, heartbeat_s=HEARTBEAT_S, sinks=[self.halves.append])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def count(message: Message) -> None:
            self.writes += 1
            await send(message)

        await self._app(scope, receive, count)

    async def _stream(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        try:
            await asyncio.Future()
        finally:
            self.lost_by = scope[CONNECTION].lost_by if CONNECTION in scope else None
            self.told.set()


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as hosts:
        yield hosts


async def asked(client: Host, address: tuple[str, int]) -> socket.socket:
    """Ask for the stream, from the client's host, and read its first event."""
    sock = client.do(socket.create_connection, address)
    sock.setblocking(False)
    sock.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        while b"data: 1" not in received:
            received += await asyncio.get_running_loop().sock_recv(sock, 65536)
    return sock


@LOOPS
def test_a_vanished_client_is_noticed(hosts: tuple[Host, Host], new_loop: NewLoop) -> None:
    """With `StreamProtocol` and heartbeats a client whose link went down is given up, and the server half says why."""
    server, client = hosts

    async def scenario() -> None:
        app, listener = Silence(), server.do(socket.create_server, (server.address, 0))
        async with under_uvicorn(app, Attentive, listener=listener):
            with await asked(client, listener.getsockname()):
                client.unplug()
                async with asyncio.timeout(PATIENCE_S):
                    await app.told.wait()
        assert app.lost_by is Disconnect.TIMEOUT
        assert [half.how for half in app.halves] == [Disconnect.TIMEOUT]

    run(scenario(), new_loop)


def test_uvicorn_itself_does_not_notice(hosts: tuple[Host, Host]) -> None:
    """With uvicorn's own protocol the same app goes on writing to nobody for more than ten seconds of heartbeats."""
    server, client = hosts

    async def scenario() -> None:
        app, listener = Silence(), server.do(socket.create_server, (server.address, 0))
        async with under_uvicorn(app, HttpToolsProtocol, listener=listener):
            with await asked(client, listener.getsockname()):
                client.unplug()
                enough = app.writes + TEN_SECONDS_OF_BEATS
                async with asyncio.timeout(2 * PATIENCE_S):
                    while app.writes < enough:
                        assert not app.told.is_set()
                        await asyncio.sleep(HEARTBEAT_S)

    run(scenario())
