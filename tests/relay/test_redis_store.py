"""The Redis store keeps what every store promises, on a single server and in a cluster."""

import asyncio
import contextlib
import re
import secrets
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from instrument.lab import until
from relay.redis_server import PATIENCE_S, RedisServer, redis_cluster, redis_server
from relay.store_contract import MAX_EPOCHS, Harness, StoreContract
from streamgap.core.errors import SettingsError
from streamgap.relay.redis_store import RedisStore
from streamgap.relay.states import OWNER_LOST, Claimed, End, Status
from streamgap.relay.store import StoreUnavailableError

pytestmark = pytest.mark.slow

CALM_S = 600.0
HASTE_S = 5.0
SECRET = "s3cr3t-of-mine"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis") / "single") as server:
        yield server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[RedisServer]]:
    with redis_cluster(tmp_path_factory.mktemp("redis")) as servers:
        yield servers


def age(server: RedisServer, prefix: str, *, by_ms: int) -> None:
    """Let time pass for what a server has: everything that it keeps until some time, it keeps until earlier."""
    for key in server.ask("KEYS", f"{prefix}*"):
        if key.endswith(":m"):
            server.ask("HINCRBY", key, "lease", -by_ms)
        if key.endswith(":r"):
            for replica in server.ask("ZRANGE", key, 0, -1):
                server.ask("ZINCRBY", key, -by_ms, replica)
        server.ask("PEXPIREAT", key, server.ask("PEXPIRETIME", key) - by_ms)


@contextlib.asynccontextmanager
async def two_replicas(*servers: RedisServer, lasts_s: float) -> AsyncIterator[Harness]:
    """Two stores with keys of their own, so that each test begins with none.

    They keep for four times their lease: a read that waits does so in real time, at most for one lease.
    """
    keep_s = 4 * lasts_s
    prefix = f"{secrets.token_hex(8)}:"
    async with contextlib.AsyncExitStack() as closing:
        stores = []
        for _ in range(2):
            store = RedisStore(
                servers[0].url,
                cluster=len(servers) > 1,
                lease_s=lasts_s,
                renew_s=lasts_s / 5,
                keep_s=keep_s,
                max_epochs=MAX_EPOCHS,
                timeout_s=30.0,  # a slow machine is no broken server
                prefix=prefix,
            )
            closing.push_async_callback(store.close)
            stores.append(store)

        async def pass_time(seconds: float) -> None:
            for server in servers:
                await asyncio.to_thread(age, server, prefix, by_ms=round(seconds * 1000))

        yield Harness(store=stores[0], other=stores[1], lease_s=lasts_s, keep_s=keep_s, pass_time=pass_time)


class TestSingleServer(StoreContract):
    @pytest_asyncio.fixture
    async def harness(self, server: RedisServer) -> AsyncIterator[Harness]:
        async with two_replicas(server, lasts_s=CALM_S) as harness:
            yield harness

    @pytest_asyncio.fixture
    async def hasty(self, server: RedisServer) -> AsyncIterator[Harness]:
        async with two_replicas(server, lasts_s=HASTE_S) as harness:
            yield harness


class TestCluster(StoreContract):
    @pytest_asyncio.fixture
    async def harness(self, cluster: Sequence[RedisServer]) -> AsyncIterator[Harness]:
        async with two_replicas(*cluster, lasts_s=CALM_S) as harness:
            yield harness

    @pytest_asyncio.fixture
    async def hasty(self, cluster: Sequence[RedisServer]) -> AsyncIterator[Harness]:
        async with two_replicas(*cluster, lasts_s=HASTE_S) as harness:
            yield harness


async def test_time_passes_by_itself(server: RedisServer) -> None:
    """On the server's own clock a silent owner is found by a read that waits, and its log is forgotten in the end."""
    async with two_replicas(server, lasts_s=1.0) as harness:
        claimed = await harness.store.claim("key", fingerprint="", may_start=True)
        assert claimed.standing is not None
        page = await harness.other.read("key", epoch=claimed.standing.epoch, after=0, wait_s=PATIENCE_S)
        assert page is not None
        assert page.standing.reason == OWNER_LOST
        async with asyncio.timeout(PATIENCE_S):
            while await harness.other.stop("key", reason="") is not None:  # noqa: ASYNC110, Redis sets no event
                await asyncio.sleep(0.05)


async def every_call(store: RedisStore) -> AsyncIterator[str]:
    """Use every call of a store on three keys, and name each when it has been made."""
    for key, end in (("runs", None), ("done", End(Status.DONE)), ("fails", End(Status.FAILED, "x"))):
        claimed = await store.claim(key, fingerprint="f", may_start=True)
        yield f"claim {key}"
        assert claimed.standing is not None
        epoch = claimed.standing.epoch
        await store.attend(key, replica="a", for_s=3 * CALM_S)
        yield f"attend {key}"
        await store.append(key, epoch=epoch, first=1, entries=[b"a", b"b"])
        yield f"append {key}"
        await store.append(key, epoch=epoch, first=3, entries=[b"c"], keep_from=2, end=end)
        yield f"append {end}"
        await store.read(key, epoch=epoch, after=1, wait_s=0)
        yield f"read {key}"
        await store.claim(key, fingerprint="f", may_start=True, retry=True)
        yield f"claim {key} again"
    await store.stop("runs", reason="asked")
    yield "stop"
    await store.restore("lost", epoch=7, fingerprint="f")
    yield "restore"


async def test_every_key_has_its_time(server: RedisServer) -> None:
    """Whatever was called last, Redis forgets everything by itself."""
    prefix = f"{secrets.token_hex(8)}:"
    store = RedisStore(server.url, lease_s=CALM_S, prefix=prefix, timeout_s=30.0)
    async for call in every_call(store):
        left_ms = {key: server.ask("PTTL", key) for key in server.ask("KEYS", f"{prefix}*")}
        assert left_ms, call
        assert all(0 < ms <= 3 * CALM_S * 1000 for ms in left_ms.values()), (call, left_ms)
    await store.close()


async def test_keys_say_whose_they_are(server: RedisServer) -> None:
    """A log has three keys, which begin with the prefix and share one hash tag."""
    prefix = f"{secrets.token_hex(8)}:"
    store = RedisStore(server.url, prefix=prefix, timeout_s=30.0)
    async for _ in every_call(store):
        pass
    assert set(server.ask("KEYS", f"{prefix}*runs*")) == {f"{prefix}{{runs}}:{kind}" for kind in "msr"}
    await store.close()


async def test_logs_of_different_prefixes_do_not_meet(server: RedisServer) -> None:
    """Two applications can share a server."""
    async with two_replicas(server, lasts_s=CALM_S) as one, two_replicas(server, lasts_s=CALM_S) as another:
        for store in (one.store, another.store):
            assert (await store.claim("key", fingerprint="", may_start=True)).result is Claimed.STARTED


async def test_a_burst_opens_few_connections(server: RedisServer) -> None:
    """Two hundred calls at once share sixteen connections: opening two hundred would take longer than they may."""
    before = len(server.ask("CLIENT", "LIST").splitlines())
    async with two_replicas(server, lasts_s=CALM_S) as harness:
        store = harness.store
        await asyncio.gather(*(store.claim(f"{i}", fingerprint="", may_start=True) for i in range(200)))
        assert len(server.ask("CLIENT", "LIST").splitlines()) - before <= 16


async def test_closing_gives_connections_back(server: RedisServer) -> None:
    """After a close no connection is left, and a read that was waiting ends."""
    before = len(server.ask("CLIENT", "LIST").splitlines())
    async with two_replicas(server, lasts_s=CALM_S) as harness:
        claimed = await harness.store.claim("key", fingerprint="", may_start=True)
        assert claimed.standing is not None
        reading = asyncio.create_task(
            harness.store.read("key", epoch=claimed.standing.epoch, after=0, wait_s=PATIENCE_S)
        )
        await until(server.waiting)
        await harness.store.close()
        with pytest.raises(StoreUnavailableError, match="closed"):
            await reading
    await until(lambda: len(server.ask("CLIENT", "LIST").splitlines()) == before)


@pytest.mark.parametrize("turns", [1, 3, 5, 10, 20, 40])
async def test_closing_in_the_middle_leaves_nothing_open(server: RedisServer, turns: int) -> None:
    """A connection that was being opened when its store was closed does not stay."""
    before = len(server.ask("CLIENT", "LIST").splitlines())
    async with two_replicas(server, lasts_s=CALM_S) as harness:
        store = harness.store
        calls = [asyncio.create_task(store.claim(f"{i}", fingerprint="", may_start=True)) for i in range(50)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await store.close()
        await asyncio.wait(calls)
        assert {type(call.exception()) for call in calls} <= {StoreUnavailableError, type(None)}
    await until(lambda: len(server.ask("CLIENT", "LIST").splitlines()) == before)


@pytest.mark.parametrize(
    ("url", "settings", "expected"),
    [
        (f"http://:{SECRET}@127.0.0.1", {}, "starts with 'http'"),
        (f"redis://:{SECRET}#x@127.0.0.1:1", {}, "percent-encoding"),
        ("redis://127.0.0.1/?colour=blue", {}, "RedisStore url"),
        ("", {}, "RedisStore url"),
        ("redis://127.0.0.1/1", {"cluster": True}, "database 0"),
        ("unix:///run/redis.sock", {"cluster": True}, "host, port"),
        ("redis://127.0.0.1", {"lease_s": 1.0, "renew_s": 1.0}, "renew_s < lease_s"),
        ("redis://127.0.0.1", {"keep_s": 0.0}, "keep_s"),
        ("redis://127.0.0.1", {"linger_s": -1.0}, "linger_s"),
        ("redis://127.0.0.1", {"timeout_s": float("inf")}, "timeout_s"),
        ("redis://127.0.0.1", {"max_epochs": 0}, "max_epochs"),
        ("redis://127.0.0.1", {"max_connections": 1}, "max_connections"),
    ],
)
def test_settings_that_cannot_work_are_refused(url: str, settings: dict[str, Any], expected: str) -> None:
    """A store that cannot work says what was expected when it is made, and never shows a password."""
    with pytest.raises(SettingsError, match=re.escape(expected)) as caught:
        RedisStore(url, **settings)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_relay_needs_no_redis() -> None:
    """Without redis-py the relay works, and the one module that needs it says what to install."""
    program = """
import sys
sys.modules["redis"] = None
import streamgap.relay
try:
    import streamgap.relay.redis_store
except ModuleNotFoundError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "pip install 'streamgap[redis]'" in said.stdout
