"""Connections on loopback: one task each, and the ways a peer comes to an end. The fake and the hoarder share it."""

import asyncio
import contextlib
import functools
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Self

HOST = "127.0.0.1"
MAX_HEAD_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
_LINGER_S = 5.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


class Loopback:
    """Serves each connection to `listener` in a task of its own while its `async with` block runs; then ends them all.

    A connection is closed when its task ends. What `serve` raises is collected in `errors` for the owner to raise.
    """

    def __init__(self, serve: Serve, listener: socket.socket) -> None:
        self.errors: list[BaseException] = []
        self._serve = serve
        self._listener = listener
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, sock=self._listener, limit=MAX_HEAD_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)  # the event loop itself keeps weak references only
        connection.add_done_callback(functools.partial(self._retire, writer))

    def _retire(self, writer: asyncio.StreamWriter, connection: asyncio.Task[None]) -> None:
        writer.transport.abort()
        self._connections.discard(connection)
        if not connection.cancelled() and (error := connection.exception()):
            self.errors.append(error)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection with RST; what the peer has not yet read may be lost, as on a real reset."""
    if not writer.is_closing():
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def finish(writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
    """Send FIN and give the peer 5 s to read what is left and to leave; closing on unread bytes would send RST."""
    with contextlib.suppress(OSError):  # ENOTCONN, no ConnectionError: a RST we have not read yet
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            await until_gone(reader)


async def until_gone(reader: asyncio.StreamReader) -> None:
    """Return as soon as the peer has sent FIN or RST; anything it says before that is dropped."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(READ_BYTES):
            pass


async def completes(work: Coroutine[None, None, None], *, before: Coroutine[None, None, None]) -> bool:
    """Run `work` until it ends, or drop it when `before` ends first; tell whether it ended.

    Its errors are raised, but for a connection that breaks under it: that is `before` by another way.
    """
    working, other = asyncio.create_task(work), asyncio.create_task(before)
    try:
        await asyncio.wait({working, other}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        working.result()
    except ConnectionError:
        return False
    else:
        return True
    finally:
        working.cancel()
        other.cancel()
        await asyncio.gather(working, other, return_exceptions=True)
