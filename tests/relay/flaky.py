"""The way from each replica to the store that all of them share: it takes time, and it fails."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from streamgap.relay import LogStore, StoreUnavailableError
from streamgap.relay.states import Appended, Claim, Claimed, End, Page, Standing

TIMEOUT_S = 0.25


class Fault(Enum):
    """What is wrong with the way: requests are lost before the store has them, or its answers are."""

    REQUESTS = auto()
    ANSWERS = auto()


@dataclass
class Network:
    """What is common to all ways.

    `granted` and `refused` are told, in the context of the request, what a claim was answered that may call the model:
    the epoch, or nothing at all. `heard_lost` has what the store found lost, where a replica has heard of it.
    """

    latency_s: float = 0.0
    fault: Fault | None = None
    granted: Callable[[int], None] = lambda _epoch: None
    refused: Callable[[], None] = lambda: None
    heard_lost: list[tuple[str, int]] = field(default_factory=list)


class Way:
    """One replica's `LogStore`. Whatever becomes of the replica, the store does what it was sent."""

    def __init__(self, store: LogStore, network: Network) -> None:
        self.linger_s = store.linger_s
        self.renew_s = store.renew_s
        self._store = store
        self._network = network

    async def claim(self, key: str, *, fingerprint: str, may_start: bool, retry: bool = False) -> Claim:
        try:
            claim: Claim = await self._ask(
                self._store.claim, key, fingerprint=fingerprint, may_start=may_start, retry=retry
            )
        except StoreUnavailableError:
            self._network.refused()
            raise
        standing = claim.standing
        if standing is not None:
            is_new = claim.result in (Claimed.STARTED, Claimed.RESTARTED)
            self._hear(key, standing, before=claim.result is Claimed.RESTARTED)
            if is_new:
                self._network.granted(standing.epoch)
        return claim

    async def append(
        self, key: str, *, epoch: int, first: int, entries: Sequence[bytes], keep_from: int = 1, end: End | None = None
    ) -> Appended:
        answer: Appended = await self._ask(
            self._store.append, key, epoch=epoch, first=first, entries=entries, keep_from=keep_from, end=end
        )
        return answer

    async def restore(self, key: str, *, epoch: int, fingerprint: str) -> bool:
        answer: bool = await self._ask(self._store.restore, key, epoch=epoch, fingerprint=fingerprint)
        return answer

    async def read(self, key: str, *, epoch: int, after: int, wait_s: float) -> Page | None:
        page: Page | None = await self._ask(self._store.read, key, epoch=epoch, after=after, wait_s=wait_s)
        if page is not None:
            self._hear(key, page.standing)
        return page

    async def stop(self, key: str, *, reason: str) -> Standing | None:
        standing: Standing | None = await self._ask(self._store.stop, key, reason=reason)
        if standing is not None:
            self._hear(key, standing)
        return standing

    async def attend(self, key: str, *, replica: str, for_s: float) -> None:
        await self._ask(self._store.attend, key, replica=replica, for_s=for_s)

    async def close(self) -> None:
        pass

    def _hear(self, key: str, standing: Standing, *, before: bool = False) -> None:
        if standing.lost:
            self._network.heard_lost.append((key, standing.epoch - before))

    async def _ask(self, request: Callable[..., Awaitable[Any]], key: str, **what: Any) -> Any:
        # In a context of its own: what is on its way does not stop with the process that sent it.
        carry = self._carry(functools.partial(request, key, **what))
        return await asyncio.get_running_loop().create_task(carry, context=Context())

    async def _carry(self, request: Callable[[], Awaitable[Any]]) -> Any:
        network = self._network
        await asyncio.sleep(network.latency_s)
        if network.fault is Fault.REQUESTS:
            await _time_out()
        answer = await request()
        if network.fault is not None:
            await _time_out()
        await asyncio.sleep(network.latency_s)
        return answer


async def _time_out() -> None:
    await asyncio.sleep(TIMEOUT_S)
    raise StoreUnavailableError("the test's store: expected an answer, got none in time")
