"""Nobody can say who owns an answer, or hardly anybody gets to ask: Redis is frozen, or its connections are few."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from faults.model import FEW, spoken
from faults.stage import Stage, new_cid, on_stage
from relay.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.slow

LEASE_S = 3.0
TIMEOUT_S = 1.0
CONNECTIONS = 4
KEYS = 100


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis") / "plain") as server:
        yield server


@pytest.fixture(scope="module")
def standing(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory, urls = tmp_path_factory.mktemp("claims"), [redis.url] * 2
    with on_stage(directory, urls, lease_s=LEASE_S, timeout_s=TIMEOUT_S, max_connections=CONNECTIONS) as stage:
        yield stage


@pytest.fixture
async def stage(standing: Stage) -> Stage:
    stage = standing.fresh()
    for replica in stage.replicas:  # both are up, and know their Redis
        await stage.client(new_cid(), pace="quick/quick", route="/strict").follow(replica)
        await stage.client(new_cid(), pace="quick/quick").follow(replica)
    return stage.fresh()


async def test_frozen_where_the_model_is_called_without_it(stage: Stage, redis: RedisServer) -> None:
    """The answer comes, is shared by who asks at the same replica, counted as bypassed; then all is as before."""
    (one, two), cid, later = stage.replicas, new_cid(), new_cid()
    bypassing, sharing = (stage.client(cid, pace="steady/quick") for _ in range(2))
    redis.freeze()
    try:
        reading = asyncio.create_task(bypassing.follow(one))
        await bypassing.has(1)
        await asyncio.gather(reading, sharing.follow(one))
    finally:
        redis.thaw()
    for client in (bypassing, sharing):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[0].request.nth)
    assert [result for result, _ in (*bypassing.opened, *sharing.opened)] == ["bypassed", "attached"]

    after = [stage.client(later, pace="quick/quick") for _ in range(2)]
    for client, replica in zip(after, (one, two), strict=True):
        await client.follow(replica)
        assert client.text == spoken(stage.calls[1].request.nth)
    await stage.balanced(calls=2)
    assert [record.result for record in stage.records] == ["bypassed", "started"]


async def test_frozen_where_clients_are_asked_to_come_back(stage: Stage, redis: RedisServer) -> None:
    """A GET is put off by a `retry:`, a POST by 429; nothing is called, and who comes back later gets the answer."""
    (one, _), cid = stage.replicas, new_cid()
    source, posting = (stage.client(cid, pace="quick/quick", route="/strict") for _ in range(2))
    redis.freeze()
    try:
        await source.read(one)
        await posting.read(one, method="POST")
    finally:
        redis.thaw()
    assert (source.statuses, source.opened) == ([200], [])
    assert 5_000 <= source.retries_ms[-1] <= 15_000
    assert posting.statuses == [429]
    assert any(line.lower().startswith("retry-after: ") for line in posting.headers)
    assert not stage.calls

    await source.follow(one)
    assert source.status == "done"
    assert source.text == spoken(stage.calls[0].request.nth)
    await stage.balanced(calls=1, claims_get_lost=True)


async def test_more_asked_than_there_are_connections(stage: Stage) -> None:
    """With four connections each, two replicas serve 200 clients of 100 keys, one call a key.

    Another is made only for a claim that got no turn, and is counted as bypassed.
    """
    clients = [
        (stage.client(cid, pace="brief/brief"), replica)
        for cid in [new_cid() for _ in range(KEYS)]
        for replica in stage.replicas
    ]
    await asyncio.gather(*(client.follow(replica, *stage.replicas) for client, replica in clients))
    numbers = {call.request.nth: call.request.prompt for call in stage.calls}
    for client, _ in clients:
        assert client.status == "done"
        assert client.text == spoken(client.call, FEW)
        assert numbers[client.call or -1].endswith(client.cid)
    results = Counter(result for client, _ in clients for result, _ in client.opened)
    stage.note("bypassed", results["bypassed"])
    assert KEYS <= len(stage.calls) <= KEYS + results["bypassed"]
    await stage.balanced(calls=len(stage.calls), claims_get_lost=True)
