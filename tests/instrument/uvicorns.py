"""uvicorn as users run it, with a protocol of the test's choice, on both event loops."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvicorn
import uvloop

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
NewLoop = Callable[[], asyncio.AbstractEventLoop]


def run(scenario: Coroutine[Any, Any, None], new_loop: NewLoop = asyncio.new_event_loop) -> None:
    """Run a test's scenario on an event loop of the test's choice."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario)


@contextlib.asynccontextmanager
async def under_uvicorn(app: Any, protocol: type[asyncio.Protocol], *, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an ASGI app on a listening socket; what is still open at the end is cancelled a second later."""
    config = uvicorn.Config(
        app, http=protocol, lifespan="off", ws="none", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
