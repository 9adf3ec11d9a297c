"""In a cluster each key is found where it is, slots may move, and one master's trouble is not the others'."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
from redis.crc import key_slot

from instrument.lab import until
from relay.redis_server import HOST, PATIENCE_S, SLOTS, RedisServer, redis_cluster
from relay.store_contract import DONE, KEY, append, claim, contents, read, start
from streamgap.core.errors import SettingsError
from streamgap.relay.redis_store import RedisStore
from streamgap.relay.states import Claimed, Kept
from streamgap.relay.store import StoreUnavailableError

pytestmark = pytest.mark.slow

T = TypeVar("T")
LONG_S = 30.0
SHORT_S = 2.0


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Sequence[RedisServer]]:
    with redis_cluster(tmp_path) as servers:
        yield servers


@contextlib.asynccontextmanager
async def using(servers: Sequence[RedisServer], *, timeout_s: float = LONG_S) -> AsyncIterator[RedisStore]:
    store = RedisStore(servers[0].url, cluster=True, timeout_s=timeout_s, lease_s=600.0, prefix="sg:")
    try:
        yield store
    finally:
        await store.close()


def split(servers: Sequence[RedisServer]) -> tuple[RedisServer, list[RedisServer]]:
    """Return the master that has `KEY`, and the others."""
    home = servers[[key_slot(KEY.encode()) in share(servers, i) for i in range(len(servers))].index(True)]
    return home, [server for server in servers if server is not home]


def share(servers: Sequence[RedisServer], master: int) -> range:
    """Return the slots that a master has to begin with."""
    return range(master * SLOTS // len(servers), (master + 1) * SLOTS // len(servers))


def key_at(servers: Sequence[RedisServer], server: RedisServer) -> str:
    """Find a key whose slot a master has."""
    slots = share(servers, servers.index(server))
    return next(key for key in map("key-{:05}".format, range(SLOTS)) if key_slot(key.encode()) in slots)


def move(slots: Sequence[int], source: RedisServer, target: RedisServer) -> None:
    """Move slots from one master to another, with what is in them, as `redis-cli --cluster reshard` does."""
    names = {server: server.ask("CLUSTER", "MYID") for server in (source, target)}
    in_turn(target, [("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source]) for slot in slots])
    in_turn(source, [("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target]) for slot in slots])
    for found in in_turn(source, [("CLUSTER", "GETKEYSINSLOT", slot, 1000) for slot in slots]):
        if found:
            source.ask("MIGRATE", HOST, target.port, "", 0, 30_000, "KEYS", *found)
    for server in (target, source):
        in_turn(server, [("CLUSTER", "SETSLOT", slot, "NODE", names[target]) for slot in slots])


def in_turn(server: RedisServer, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
    """Run many commands in one go."""
    with redis.Redis(host=HOST, port=server.port, decode_responses=True) as client:
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute()
    return answers


async def test_any_server_is_an_entrance(servers: Sequence[RedisServer]) -> None:
    """With the URL of any one master keys of all are reached, by two hundred racing calls too."""
    for i in range(len(servers)):
        async with using(servers[i:]) as store:
            keys = [key_at(servers, server) for server in servers]
            claims = await asyncio.gather(*(claim(store, keys[n % 3], asked=f"{n % 3}") for n in range(200)))
            assert [one.result for one in claims].count(Claimed.STARTED) == (3 if i == 0 else 0)


async def test_scripts_that_were_forgotten_are_sent_again(servers: Sequence[RedisServer]) -> None:
    """Each master learns the scripts by itself, and again after it has forgotten them."""
    async with using(servers) as store:
        for server in servers:
            epoch = await start(store, b"a", key=key_at(servers, server))
            server.ask("SCRIPT", "FLUSH")
            again = await append(store, epoch, b"b", first=2, key=key_at(servers, server))
            assert again.kept is Kept.OK


async def test_a_log_survives_the_move_of_its_slot(servers: Sequence[RedisServer]) -> None:
    """While a slot moves between masters its owner appends and its reader reads on, each entry once."""
    home, (other, _) = split(servers)
    entries = [b"%d" % i for i in range(200)]
    async with using(servers) as owner, using(servers) as reader:
        epoch = await start(owner)
        reading = asyncio.create_task(read(reader, epoch, wait_s=2 * PATIENCE_S))
        await until(home.waiting)
        moving = asyncio.create_task(asyncio.to_thread(move, [key_slot(KEY.encode())], home, other))
        for i, entry in enumerate(entries):
            assert (await append(owner, epoch, entry, first=i + 1)).kept is Kept.OK
        await moving
        await append(owner, epoch, first=201, end=DONE)
        assert (await reading).entries
        assert await contents(reader, epoch) == entries
        assert other.ask("CLUSTER", "COUNTKEYSINSLOT", key_slot(KEY.encode())) > 0


async def test_a_master_that_has_nothing_left_is_left(servers: Sequence[RedisServer]) -> None:
    """After its last slot has moved, no connection to a master remains, but to the one of the URL."""
    *_, leaving = servers
    async with using(servers) as store:
        key = key_at(servers, leaving)
        epoch = await start(store, key=key)
        before = len(leaving.ask("CLIENT", "LIST").splitlines())
        await asyncio.to_thread(move, share(servers, 2), leaving, servers[0])
        assert (await insist(lambda: append(store, epoch, b"a", key=key))).kept is Kept.OK
        await until(lambda: len(leaving.ask("CLIENT", "LIST").splitlines()) < before)


async def test_a_master_that_stands_still_holds_up_nobody_else(servers: Sequence[RedisServer]) -> None:
    """Calls to its keys fail in time; a reader that waits at another master does not notice."""
    frozen, (other, _) = split(servers)
    key = key_at(servers, other)
    async with using(servers) as owner, using(servers, timeout_s=SHORT_S) as store:
        epoch = await start(owner, key=key)
        await start(owner)
        reading = asyncio.create_task(store.read(key, epoch=epoch, after=0, wait_s=2 * PATIENCE_S))
        await until(other.waiting)
        (waiting,) = other.waiting()
        frozen.freeze()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match=f"{frozen.port}"):
                await claim(store)
        assert other.waiting() == [waiting]
        await append(owner, epoch, b"a", key=key)
        page = await reading
        assert page is not None
        assert page.entries == [b"a"]
        frozen.thaw()


async def test_a_cluster_that_is_down_is_unavailable(servers: Sequence[RedisServer]) -> None:
    """With a master dead its keys cannot be had, and soon nobody's; all is well again when it is back."""
    dead, (other, _) = split(servers)
    key = key_at(servers, other)
    for server in servers:
        server.ask("CONFIG", "SET", "cluster-node-timeout", 2000)
    async with using(servers) as store:
        await start(store)
        epoch = await start(store, key=key)
        await asyncio.to_thread(dead.kill)
        with pytest.raises(StoreUnavailableError, match="is it up"):
            await claim(store)
        with pytest.raises(StoreUnavailableError, match=r"(?i)cluster is down"):
            await until_refused(store, epoch, key)
        await asyncio.to_thread(dead.start)
        assert (await insist(lambda: append(store, epoch, key=key))).kept is Kept.OK
        assert (await insist(lambda: claim(store))).result is Claimed.STARTED  # it kept nothing on disk


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call, again until the cluster is of one mind."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                return await call()
            await asyncio.sleep(0.05)


async def until_refused(store: RedisStore, epoch: int, key: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await append(store, epoch, key=key)
            await asyncio.sleep(0.05)


async def test_a_cluster_is_no_single_server(servers: Sequence[RedisServer]) -> None:
    """Whoever forgets to say that it is a cluster is told what to say."""
    store = RedisStore(servers[0].url, timeout_s=LONG_S)
    with pytest.raises(SettingsError, match="cluster=True"):
        await claim(store, key_at(servers, servers[-1]))
    await store.close()
