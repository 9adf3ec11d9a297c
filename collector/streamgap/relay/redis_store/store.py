"""`RedisStore`: the logs of all replicas in Redis 7, a single server or a cluster."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from streamgap.core.errors import SettingsError
from streamgap.relay.redis_store.endpoint import Endpoint
from streamgap.relay.redis_store.replies import read_appended, read_claim, read_page, read_standing
from streamgap.relay.redis_store.scripts import APPEND, ATTEND, CLAIM, READ, RESTORE, STOP, Script
from streamgap.relay.redis_store.server import Argument
from streamgap.relay.redis_store.servers import Servers
from streamgap.relay.states import Appended, Claim, End, Page, Standing, draw_epoch

PAGE = 512
"""Most entries that one reading returns: bounds how long it keeps the server from everybody else."""


class RedisStore:
    """Keeps logs in Redis Streams: what `LogStore` promises, for every replica that uses the same server and `prefix`.

    `url`: redis://, rediss:// (TLS) or unix://; with `cluster`, of any server of the cluster. `timeout_s` limits every
    call, but for the wait of `read`. At most `max_connections` connections go to one server: half of them, 16 at most,
    for calls, for which callers queue, the others to wait on for entries. Readers that find none of them free look
    every 0.25 s instead. A server without memory takes nothing: StoreUnavailableError, never `full`. To be used in one
    event loop. Nothing connects before the first call, which raises SettingsError for a server that evicts any key.
    """

    def __init__(
        self,
        url: str,
        *,
        cluster: bool = False,
        lease_s: float = 5.0,
        renew_s: float = 1.0,
        keep_s: float = 600.0,
        linger_s: float = 0.02,
        max_epochs: int = 3,
        timeout_s: float = 0.5,
        max_connections: int = 64,
        prefix: str = "sg:",
    ) -> None:
        _check("renew_s, lease_s", (renew_s, lease_s), "0 < renew_s < lease_s", ok=0 < renew_s < lease_s < math.inf)
        _check("keep_s", keep_s, "seconds > 0", ok=0 < keep_s < math.inf)
        _check("linger_s", linger_s, "seconds ≥ 0", ok=0 <= linger_s < math.inf)
        _check("timeout_s", timeout_s, "seconds > 0", ok=0 < timeout_s < math.inf)
        _check("max_epochs", max_epochs, "a number ≥ 1", ok=max_epochs >= 1)
        _check("max_connections", max_connections, "a number ≥ 2", ok=max_connections >= 2)  # noqa: PLR2004, one of each
        self.linger_s = linger_s
        self.renew_s = renew_s
        self._times = (round(lease_s * 1000), round(keep_s * 1000))
        self._max_epochs = max_epochs
        self._prefix = prefix
        endpoint = Endpoint.from_url(url, timeout_s=timeout_s)
        self._servers = Servers(endpoint, cluster=cluster, timeout_s=timeout_s, max_connections=max_connections)

    async def claim(self, key: str, *, fingerprint: str, may_start: bool, retry: bool = False) -> Claim:
        """Ask to run the generation of `key`."""
        wishes = (fingerprint, int(may_start), int(retry), self._max_epochs, draw_epoch())
        return read_claim(await self._run(CLAIM, key, *wishes))

    async def append(
        self, key: str, *, epoch: int, first: int, entries: Sequence[bytes], keep_from: int = 1, end: End | None = None
    ) -> Appended:
        """Append entries `first`, `first` + 1, … as the owner of `epoch`, and renew the lease."""
        status, reason = (end.status, end.reason) if end else ("", "")
        return read_appended(await self._run(APPEND, key, epoch, first, keep_from, status, reason, *entries))

    async def restore(self, key: str, *, epoch: int, fingerprint: str) -> bool:
        """Put a key that is gone back as running at `epoch`; false where somebody else was faster."""
        return bool(await self._run(RESTORE, key, epoch, fingerprint))

    async def read(self, key: str, *, epoch: int, after: int, wait_s: float) -> Page | None:
        """Return the entries of `epoch` after number `after`, waiting up to `wait_s` seconds for one to come.

        The wait is for the stream, the answer from the standing: what is missed while waiting costs time, never truth.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while reply := await self._run(READ, key, epoch, after, PAGE):
            page, silent_in_s = read_page(reply)
            standing, left_s = page.standing, until_s - loop.time()
            has_news = page.entries or page.first > after + 1 or standing.over or standing.epoch != epoch
            if has_news or left_s <= 0:
                return page
            stream = self._keys(key)[1]
            await self._servers.wait(stream, after=f"{epoch}-{standing.seq}", for_s=min(left_s, silent_in_s))
        return None

    async def stop(self, key: str, *, reason: str) -> Standing | None:
        """End a running epoch as `stopped`; return where the key stands then, None where it is unknown."""
        reply = await self._run(STOP, key, reason)
        return read_standing(reply) if reply else None

    async def attend(self, key: str, *, replica: str, for_s: float) -> None:
        """Tell the owner for the next `for_s` seconds that readers at `replica` listen; 0: no more."""
        await self._run(ATTEND, key, replica, round(for_s * 1000))

    async def close(self) -> None:
        """Give back connections. What is stored stays."""
        await self._servers.close()

    async def _run(self, script: Script, key: str, *args: Argument) -> Any:
        return await self._servers.evaluate(script, self._keys(key), (*self._times, *args))

    def _keys(self, key: str) -> tuple[str, str, str]:
        """Name the three keys of one log. What stands in braces alone decides on their slot: it is the same one."""
        stem = f"{self._prefix}{{{key}}}"
        return f"{stem}:m", f"{stem}:s", f"{stem}:r"


def _check(name: str, got: object, expected: str, *, ok: bool) -> None:
    if not ok:
        raise SettingsError(f"RedisStore {name}: expected {expected}, got {got!r}")
