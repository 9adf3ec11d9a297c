"""Whatever happens to Redis, the store ends each call in time, keeps each entry once, and says what is wrong."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from certificate import make_certificate
from instrument.lab import until
from relay.redis_server import AOF, HOST, PATIENCE_S, RedisServer, redis_server
from relay.store_contract import ASKED, DONE, KEY, append, claim, contents, read, start
from streamgap.core.errors import SettingsError
from streamgap.demo.processes import free_port
from streamgap.relay.redis_store import RedisStore
from streamgap.relay.states import Claimed, Kept, Status
from streamgap.relay.store import StoreUnavailableError

pytestmark = pytest.mark.slow

SHORT_S = 1.0
"""Time limit of calls that are meant to reach it."""
LONG_S = 30.0
"""Time limit of calls that are not, on the slowest machine."""
ENTRIES = [b"entry %d" % i for i in range(100)]


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a server for tests that leave it as it was."""
    with redis_server(tmp_path_factory.mktemp("redis") / "lasting") as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """Run a server of the test's own."""
    with redis_server(tmp_path / "redis") as server:
        yield server


@contextlib.asynccontextmanager
async def using(server: RedisServer | str, **settings: Any) -> AsyncIterator[RedisStore]:
    """Make a store whose keys nobody else has, unless a prefix is given."""
    url = server if isinstance(server, str) else server.url
    usual: dict[str, Any] = {"prefix": f"{secrets.token_hex(8)}:", "timeout_s": LONG_S, "lease_s": 600.0}
    store = RedisStore(url, **usual | settings)
    try:
        yield store
    finally:
        await store.close()


class TestFrozen:
    async def test_an_append_whose_answer_is_lost_is_repeated(self, server: RedisServer) -> None:
        """A server that stood still does what it was asked; asked again, it keeps each entry once."""
        async with using(server) as store, using(server, timeout_s=SHORT_S, prefix=store._prefix) as hurried:
            epoch = await start(store)
            await until_warm(hurried)
            server.freeze()
            for _ in range(2):
                with pytest.raises(StoreUnavailableError, match=f"{HOST}:{server.port}.*in time"):
                    await append(hurried, epoch, *ENTRIES)
            server.thaw()
            assert (await append(store, epoch, *ENTRIES)).kept is Kept.OK
            assert (await append(store, epoch, b"more", first=101, end=DONE)).kept is Kept.OK
            assert await contents(store, epoch) == [*ENTRIES, b"more"]

    async def test_every_call_ends_in_time(self, server: RedisServer) -> None:
        """With a server that stands still 300 calls at once all fail, those that queue for a connection too."""
        async with using(server, timeout_s=SHORT_S) as store:
            await until_warm(store)
            server.freeze()
            async with asyncio.timeout(PATIENCE_S):
                results = await asyncio.gather(*(claim(store, f"key-{i}") for i in range(300)), return_exceptions=True)
            assert {type(result) for result in results} == {StoreUnavailableError}
            server.thaw()
            await until_warm(store)

    async def test_a_waiting_read_ends(self, server: RedisServer) -> None:
        """A read that waits while the server freezes fails soon after its wait, and does not hang."""
        async with using(server) as owner, using(server, timeout_s=SHORT_S, prefix=owner._prefix) as store:
            epoch = await start(owner)
            await until_warm(store)
            reading = asyncio.create_task(read(store, epoch, wait_s=3.0))
            await until(server.waiting)
            server.freeze()
            with pytest.raises(StoreUnavailableError):
                async with asyncio.timeout(PATIENCE_S):
                    await reading
            server.thaw()


async def until_warm(store: RedisStore) -> None:
    """Try until one call has come through, however little time the store gives it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                await store.stop("nobody", reason="")
                return


def restart(server: RedisServer) -> None:
    server.kill()
    server.start()


class TestRestarted:
    async def test_with_a_log_on_disk_nothing_is_lost(self, tmp_path: Path) -> None:
        """A server that is killed and started again with its AOF goes on where it was; so do scripts and readers."""
        with redis_server(tmp_path / "redis", *AOF) as server:
            async with using(server) as store:
                epoch = await start(store, *ENTRIES)
                reading = asyncio.create_task(read(store, epoch, after=100, wait_s=2 * PATIENCE_S))
                await until(server.waiting)
                await asyncio.to_thread(restart, server)
                assert (await append(store, epoch, *ENTRIES, b"more")).kept is Kept.OK
                assert await contents(store, epoch) == [*ENTRIES, b"more"]
                with contextlib.suppress(StoreUnavailableError):  # it looked while the server was away
                    assert (await reading).entries == (b"more",)

    async def test_without_one_the_owner_puts_its_log_back(self, server: RedisServer) -> None:
        """An owner is told that its key is gone, restores it, and brings the whole log again."""
        async with using(server) as store:
            epoch = await start(store, *ENTRIES)
            await asyncio.to_thread(restart, server)
            assert (await append(store, epoch, b"more", first=101)).kept is Kept.GONE
            assert await store.restore(KEY, epoch=epoch, fingerprint=ASKED)
            assert (await append(store, epoch, *ENTRIES, b"more")).kept is Kept.OK
            assert (await claim(store)).result is Claimed.ATTACHED
            assert await contents(store, epoch) == [*ENTRIES, b"more"]

    async def test_of_a_restore_and_a_claim_one_wins(self, server: RedisServer) -> None:
        """After a loss either the owner goes on or another begins anew, never both in one log."""
        async with using(server) as store, using(server, prefix=store._prefix) as other:
            epoch = await start(store, b"a")
            for _ in range(20):
                server.ask("FLUSHALL")
                restored, claimed = await asyncio.gather(
                    store.restore(KEY, epoch=epoch, fingerprint=ASKED), claim(other)
                )
                assert claimed.standing is not None
                assert claimed.result is (Claimed.ATTACHED if restored else Claimed.STARTED)
                kept = (await append(store, epoch, b"a")).kept
                assert kept is (Kept.OK if restored else Kept.FENCED)

    async def test_scripts_that_were_forgotten_are_sent_again(self, server: RedisServer) -> None:
        """A server that forgets its scripts, or never knew them, costs a round trip and no error."""
        async with using(server) as store:
            epoch = await start(store, b"a")
            server.ask("SCRIPT", "FLUSH")
            assert (await append(store, epoch, b"b", first=2)).kept is Kept.OK
            assert await contents(store, epoch) == [b"a", b"b"]


class TestConnections:
    async def test_calls_queue_for_connections(self, lasting: RedisServer) -> None:
        """With one connection for calls, 300 at once all succeed."""
        async with using(lasting, max_connections=2) as store:
            async with asyncio.timeout(PATIENCE_S):
                claims = await asyncio.gather(*(claim(store) for _ in range(300)))
            assert [one.result for one in claims].count(Claimed.STARTED) == 1

    async def test_readers_without_a_connection_look_now_and_then(self, lasting: RedisServer) -> None:
        """With one connection to wait on, 20 readers at once all get the entry, and the end."""
        async with using(lasting, max_connections=2) as store:
            epoch = await start(store)
            reading = [asyncio.create_task(read(store, epoch, wait_s=2 * PATIENCE_S)) for _ in range(20)]
            await until(lasting.waiting)
            await append(store, epoch, b"a")
            assert {(await one).entries for one in reading} == {(b"a",)}
            reading = [asyncio.create_task(read(store, epoch, after=1, wait_s=2 * PATIENCE_S)) for _ in range(20)]
            await until(lasting.waiting)
            await append(store, epoch, first=2, end=DONE)
            assert {(await one).standing.status for one in reading} == {Status.DONE}

    async def test_a_read_that_is_cut_off_goes_on(self, lasting: RedisServer) -> None:
        """A reader whose connection is killed while it waits gets its entry all the same."""
        async with using(lasting) as store:
            epoch = await start(store)
            reading = asyncio.create_task(read(store, epoch, wait_s=2 * PATIENCE_S))
            await until(lasting.waiting)
            for one in lasting.waiting():
                lasting.ask("CLIENT", "KILL", "ID", one)
            await append(store, epoch, b"a")
            assert (await reading).entries == (b"a",)

    async def test_killed_connections_lose_and_double_nothing(self, lasting: RedisServer) -> None:
        """Of 2000 entries a reader gets each once, in order, though every connection is killed three times."""
        entries = [b"%d" % i for i in range(2000)]
        async with using(lasting) as owner, using(lasting, prefix=owner._prefix) as other:
            epoch = await start(owner)
            following = asyncio.create_task(followed(other, epoch))
            for i in range(0, 2000, 10):
                if i in (500, 1000, 1500):
                    await until(lasting.waiting)
                    lasting.ask("CLIENT", "KILL", "TYPE", "normal")
                await until_kept(owner, epoch, *entries[i : i + 10], first=i + 1)
            await append(owner, epoch, first=2001, end=DONE)
            async with asyncio.timeout(PATIENCE_S):
                assert await following == entries

    async def test_calls_that_are_given_up_leave_no_connection_behind(self, lasting: RedisServer) -> None:
        """A thousand cancelled calls take no connection from the pool: the next ones find it whole."""
        async with using(lasting, max_connections=4) as store:
            epoch = await start(store)
            for i in range(100):
                calls: list[asyncio.Task[Any]] = [asyncio.create_task(append(store, epoch)) for _ in range(8)]
                calls += [asyncio.create_task(read(store, epoch, wait_s=PATIENCE_S)) for _ in range(2)]
                for _ in range(i % 7):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls)
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(append(store, epoch) for _ in range(8)))
                reading = asyncio.create_task(read(store, epoch, wait_s=2 * PATIENCE_S))
                await until(lasting.waiting)
                await append(store, epoch, b"a")
                assert (await reading).entries == (b"a",)


async def followed(store: RedisStore, epoch: int) -> list[bytes]:
    """Read a log to its end, again where that fails."""
    got: list[bytes] = []
    while True:
        with contextlib.suppress(StoreUnavailableError):
            page = await read(store, epoch, after=len(got), wait_s=1.0)
            got += page.entries
            if page.standing.over and len(got) == page.standing.seq:
                return got


async def until_kept(store: RedisStore, epoch: int, *entries: bytes, first: int) -> None:
    """Append, again where that fails."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                assert (await append(store, epoch, *entries, first=first)).kept is Kept.OK
                return


class TestRefusals:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("redis://someone:s3cr3t@{place}", "(?i)invalid username-password.*check user and password"),
            ("rediss://{place}", "in time.*is it up.*rediss://"),
            ("redis://nowhere.invalid:6379", "nowhere.invalid:6379.*is it up"),
            ("redis://{host}:1", f"{HOST}:1: .*is it up"),
            ("unix:///nowhere/redis.sock", "/nowhere/redis.sock.*No such file"),
        ],
        ids=["password", "TLS", "name", "port", "path"],
    )
    async def test_a_server_that_cannot_be_used_is_told(self, lasting: RedisServer, url: str, expected: str) -> None:
        """Whoever reads the error knows which server, what it said and what to try; nobody reads the password."""
        place = f"{HOST}:{lasting.port}"
        async with using(url.format(place=place, host=HOST), timeout_s=2.0) as store:
            with pytest.raises(StoreUnavailableError, match=expected) as caught:
                await claim(store)
        assert "s3cr3t" not in str(caught.value)

    async def test_a_server_with_a_password_wants_it(self, tmp_path: Path) -> None:
        """The user and password of the URL are used; without them the server refuses."""
        with redis_server(tmp_path / "redis", "--requirepass", "p/s#w") as server:
            async with using(f"redis://:p%2Fs%23w@{HOST}:{server.port}") as store:
                await start(store)
            async with using(server) as store:
                with pytest.raises(StoreUnavailableError, match="Authentication required"):
                    await claim(store)

    async def test_a_server_speaks_tls(self, tmp_path: Path) -> None:
        """With rediss:// and a certificate that is trusted all works; without either the store says what is wrong."""
        made, port = make_certificate(tmp_path), free_port()
        key, certificate = str(made.key), str(made.certificate)
        tls = ("--tls-port", str(port), "--tls-auth-clients", "no")
        files = ("--tls-key-file", key, "--tls-cert-file", certificate, "--tls-ca-cert-file", certificate)
        with redis_server(tmp_path / "redis", *tls, *files):
            async with using(f"rediss://{HOST}:{port}?ssl_ca_certs={certificate}") as store:
                epoch = await start(store, *ENTRIES)
                assert await contents(store, epoch) == ENTRIES
            async with using(f"rediss://{HOST}:{port}") as store:
                with pytest.raises(StoreUnavailableError, match=r"(?i)certificate verify failed"):
                    await claim(store)
            async with using(f"redis://{HOST}:{port}") as store:
                with pytest.raises(StoreUnavailableError, match="for TLS, rediss://"):
                    await claim(store)

    async def test_a_server_that_speaks_something_else_is_told(self) -> None:
        """A port of another program is no Redis."""

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, HOST, 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with using(f"redis://{HOST}:{port}") as store:
                with pytest.raises(StoreUnavailableError, match=f"{HOST}:{port}"):
                    await claim(store)

    async def test_a_cache_is_refused(self, server: RedisServer) -> None:
        """A server that evicts any key is refused by every call, until it has been set right."""
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        async with using(server) as store:
            for _ in range(2):
                with pytest.raises(SettingsError, match=r"allkeys-lru.*noeviction"):
                    await claim(store)
            server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
            assert (await claim(store)).result is Claimed.STARTED

    async def test_a_server_that_may_evict_is_warned_of(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A server that evicts keys with a time to live, as all of ours, is used, with one warning."""
        server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        async with using(server) as store:
            await asyncio.gather(*(claim(store) for _ in range(20)))
        (warning,) = warnings(caplog)
        assert f"{HOST}:{server.port}: expected maxmemory-policy noeviction, got volatile-lru" in warning

    async def test_a_server_that_tells_nothing_is_warned_of(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A managed server that forbids INFO is used, with one warning."""
        server.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-info")
        async with using(f"redis://app:pw@{HOST}:{server.port}") as store:
            await asyncio.gather(*(claim(store) for _ in range(20)))
        (warning,) = warnings(caplog)
        assert "got no answer to INFO memory" in warning

    async def test_a_user_without_permission_is_told(self, server: RedisServer) -> None:
        """A user that may not run scripts is told what it needs."""
        server.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "+info")
        async with using(f"redis://app:pw@{HOST}:{server.port}") as store:
            with pytest.raises(StoreUnavailableError, match=r"permission.*let its user run EVAL"):
                await claim(store)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class TestStates:
    async def test_a_full_server_takes_nothing_halfway(self, server: RedisServer) -> None:
        """Out of memory, an append fails as a whole, and succeeds once there is room."""
        async with using(server) as store:
            epoch = await start(store, b"a")
            server.ask("CONFIG", "SET", "maxmemory", "1")
            for call in (append(store, epoch, b"b", first=2, end=DONE), claim(store, "another")):
                with pytest.raises(StoreUnavailableError, match=r"used memory.*keep_s"):
                    await call
            assert (await read(store, epoch)).entries == (b"a",)
            server.ask("CONFIG", "SET", "maxmemory", "0")
            assert (await append(store, epoch, b"b", first=2, end=DONE)).kept is Kept.OK
            assert await contents(store, epoch) == [b"a", b"b"]

    async def test_a_primary_that_became_a_replica_is_left(self, server: RedisServer) -> None:
        """A server that takes no writes any more is unavailable, and its connections are opened anew."""
        async with using(server) as store:
            epoch = await start(store)
            before = connections(server)
            server.ask("REPLICAOF", HOST, 1)
            with pytest.raises(StoreUnavailableError, match=r"(?i)read only"):
                await append(store, epoch, b"a")
            server.ask("REPLICAOF", "NO", "ONE")
            assert (await append(store, epoch, b"a")).kept is Kept.OK
            assert before.isdisjoint(connections(server))

    async def test_a_busy_server_is_unavailable(self, server: RedisServer) -> None:
        """While somebody's script runs for ever, calls fail; when it is killed, they succeed."""
        async with using(server) as store:
            epoch = await start(store)
            server.ask("CONFIG", "SET", "busy-reply-threshold", 1)
            endless = asyncio.create_task(asyncio.to_thread(endless_script, server))
            with pytest.raises(StoreUnavailableError, match="BUSY"):
                await until_refused(store, epoch)
            await until_script_killed(server, endless)
            assert (await append(store, epoch, b"a")).kept is Kept.OK

    async def test_half_an_eviction_is_a_loss(self, server: RedisServer) -> None:
        """Where Redis has evicted the entries but not what is known of them, the owner is asked for all of them."""
        async with using(server, prefix="sg:") as store:
            epoch = await start(store, b"a", b"b")
            server.ask("DEL", f"sg:{{{KEY}}}:s")
            assert await store.read(KEY, epoch=epoch, after=0, wait_s=PATIENCE_S) is None
            assert (await append(store, epoch, b"c", first=3)).kept is Kept.GONE
            assert await store.restore(KEY, epoch=epoch, fingerprint=ASKED)
            await append(store, epoch, b"a", b"b", b"c")
            assert await contents(store, epoch) == [b"a", b"b", b"c"]

    async def test_the_other_half_is_one_too(self, server: RedisServer) -> None:
        """Where Redis has evicted all but the entries, whoever begins anew begins with none."""
        async with using(server, prefix="sg:") as store:
            await start(store, b"a", b"b")
            server.ask("DEL", f"sg:{{{KEY}}}:m")
            epoch = await start(store, b"x")
            assert await contents(store, epoch) == [b"x"]

    async def test_somebody_elses_key_is_no_outage(self, server: RedisServer) -> None:
        """A key of another kind under our prefix is a mistake that is not covered up."""
        async with using(server, prefix="sg:") as store:
            server.ask("SET", f"sg:{{{KEY}}}:m", "mine")
            with pytest.raises(Exception, match="WRONGTYPE") as caught:
                await claim(store)
            assert not isinstance(caught.value, StoreUnavailableError)


def connections(server: RedisServer) -> set[str]:
    """Return the ids of the connections that have run a script last."""
    clients = [line.split() for line in server.ask("CLIENT", "LIST").splitlines()]
    return {client[0] for client in clients if "cmd=eval" in client or "cmd=evalsha" in client}


async def until_refused(store: RedisStore, epoch: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await append(store, epoch)


def endless_script(server: RedisServer) -> None:
    with contextlib.suppress(Exception):  # it is killed
        server.ask("EVAL", "while true do end", 0)


async def until_script_killed(server: RedisServer, endless: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not endless.done():
            with contextlib.suppress(Exception):  # not busy yet, or not any more
                server.ask("SCRIPT", "KILL")
            await asyncio.wait((endless,), timeout=0.02)
