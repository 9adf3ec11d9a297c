"""The process that runs a generation is killed, frozen or told to end, and every client learns what came of it."""

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from faults.client import until
from faults.model import spoken
from faults.stage import Stage, new_cid, on_stage
from relay.redis_server import redis_server

pytestmark = pytest.mark.slow

LEASE_S = 1.0
TOLD_S = LEASE_S + 1.0
"""Within which time after its owner's death an answer's readers shall be told."""
SLACK_S = 5.0
"""What a busy machine may add to that."""
LOST = "failed owner_lost"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("owner")
    with redis_server(directory / "redis") as redis, on_stage(directory, [redis.url] * 2, lease_s=LEASE_S) as stage:
        yield stage


@pytest.fixture
def stage(standing: Stage) -> Stage:
    return standing.fresh()


async def test_killed_in_the_middle_of_an_answer(stage: Stage) -> None:
    """Readers keep the text and are told `failed`, retryable, soon after the lease; only a retry calls the model."""
    (one, two), cid = stage.replicas, new_cid()
    own, cut, foreign, again = (stage.client(cid, pace="endless/quick") for _ in range(4))
    coming_back = asyncio.create_task(own.follow(one, two))
    await own.has(1)
    staying_away = asyncio.create_task(cut.read(one))
    reading = asyncio.create_task(foreign.follow(two))
    await asyncio.gather(*(client.has(3) for client in (own, cut, foreign)))

    one.kill()
    killed_s = time.monotonic()
    await reading
    told_s = time.monotonic() - killed_s
    stage.note("told_s", told_s)
    assert told_s < TOLD_S + SLACK_S
    await asyncio.gather(coming_back, staying_away)
    for client in (own, foreign):
        assert client.status == LOST
        assert client.end is not None
        assert client.end["retryable"]
        assert client.text == spoken(stage.calls[0].request.nth, client.seq)
    assert len(stage.calls) == 1

    await again.follow(two, retry=True)
    await cut.follow(two)
    for client in (again, cut):
        assert client.status == "done"
        assert client.epoch == own.epoch + 1
        assert client.text == spoken(stage.calls[1].request.nth)
    assert [result for result, _ in again.opened] == ["restarted"]
    await stage.balanced(calls=2)


async def test_killed_before_the_first_chunk(stage: Stage) -> None:
    """Who waits for an answer of which nothing was ever said gets another one over the same connection."""
    (one, two), cid = stage.replicas, new_cid()
    own, foreign = (stage.client(cid, pace="silent/quick") for _ in range(2))
    starting = asyncio.create_task(own.read(one))
    await own.is_open()
    reading = asyncio.create_task(foreign.follow(two))
    await foreign.is_open()
    await until(lambda: stage.calls, "the first call")

    one.kill()
    killed_s = time.monotonic()
    await foreign.has(1)
    stage.note("restarted_s", time.monotonic() - killed_s)
    await asyncio.gather(starting, reading)
    assert foreign.opened == [("attached", own.epoch), ("restarted", own.epoch + 1)]
    assert foreign.statuses == [200]
    assert foreign.text == spoken(stage.calls[1].request.nth)
    await stage.balanced(calls=2)


async def test_a_resuming_client_starts_nothing(stage: Stage) -> None:
    """A client of the killed replica that comes back with its place is told that its answer failed, and calls nothing.

    Whoever asks anew gets the answer.
    """
    (one, two), cid = stage.replicas, new_cid()
    own, newcomer = (stage.client(cid, pace="silent/quick") for _ in range(2))
    coming_back = asyncio.create_task(own.follow(one, two))
    await own.is_open()
    await until(lambda: stage.calls, "the first call")

    one.kill()
    killed_s = time.monotonic()
    await coming_back
    stage.note("told_s", time.monotonic() - killed_s)
    assert own.status == LOST
    assert len(own.opened) > 1
    await stage.balanced(calls=1)

    await newcomer.follow(two)
    assert newcomer.text == spoken(stage.calls[1].request.nth)
    await stage.balanced(calls=2)


async def test_frozen_for_longer_than_its_lease(stage: Stage) -> None:
    """An owner that wakes up after others went on is fenced: no word of it gets in, its readers and its call end."""
    (one, two), cid = stage.replicas, new_cid()
    own, foreign, again, newcomer = (stage.client(cid, pace="endless/brisk") for _ in range(4))
    staying = asyncio.create_task(own.follow(one))
    await own.has(1)
    reading = asyncio.create_task(foreign.follow(two))
    await asyncio.gather(own.has(3), foreign.has(3))

    one.freeze()
    frozen_s = time.monotonic()
    await reading
    stage.note("told_s", time.monotonic() - frozen_s)
    assert foreign.status == LOST
    retrying = asyncio.create_task(again.follow(two, retry=True))
    await again.has(3)

    one.thaw()
    thawed_s = time.monotonic()
    await staying
    stage.note("fenced_s", time.monotonic() - thawed_s)
    assert own.status == LOST
    assert own.text == spoken(stage.calls[0].request.nth, own.seq)
    await until(lambda: stage.calls[0].client_gone_s, "the zombie's model call to be cancelled")
    await asyncio.gather(retrying, newcomer.follow(one))
    for client in (again, newcomer):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[1].request.nth)
    await stage.balanced(calls=2)


async def test_told_to_end(stage: Stage) -> None:
    """What a replica cannot finish in time ends as `failed`, reason `shutdown`, for all readers; its exit is clean."""
    (one, two), endless, steady = stage.replicas, new_cid(), new_cid()
    cut = [stage.client(endless, pace="endless/quick") for _ in range(2)]
    near_its_end = [stage.client(steady, pace="steady/quick") for _ in range(2)]
    reading = []
    for own, foreign in (cut, near_its_end):
        reading.append(asyncio.create_task(own.follow(one, two)))
        await own.has(1)
        reading.append(asyncio.create_task(foreign.follow(two)))
    await asyncio.gather(*(client.has(60) for client in near_its_end), *(client.has(1) for client in cut))

    told_s = time.monotonic()
    status = await asyncio.to_thread(one.end)
    stage.note("exit_s", time.monotonic() - told_s)
    await asyncio.gather(*reading)
    assert status in (0, -signal.SIGTERM)
    assert {client.status for client in cut} == {"failed shutdown"}
    for client in near_its_end:
        assert client.status in ("done", "failed shutdown")
        assert client.text == spoken(client.call, client.seq)
    await stage.balanced(calls=2)


async def test_a_replica_that_only_reads_along_is_told_to_end(stage: Stage) -> None:
    """Its readers resume elsewhere, and the answer does not notice."""
    (one, two), cid = stage.replicas, new_cid()
    own, foreign = (stage.client(cid, pace="brisk/quick") for _ in range(2))
    reading = asyncio.create_task(own.follow(one))
    await own.has(1)
    moving = asyncio.create_task(foreign.follow(two, one))
    await foreign.has(3)

    await asyncio.to_thread(two.end)
    await asyncio.gather(reading, moving)
    for client in (own, foreign):
        assert client.status == "done"
        assert client.text == spoken(stage.calls[0].request.nth)
    await stage.balanced(calls=1)
