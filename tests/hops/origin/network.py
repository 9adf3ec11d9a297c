"""A bad network in user space: `python -m hops.origin.network KIND PORT UPSTREAM_PORT`.

What comes from the app is handed on later, as links do it; order is kept and nothing is lost for good.
"""

import asyncio
import contextlib
import itertools
import random
import sys
import time
from collections.abc import Callable

from streamgap.demo.loopback import HOST, READ_BYTES

Delay = Callable[[float, int], float]
"""When (monotonic seconds) bytes that came at a time may leave."""


def delayed() -> Delay:
    """Return a constant delay: a far server."""
    return lambda came_s, _size: came_s + 0.08


def jittered() -> Delay:
    """Return a delay of 20 to 90 ms, each time another."""
    dice = random.Random(7)  # noqa: S311, repeatable
    return lambda came_s, _size: came_s + dice.uniform(0.02, 0.09)


_CONNECTIONS = itertools.count(11)


def lossy() -> Delay:
    """Return retransmissions: one read in forty waits for 200 to 800 ms, and all behind it."""
    dice = random.Random(next(_CONNECTIONS))  # noqa: S311, repeatable, and other stalls in each stream
    return lambda came_s, _size: came_s + 0.03 + (dice.uniform(0.2, 0.8) if dice.random() < 1 / 40 else 0)


def dozing() -> Delay:
    """Return Wi-Fi power saving: bytes leave at beacons, every 102.4 ms."""
    return lambda came_s, _size: -(-came_s // 0.1024) * 0.1024


def slow() -> Delay:
    """Return a link of 40 kB/s with a deep queue."""
    free_s = 0.0

    def leave(came_s: float, size: int) -> float:
        nonlocal free_s
        free_s = max(free_s, came_s) + size / 40_000
        return free_s + 0.05

    return leave


KINDS: dict[str, Callable[[], Delay]] = {
    "delay": delayed,
    "jitter": jittered,
    "loss": lossy,
    "doze": dozing,
    "slow": slow,
}


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Delay | None) -> None:
    """Hand on what comes, each read when `delay` lets it go, and then the end."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def leave() -> None:
        while True:
            due_s, data = await waiting.get()
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            if not data:
                break
            writer.write(data)
        with contextlib.suppress(OSError):
            writer.write_eof()

    leaving = asyncio.create_task(leave())
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(READ_BYTES):
            waiting.put_nowait((delay(time.monotonic(), len(data)) if delay else 0.0, data))
    waiting.put_nowait((0.0, b""))
    with contextlib.suppress(ConnectionError):
        await leaving


async def serve(kind: str, port: int, upstream: int) -> None:
    """Carry every connection over a link of its own."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        app_reader, app_writer = await asyncio.open_connection(HOST, upstream)
        await asyncio.gather(carry(reader, app_writer, None), carry(app_reader, writer, KINDS[kind]()))
        for one in (writer, app_writer):
            one.close()

    async with await asyncio.start_server(connected, HOST, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
