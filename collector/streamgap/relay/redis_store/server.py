"""One Redis server: a bounded number of connections, each call within its time, and every failure told in one way."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import Redis

from streamgap.core.errors import SettingsError
from streamgap.relay.redis_store.endpoint import Endpoint
from streamgap.relay.redis_store.scripts import Script
from streamgap.relay.store import StoreUnavailableError

CALLS = 16
"""Most connections for calls that are answered at once. More would not be faster, only slower to open in a burst."""
POLL_S = 0.25
"""Time between two looks where no connection is free to wait on."""
SLACK_S = 0.5
"""How much later than asked a wait may end: a server looks at its clock ten times a second, and may be busy."""

Argument = str | int | float | bytes

_UNAVAILABLE = (
    exceptions.ConnectionError,  # wrong password, LOADING and too many clients included
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.NoPermissionError,
    exceptions.InvalidResponse,
    OSError,
)
_UNAVAILABLE_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ", "UNBLOCKED ")
_IS_IT_UP = "; is it up, and does the url say redis:// or, for TLS, rediss://?"
_TRY = (
    (exceptions.AuthenticationError, "; check user and password in the store's url"),
    (exceptions.NoPermissionError, "; let its user run EVAL, EVALSHA, XREAD and INFO, and what the scripts call"),
    (exceptions.OutOfMemoryError, "; give it more memory, or keep finished answers for a shorter keep_s"),
    (exceptions.InvalidResponse, "; is it a Redis?"),
    (exceptions.BusyLoadingError, ""),
    (exceptions.ConnectionError, _IS_IT_UP),
)
_logger = logging.getLogger("streamgap")


class _Lane:
    """Connections of one server for one kind of call. Callers queue for them in order.

    Not redis-py's BlockingConnectionPool: a waiter of its condition that gives up may take the wake-up of the next one
    with it (Python 3.11); asyncio's semaphore passes it on.
    """

    def __init__(self, endpoint: Endpoint, size: int) -> None:
        self.free = asyncio.Semaphore(size)
        self._pool = endpoint.pool(size)
        self._client: Any = Redis(connection_pool=self._pool)  # its commands have no types
        self._is_closed = False

    async def run(self, *command: Argument) -> Any:
        async with self.free:
            try:
                return await self._client.execute_command(*command)
            finally:
                if self._is_closed:  # while this one was still connecting
                    await self.disconnect_idle()

    async def disconnect_idle(self) -> None:
        with contextlib.suppress(exceptions.RedisError):
            await self._pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        self._is_closed = True
        with contextlib.suppress(exceptions.RedisError):
            await self._pool.disconnect()


class Server:
    """Connections to one server: a few for calls that are answered at once, the others to wait on for entries."""

    def __init__(self, endpoint: Endpoint, *, max_connections: int) -> None:
        self.endpoint = endpoint
        calls = min(CALLS, max_connections // 2)
        self._calls = _Lane(endpoint, calls)
        self._waits = _Lane(endpoint, max_connections - calls)
        self._is_vetted = False
        self._vetting = asyncio.Lock()

    async def evaluate(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument], *, deadline_s: float
    ) -> Any:
        """Run a script. The server learns its text the first time, and again after it has forgotten it."""
        async with self._telling(deadline_s):
            await self._vet()
            operands = (len(keys), *keys, *args)
            try:
                return await self._calls.run("EVALSHA", script.sha, *operands)
            except exceptions.NoScriptError:
                return await self._calls.run("EVAL", script.source, *operands)

    async def command(self, *command: Argument, deadline_s: float) -> Any:
        """Run a command that is answered at once."""
        async with self._telling(deadline_s):
            return await self._calls.run(*command)

    async def wait(self, stream: str, *, after: str, for_s: float) -> None:
        """Wait until the stream has an entry after the id `after`, `for_s` seconds at most, and perhaps less."""
        if self._waits.free.locked():
            await asyncio.sleep(min(POLL_S, for_s))
            return
        block_ms = max(1, math.ceil(for_s * 1000))  # 0 would be for ever
        async with self._telling(asyncio.get_running_loop().time() + for_s + SLACK_S):
            await self._waits.run("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", stream, after)

    async def close(self) -> None:
        """Close all connections; what runs on them fails."""
        await self._calls.close()
        await self._waits.close()

    @contextlib.asynccontextmanager
    async def _telling(self, deadline_s: float) -> AsyncIterator[None]:
        """End what takes longer than until `deadline_s`, and tell what went wrong as StoreUnavailableError."""
        try:
            async with asyncio.timeout_at(deadline_s):
                yield
        except TimeoutError as error:
            remedy = "" if self._is_vetted else _IS_IT_UP
            raise StoreUnavailableError(
                f"redis at {self.endpoint}: expected an answer in time, got none{remedy}"
            ) from error
        except exceptions.ReadOnlyError as error:
            # A replica now. Its name may lead to the new primary, but only new connections ask for that.
            await self._calls.disconnect_idle()
            raise self._unavailable(error) from error
        except _UNAVAILABLE as error:
            raise self._unavailable(error) from error
        except exceptions.ResponseError as error:
            if not str(error).startswith(_UNAVAILABLE_CODES):
                raise
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        remedy = next((text for kind, text in _TRY if isinstance(error, kind)), "")
        said = str(error).rstrip(".") or type(error).__name__
        return StoreUnavailableError(f"redis at {self.endpoint}: expected an answer, got {said}{remedy}")

    async def _vet(self) -> None:
        """Refuse a server that forgets whatever it likes: a generation it forgets is paid for twice.

        INFO, because managed servers forbid CONFIG.
        """
        if self._is_vetted:
            return
        async with self._vetting:
            if not self._is_vetted:
                self._judge(await self._eviction_policy())
                self._is_vetted = True

    async def _eviction_policy(self) -> str:
        try:
            known = await self._calls.run("INFO", "memory")
        except exceptions.ResponseError as error:  # not permitted, or unknown
            if str(error).startswith(_UNAVAILABLE_CODES):
                raise
            return ""
        return str(known.get("maxmemory_policy", ""))

    def _judge(self, policy: str) -> None:
        if policy.startswith("allkeys-"):
            raise SettingsError(
                f"RedisStore: expected a server that keeps what it is given, got maxmemory-policy {policy} at "
                f"{self.endpoint}: what it evicts is paid for twice; try `CONFIG SET maxmemory-policy noeviction`"
            )
        if policy != "noeviction":
            _logger.warning(
                "streamgap relay: redis at %s: expected maxmemory-policy noeviction, got %s; "
                "what it evicts is paid for twice",
                self.endpoint,
                policy or "no answer to INFO memory",
            )
