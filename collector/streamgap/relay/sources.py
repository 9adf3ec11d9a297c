"""Finds or makes the source of each request: at most one per key in this process, owner or follower."""

import asyncio
import functools
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from streamgap.core.words import GenerationResult
from streamgap.relay.asking import Ask
from streamgap.relay.farewell import Farewell
from streamgap.relay.follower import Follower
from streamgap.relay.ledger import Ledger
from streamgap.relay.limits import Limits
from streamgap.relay.owner import SHUTDOWN, Generate, Owner
from streamgap.relay.refusals import AbsentError, BusyError, PastEndError, RefusedError
from streamgap.relay.rendering import Render
from streamgap.relay.source import Source
from streamgap.relay.stalls import Reader
from streamgap.relay.states import STOP_ASKED, Claim, Claimed, End, Standing, Status, draw_epoch
from streamgap.relay.store import LogStore, StoreUnavailableError

CLOSE_S = 3.0
"""Longest time that closing waits for the store to learn how the generations ended."""

CLOSED = Farewell(status=SHUTDOWN.status, reason=SHUTDOWN.reason, resumable=True)
"""What readers of a generation that runs elsewhere are told by a process that ends: they may read on there."""

PATIENCE_S = 5.0
"""Longest time that a request waits for the store to learn what this process knows already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the app wants of one request: how to call the model (None: not at all), and how to show its chunks."""

    generate: Generate | None
    model: str
    render: Render
    grace_s: float


class Sources:
    """The logs that this process holds now. Requests of one key ask the store one at a time."""

    def __init__(
        self,
        store: LogStore,
        *,
        limits: Limits,
        may_bypass: bool,
        draw_epoch: Callable[[], int] = draw_epoch,
    ) -> None:
        self._store = store
        self._draw_epoch = draw_epoch
        self._limits = limits
        self._may_bypass = may_bypass
        self._replica = secrets.token_urlsafe(12)
        self._by_key: dict[str, Source] = {}
        self._owners: set[Owner] = set()
        self._opening: dict[str, asyncio.Future[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def attach(self, ask: Ask, plan: Plan, ledger: Ledger, reader: Reader) -> tuple[Source, GenerationResult]:
        """Return the source of a request, with `reader` counted in, and how it came by it.

        Raises RefusedError, BusyError, AbsentError or PastEndError for a request that gets none.
        """
        if ask.last is not None and ask.last.seq is None:
            raise PastEndError
        source, result = await self._find(ask, plan, ledger)
        source.join(reader)
        return source, result

    def detach(self, source: Source, reader: Reader) -> None:
        """Count a reader out; a source that nobody reads, and that has nothing left to do, is forgotten."""
        source.leave(reader)
        if not source.readers and source.is_done:
            self._forget(source)

    async def stop(self, key: str, ledger: Ledger) -> bool:
        """End the generation of `key`, wherever it runs; false where nothing is known of it."""
        source = self._by_key.get(key)
        # One that is done may still have readers here, while its next epoch runs elsewhere.
        if isinstance(source, Owner) and not source.is_done:
            source.stop(End(Status.STOPPED, STOP_ASKED))
            return True
        standing = await self._store.stop(key, reason=STOP_ASKED)
        if standing is not None and standing.lost:
            ledger.mourn(key, standing.epoch)
        return standing is not None

    async def close(self) -> None:
        """End every generation as failed (`shutdown`), and wait until the store knows. Later requests get none."""
        self._is_closed = True
        if self._opening:
            await asyncio.wait(self._opening.values(), timeout=CLOSE_S)
        for owner in tuple(self._owners):
            owner.stop(SHUTDOWN)
        followers = [source for source in self._by_key.values() if isinstance(source, Follower)]
        for follower in followers:
            follower.end()
            follower.log.close(CLOSED)
        work = [task for source in (*self._owners, *self._by_key.values()) for task in source.work]
        if work:
            _, late = await asyncio.wait(work, timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _find(self, ask: Ask, plan: Plan, ledger: Ledger) -> tuple[Source, GenerationResult]:
        while True:
            if self._is_closed:
                raise BusyError
            source, opening = self._by_key.get(ask.key), self._opening.get(ask.key)
            if source is not None and (result := self._served_by(source, ask)):
                return source, result
            # One that ended in a way that may be left behind: the store must know of it before it is asked.
            shipping = source.work if source is not None and source.log.farewell is not None else ()
            waits = [*shipping, *([opening] if opening else ())]
            if not waits:
                break
            if not (await asyncio.wait(waits, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED))[0]:
                raise BusyError
        opening = self._opening[ask.key] = asyncio.get_running_loop().create_future()
        try:
            return await self._claim(ask, plan, ledger)
        finally:
            del self._opening[ask.key]
            opening.set_result(None)

    def _served_by(self, source: Source, ask: Ask) -> GenerationResult | None:
        """Say how a source that is there serves a request; None where the store is to be asked."""
        if ask.fingerprint and source.fingerprint and ask.fingerprint != source.fingerprint:
            raise _mismatch()
        if len(source.readers) >= self._limits.listeners:
            raise BusyError
        if ask.last is not None and ask.last.epoch != source.log.epoch:
            return None  # this process may be the one that is behind: it was frozen, and has not heard yet
        return source.serves

    async def _claim(self, ask: Ask, plan: Plan, ledger: Ledger) -> tuple[Source, GenerationResult]:
        held = self._by_key.get(ask.key)
        may_start = ask.may_start and plan.generate is not None
        has_room = len(self._owners) < self._limits.generations
        try:
            claim = await self._store.claim(
                ask.key, fingerprint=ask.fingerprint, may_start=may_start and has_room, retry=ask.retry
            )
        except StoreUnavailableError as error:
            if held is not None and held.serves is not None:
                return held, held.serves
            if not (may_start and has_room and self._may_bypass):
                raise BusyError from error
            result = GenerationResult.BYPASSED
            return self._own(ask, plan, ledger, epoch=self._draw_epoch(), result=result), result
        if claim.standing is None and may_start and not has_room:
            raise BusyError
        if claim.standing is not None and claim.standing.lost:
            # A restart says where the key stands now; what it found lost is the epoch before.
            ledger.mourn(ask.key, claim.standing.epoch - (claim.result is Claimed.RESTARTED))
        if held is not None and held.serves is not None and held.is_newest(claim.standing):
            return held, held.serves
        standing = _standing(claim, ask)
        result = GenerationResult(claim.result.value)
        if claim.result in (Claimed.STARTED, Claimed.RESTARTED):
            return self._own(ask, plan, ledger, epoch=standing.epoch, result=result), result
        return self._follow(ask.key, standing, ledger), result

    def _own(self, ask: Ask, plan: Plan, ledger: Ledger, *, epoch: int, result: GenerationResult) -> Owner:
        close_page = ledger.open(ask.key, epoch, result=result)

        def ended(owner: Owner, end: End) -> None:
            self._owners.discard(owner)
            close_page(owner, end)
            self._in_background(self._retire(owner))

        owner = Owner(
            ask.key,
            epoch=epoch,
            fingerprint=ask.fingerprint,
            store=None if result is GenerationResult.BYPASSED else self._store,
            limits=self._limits,
            grace_s=plan.grace_s,
            model=plan.model,
            render=plan.render,
            on_end=ended,
        )
        assert plan.generate is not None  # noqa: S101, nothing was to start without it
        self._by_key[ask.key] = owner
        self._owners.add(owner)
        owner.start(plan.generate)
        return owner

    def _follow(self, key: str, standing: Standing, ledger: Ledger) -> Follower:
        follower = Follower(
            key,
            standing,
            store=self._store,
            limits=self._limits,
            replica=self._replica,
            on_lost=functools.partial(ledger.mourn, key),
        )
        self._by_key[key] = follower
        follower.start()
        return follower

    async def _retire(self, owner: Owner) -> None:
        """Forget an owner once the store has its log, if nobody reads it here then."""
        await asyncio.sleep(0)  # its own task is just ending
        if owner.work:
            await asyncio.wait(owner.work)
        if not owner.readers:
            self._forget(owner)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._retiring.add(task)  # the event loop itself keeps weak references only
        task.add_done_callback(self._retiring.discard)

    def _forget(self, source: Source) -> None:
        if self._by_key.get(source.key) is source:
            del self._by_key[source.key]


def _standing(claim: Claim, ask: Ask) -> Standing:
    if claim.result is Claimed.MISMATCH:
        raise _mismatch()
    if claim.result is Claimed.FULL:
        raise BusyError
    if claim.standing is None:
        raise AbsentError(ask.last.epoch if ask.last else 1)
    return claim.standing


def _mismatch() -> RefusedError:
    return RefusedError(422, "relay: this key was used for another request; use a new key for a new question")
