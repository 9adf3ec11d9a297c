"""Redis stands still, or is killed and comes back with what it had, or with nothing."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.client import until
from faults.model import FEW, spoken
from faults.stage import Stage, new_cid, on_stage
from relay.redis_server import AOF, RedisServer, redis_cluster, redis_server

pytestmark = pytest.mark.slow

LEASE_S = 25.0
"""Longer than any of these faults, on the slowest machine."""
TIMEOUT_S = 1.0
LONG_S = 10.0
"""Time limit of claims that are meant to reach the store, however busy the machine: without it the model is called."""
RACERS = 100


@dataclass(frozen=True, slots=True)
class Disk:
    """A Redis server that writes what it is told to its directory."""

    server: RedisServer
    directory: Path

    def crash(self) -> None:
        self.server.kill()

    def lose_everything(self) -> None:
        shutil.rmtree(self.directory / "appendonlydir")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    directory = tmp_path_factory.mktemp("redis") / "aof"
    with redis_server(directory, *AOF) as server:
        yield Disk(server, directory)


@pytest.fixture(scope="module")
def standing(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    urls = [disk.server.url] * 2
    with on_stage(tmp_path_factory.mktemp("store"), urls, lease_s=LEASE_S, timeout_s=TIMEOUT_S) as stage:
        yield stage


@pytest.fixture
def stage(standing: Stage) -> Stage:
    return standing.fresh()


async def test_frozen_for_three_seconds(stage: Stage, disk: Disk) -> None:
    """Readers at the owner notice nothing; the others go on afterwards, without a gap and without a repetition."""
    (one, two), cid = stage.replicas, new_cid()
    own, foreign = (stage.client(cid, pace="steady/quick") for _ in range(2))
    reading = [asyncio.create_task(own.follow(one))]
    await own.has(1)
    reading.append(asyncio.create_task(foreign.follow(two)))
    await foreign.has(1)

    disk.server.freeze()
    try:
        await own.has(own.seq + 60)
        assert foreign.seq < own.seq
    finally:
        disk.server.thaw()
    await asyncio.gather(*reading)
    for client in (own, foreign):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[0].request.nth)
    assert own.statuses == [200]
    await stage.balanced(calls=1)


@pytest.mark.parametrize("fsync", ["always", "everysec"])
async def test_restarted_with_its_log(stage: Stage, disk: Disk, fsync: str) -> None:
    """A Redis that is killed and comes back with its AOF costs nobody anything."""
    disk.server.ask("CONFIG", "SET", "appendfsync", fsync)
    (one, two), cid = stage.replicas, new_cid()
    own, foreign, newcomer = (stage.client(cid, pace="brisk/quick") for _ in range(3))
    reading = [asyncio.create_task(own.follow(one))]
    await own.has(1)
    reading.append(asyncio.create_task(foreign.follow(two)))
    await foreign.has(3)

    disk.crash()
    await asyncio.to_thread(disk.server.start)
    await asyncio.gather(*reading, newcomer.follow(two))
    for client in (own, foreign, newcomer):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[0].request.nth)
    await stage.balanced(calls=1)


async def test_restarted_with_nothing(stage: Stage, disk: Disk) -> None:
    """The owner puts its log back, so that readers elsewhere and newcomers get all of it, and nothing is paid twice."""
    (one, two), cid = stage.replicas, new_cid()
    own, foreign, newcomer = (stage.client(cid, pace="brisk/quick") for _ in range(3))
    reading = [asyncio.create_task(own.follow(one))]
    await own.has(1)
    reading.append(asyncio.create_task(foreign.follow(two)))
    await foreign.has(3)

    one.freeze()
    try:
        disk.crash()
        disk.lose_everything()
        await asyncio.to_thread(disk.server.start)
        await until(
            lambda: "cmdstat_eval" in disk.server.ask("INFO", "commandstats"), "the other replica to find nothing"
        )
    finally:
        one.thaw()
    await until(lambda: disk.server.ask("KEYS", "*:m"), "the owner to put its log back")
    await asyncio.gather(*reading, newcomer.follow(two))
    for client in (own, foreign, newcomer):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[0].request.nth)
        assert client.epoch == own.epoch
    await stage.balanced(calls=1)


async def test_restarted_with_nothing_and_asked_before_the_owner(stage: Stage, disk: Disk) -> None:
    """Where another claims the key first, two calls are made, both are counted, and nobody reads a mixture of them."""
    (one, two), cid = stage.replicas, new_cid()
    own, first, second = (stage.client(cid, pace="brisk/brisk") for _ in range(3))
    reading = [asyncio.create_task(own.follow(one))]
    await own.has(3)

    one.freeze()
    try:
        disk.crash()
        disk.lose_everything()
        await asyncio.to_thread(disk.server.start)
        reading.append(asyncio.create_task(first.follow(two)))
        await first.has(3)
    finally:
        one.thaw()
    await asyncio.gather(*reading, second.follow(two))
    for client in (first, second):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[1].request.nth)
    assert own.status in ("done", "failed owner_lost")
    assert own.text == spoken(stage.calls[0].request.nth, own.seq)
    await stage.balanced(calls=2)


async def racing(stage: Stage) -> None:
    """Let many clients ask for one answer at once, at both replicas; all shall get the one that is paid for."""
    cid = new_cid()
    for replica in stage.replicas:  # both are up
        await stage.client(new_cid(), pace="quick/quick").follow(replica)
    clients = [(stage.client(cid, pace="brief/brief"), replica) for _ in range(RACERS) for replica in stage.replicas]
    await asyncio.gather(*(client.follow(replica) for client, replica in clients))
    assert {client.text for client, _ in clients} == {spoken(stage.calls[2].request.nth, FEW)}
    assert {client.status for client, _ in clients} == {"done"}
    assert Counter(result for client, _ in clients for result, _ in client.opened)["started"] == 1
    await stage.balanced(calls=3)


async def test_two_hundred_ask_at_once(disk: Disk, tmp_path: Path) -> None:
    """200 first requests for one key at two replicas make one call, and get 200 equal answers."""
    with on_stage(tmp_path / "replicas", [disk.server.url] * 2, lease_s=LEASE_S, timeout_s=LONG_S) as standing:
        await racing(standing.fresh())


async def test_two_hundred_ask_a_cluster_at_once(tmp_path: Path) -> None:
    """So they do where the store is a Redis Cluster of three masters."""
    with redis_cluster(tmp_path) as masters:
        urls = [masters[0].url, masters[2].url]
        with on_stage(tmp_path / "replicas", urls, cluster=True, lease_s=LEASE_S, timeout_s=LONG_S) as standing:
            await racing(standing.fresh())
