"""Joined streams and a served live page, for the tests of both."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn

from halves import client_half, server_half
from streamgap.core.join import JoinedStream, join
from streamgap.service.live import LiveFeed

PATIENCE_S = 30.0


def flowing(route: str = "/chat", **server: Any) -> JoinedStream:
    written_ms = [200 + 50 * k for k in range(40)]
    half = msgspec.structs.replace(server_half(written_ms, call=5.0, answer=198.0), route=route, **server)
    return join(half, client_half([ms + 40 for ms in written_ms], paint=256.0))


def held(route: str = "/chat") -> JoinedStream:
    written_ms = [200 + 50 * k for k in range(60)]
    half = msgspec.structs.replace(server_half(written_ms), route=route)
    return join(half, client_half([max(ms + 40, 2400) for ms in written_ms]))


def gathered(route: str = "/chat") -> JoinedStream:
    """Return a stream that came all at its end."""
    written_ms = [200 + 50 * k for k in range(60)]
    half = msgspec.structs.replace(server_half(written_ms), route=route)
    return join(half, client_half([written_ms[-1] + 40] * 60))


@asynccontextmanager
async def served(feed: LiveFeed, port: int = 0) -> AsyncIterator[str]:
    """Serve the feed's app by a real uvicorn on loopback; yields the page's address."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = uvicorn.Server(uvicorn.Config(feed.app, log_level="warning", lifespan="off", ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            feed.close()
            server.should_exit = True
            await asyncio.wait_for(task, PATIENCE_S)
