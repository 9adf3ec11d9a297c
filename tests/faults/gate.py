"""A network that can be cut between a replica and Redis, one way or the other."""

import asyncio
import contextlib
import socket
from enum import Enum, auto
from typing import Self

from streamgap.demo.loopback import HOST, READ_BYTES, Loopback


class Way(Enum):
    """One of the two ways of every connection: there, and back."""

    REQUESTS = auto()
    ANSWERS = auto()


class Gate:
    """Stands before `upstream_port` of this machine while its `async with` block runs.

    Across a way that is cut nothing comes, not even an end; what was sent meanwhile comes when it is mended, for that
    is what TCP's retransmissions do: from connections, too, that their client has long given up.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._mended = {way: asyncio.Event() for way in Way}
        self._listener = socket.create_server((HOST, 0))
        self.mend()

    @property
    def url(self) -> str:
        """The URL of the Redis behind it."""
        return f"redis://{HOST}:{self._listener.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._loopback = await Loopback(self._serve, self._listener).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._loopback.__aexit__()

    def cut(self, way: Way) -> None:
        """Let nothing come that way, on any connection."""
        self._mended[way].clear()

    def mend(self) -> None:
        """Let everything come."""
        for mended in self._mended.values():
            mended.set()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_connection(HOST, self._upstream_port)
        try:
            await asyncio.gather(
                self._carry(client, to_upstream, Way.REQUESTS), self._carry(upstream, to_client, Way.ANSWERS)
            )
        finally:
            to_upstream.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._mended[way].wait()
                writer.write(data)
                await writer.drain()
        await self._mended[way].wait()
        with contextlib.suppress(OSError):
            writer.write_eof()
