"""A stateful firewall in user space: it forgets a silent connection, and lets nothing more through."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from hops.configuration import Site
from streamgap.demo.loopback import HOST, READ_BYTES, Loopback


@contextlib.asynccontextmanager
async def dropping(inner: Site, *, idle_s: float) -> AsyncIterator[Site]:
    """Carry connections to a site until they are silent for `idle_s`."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        app_reader, app_writer = await asyncio.open_connection(HOST, inner.port)
        try:
            asking = asyncio.create_task(_pump(reader, app_writer))
            with contextlib.suppress(TimeoutError, ConnectionError):
                while True:
                    async with asyncio.timeout(idle_s):
                        data = await app_reader.read(READ_BYTES)
                    if not data:
                        asking.cancel()
                        return
                    writer.write(data)
            await asyncio.Event().wait()  # until the client gives up, or the test ends
        finally:
            app_writer.close()

    listener = socket.create_server((HOST, 0))
    async with Loopback(carry, listener):
        yield Site(port=listener.getsockname()[1], path=inner.path)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
