"""Which server has a key: always the same one, or the one of its hash slot in a cluster.

Not redis-py's RedisCluster (8.1): there, one master that times out makes the next call read the topology anew and drop
the connections of all masters, so that every wait for entries breaks; its pool raises where ours queues; and `aclose()`
after an error leaves connections open.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, TryAgainError

from streamgap.core.errors import SettingsError
from streamgap.relay.redis_store.endpoint import Endpoint
from streamgap.relay.redis_store.scripts import Script
from streamgap.relay.redis_store.server import POLL_S, Argument, Server
from streamgap.relay.store import StoreUnavailableError

_TRY_AGAIN_S = 0.02
_Place = tuple[str, int]


class Servers:
    """Sends each call to the server of its keys, and learns from redirections which that is.

    A server is asked where the slots are when it says that one is elsewhere, not before. Where one does not answer, the
    next call for its slot goes to another, which knows who has taken over.
    """

    def __init__(self, endpoint: Endpoint, *, cluster: bool, timeout_s: float, max_connections: int) -> None:
        if cluster and (endpoint.path or endpoint.options.get("db")):
            raise SettingsError(f"RedisStore url: expected host, port and database 0 for a cluster, got {endpoint}")
        self._endpoint = endpoint
        self._is_cluster = cluster
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._seed: _Place = (endpoint.host, endpoint.port)
        self._known = [self._seed]
        self._entry = self._seed
        self._slots: dict[int, _Place] = {}
        self._learning = asyncio.Lock()
        self._open: dict[_Place, Server] = {}
        self._is_closed = False

    async def evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run a script where its keys are; raises StoreUnavailableError after `timeout_s` seconds at most."""
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        slot = key_slot(keys[0].encode())
        while True:
            place = self._place(slot)
            try:
                return await self._server(place).evaluate(script, keys, args, deadline_s=deadline_s)
            except MovedError as moved:
                await self._learn(moved, place=place, deadline_s=deadline_s)
            except (AskError, TryAgainError):
                # The slot is on its way to another server. Neither runs a script on three keys of which one need not
                # be there, ASKING or not, before all of the slot has arrived.
                await asyncio.sleep(_TRY_AGAIN_S)
            except StoreUnavailableError:
                self._avoid(place, slot=slot)
                raise

    async def wait(self, stream: str, *, after: str, for_s: float) -> None:
        """Wait until the stream has an entry after the id `after`, `for_s` seconds at most, and perhaps less.

        Never fails: whoever has waited looks what is there, and meets what is wrong then.
        """
        try:
            server = self._server(self._place(key_slot(stream.encode())))
            await server.wait(stream, after=after, for_s=for_s)
        except (StoreUnavailableError, AskError, TryAgainError):
            await asyncio.sleep(min(POLL_S, for_s))

    async def close(self) -> None:
        """Close all connections. Whatever is asked afterwards, by a read that waits too, is StoreUnavailableError."""
        self._is_closed = True
        servers, self._open = self._open, {}
        for server in servers.values():
            await server.close()

    def _place(self, slot: int) -> _Place:
        return self._slots.get(slot, self._entry)

    def _server(self, place: _Place) -> Server:
        if self._is_closed:
            raise StoreUnavailableError(f"redis at {self._endpoint}: expected a store in use, got one that is closed")
        if place not in self._open:
            self._open[place] = Server(self._endpoint.at(*place), max_connections=self._max_connections)
        return self._open[place]

    async def _learn(self, moved: MovedError, *, place: _Place, deadline_s: float) -> None:
        """Ask the server at `place`, which does not have a slot, where all of them are. Leave those that have none."""
        if not self._is_cluster:
            raise SettingsError(
                f"RedisStore: expected a single server at {self._endpoint}, got one of a cluster; try cluster=True"
            )
        there = (moved.host or place[0], moved.port)
        async with self._learning:
            if self._place(moved.slot_id) == there:
                return  # another call has learnt it while this one waited
            ranges = await self._server(place).command("CLUSTER", "SLOTS", deadline_s=deadline_s)
            known = [self._seed]  # by name: the last resort when all addresses have changed
            for first, last, *nodes in ranges:
                places = [((node[0] or b"").decode() or place[0], node[1]) for node in nodes]
                self._slots.update(dict.fromkeys(range(first, last + 1), places[0]))
                known += places
            self._slots[moved.slot_id] = there
            self._known = list(dict.fromkeys([*known, there]))
            for gone in self._open.keys() - {*self._known, self._entry}:
                await self._open.pop(gone).close()

    def _avoid(self, place: _Place, *, slot: int) -> None:
        self._slots.pop(slot, None)
        if self._entry == place:
            following = self._known.index(place) + 1 if place in self._known else 0
            self._entry = self._known[following % len(self._known)]
