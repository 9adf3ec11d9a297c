"""The owner and Redis do not hear each other, one way or the other, for a while or for longer than the lease."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from faults.client import until
from faults.gate import Gate, Way
from faults.model import spoken
from faults.stage import Stage, new_cid, on_stage
from relay.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("way", Way, ids=lambda way: way.name.lower())]

LONG_LEASE_S = 25.0
SHORT_LEASE_S = 1.0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis") / "plain") as server:
        yield server


@contextlib.asynccontextmanager
async def apart(redis: RedisServer, directory: Path, *, lease_s: float) -> AsyncIterator[tuple[Stage, Gate]]:
    """Run two replicas; between the first one and Redis stands a gate."""
    async with Gate(redis.port) as gate:
        with on_stage(directory, [gate.url, redis.url], lease_s=lease_s) as standing:
            yield standing.fresh(), gate


async def test_for_a_while(redis: RedisServer, tmp_path: Path, way: Way) -> None:
    """Readers elsewhere wait, and then get the rest: every entry once, though it may have been sent several times."""
    async with apart(redis, tmp_path, lease_s=LONG_LEASE_S) as (stage, gate):
        (one, two), cid = stage.replicas, new_cid()
        own, foreign = (stage.client(cid, pace="steady/quick") for _ in range(2))
        reading = [asyncio.create_task(own.follow(one))]
        await own.has(1)
        reading.append(asyncio.create_task(foreign.follow(two)))
        await foreign.has(3)

        gate.cut(way)
        await own.has(own.seq + 40)
        gate.mend()
        await asyncio.gather(*reading)
        for client in (own, foreign):
            assert client.status == "done"
            assert client.statuses == [200]
            assert client.text == spoken(stage.calls[0].request.nth)
        await stage.balanced(calls=1)


async def test_for_longer_than_the_lease(redis: RedisServer, tmp_path: Path, way: Way) -> None:
    """Readers elsewhere are told that the owner is lost; once it hears so too, its call and its readers end."""
    async with apart(redis, tmp_path, lease_s=SHORT_LEASE_S) as (stage, gate):
        (one, two), cid = stage.replicas, new_cid()
        own, foreign, again = (stage.client(cid, pace="endless/brisk") for _ in range(3))
        staying = asyncio.create_task(own.follow(one))
        await own.has(1)
        reading = asyncio.create_task(foreign.follow(two))
        await foreign.has(3)

        gate.cut(way)
        cut_s = time.monotonic()
        await reading
        stage.note("told_s", time.monotonic() - cut_s)
        assert foreign.status == "failed owner_lost"
        await own.has(own.seq + 1)
        retrying = asyncio.create_task(again.follow(two, retry=True))
        await again.has(3)

        gate.mend()
        await staying
        assert own.status == "failed owner_lost"
        assert own.text == spoken(stage.calls[0].request.nth, own.seq)
        await until(lambda: stage.calls[0].client_gone_s, "the lost owner's model call to be cancelled")
        await retrying
        assert again.status == "done"
        assert again.text == spoken(stage.calls[1].request.nth)
        await stage.balanced(calls=2)
