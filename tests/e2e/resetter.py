"""A TCP proxy that breaks connections with RST where it is told to.

It understands nothing of what passes, so that TLS passes too.
"""

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from typing import Self

from streamgap.demo.loopback import HOST, MAX_HEAD_BYTES, READ_BYTES, Loopback, completes, finish, reset

MOMENT_S = 0.02
"""Time for the browser to read what it was given last; what a reset overtakes is lost, as in an earlier cut."""


@dataclass(frozen=True, slots=True)
class After:
    """Cut once `total_bytes` have passed to the client, over all connections since `cut` was called."""

    total_bytes: int


@dataclass(frozen=True, slots=True)
class Inside:
    """Cut right behind the next `marker` that comes, in clear and in one piece."""

    marker: bytes


Rule = After | Inside


class Resetter:
    """Stands on `port` in front of `upstream_port` of this machine while its `async with` block runs.

    `cuts` are the last bytes that passed before each reset; `rules` are those that have not been met yet.
    """

    def __init__(self, upstream_port: int, *, port: int) -> None:
        self.cuts: list[bytes] = []
        self.rules: deque[Rule] = deque()
        self._passed = 0
        self._port = port
        self._upstream_port = upstream_port
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._loopback = await Loopback(self._serve, socket.create_server((HOST, self._port))).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._loopback.__aexit__()

    def cut(self, *rules: Rule) -> None:
        """Break what is open now, and then a connection by each of `rules`, in their order; the others pass."""
        self.rules = deque(rules)
        self.cuts = []
        self._passed = 0
        for client in self._clients:
            reset(client)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_connection(HOST, self._upstream_port, limit=MAX_HEAD_BYTES)
        self._clients.add(to_client)
        try:
            if await completes(self._answer(upstream, to_client), before=_pass(client, to_upstream)):
                await finish(to_client, client)
        finally:
            self._clients.discard(to_client)
            reset(to_upstream)

    async def _answer(self, upstream: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while data := await upstream.read(READ_BYTES):
            allowed = self._allowed(data)
            passing = data if allowed is None else data[:allowed]
            self._passed += len(passing)
            to_client.write(passing)
            await to_client.drain()
            if allowed is not None:
                self.cuts.append(passing)
                await asyncio.sleep(MOMENT_S)
                reset(to_client)
                return

    def _allowed(self, data: bytes) -> int | None:
        """Return how many of these bytes may pass before the reset that is due in them, and tick its rule off."""
        match self.rules[0] if self.rules else None:
            case After(total_bytes) if total_bytes < self._passed + len(data):
                allowed = max(total_bytes - self._passed, 0)
            case Inside(marker) if marker in data:
                allowed = data.index(marker) + len(marker)
            case _:
                return None
        self.rules.popleft()
        return allowed


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
        await writer.drain()
