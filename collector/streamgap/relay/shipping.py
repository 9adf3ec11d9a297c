"""Brings an owner's log to the store, in order and exactly once, while its readers here read it from memory."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from streamgap.relay.log import Log
from streamgap.relay.states import LOST, Appended, End, Kept
from streamgap.relay.store import LogStore, StoreUnavailableError

MAX_BATCH = 512
"""Entries per append: bounds what one call of the store carries."""

GIVE_UP_S = 60.0
"""Time after the end of a generation in which a store that cannot be reached is still asked again."""

_logger = logging.getLogger("streamgap")


class Shipping:
    """Appends what is new to the store every `linger_s`, and nothing at least every `renew_s`, so that the lease lives.

    While the store cannot be reached it goes on trying with the same numbers, which the store takes once. It gives up,
    and the generation goes on for its readers here alone, when the store has lost the key to somebody else.
    `on_answer` hears from the store how others have ended this epoch (None: not), and how many replicas read along.
    """

    def __init__(
        self,
        log: Log,
        *,
        key: str,
        fingerprint: str,
        store: LogStore,
        on_answer: Callable[[End | None, int], None],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._on_answer = on_answer
        self._log = log
        self._key = key
        self._fingerprint = fingerprint
        self._store = store
        self._shipped = 0
        self._end: End | None = None
        self._give_up_s: float | None = None
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Begin to ship."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    def finish(self, end: End) -> None:
        """Ship what is left and this end, then stop."""
        self._end = end
        self._give_up_s = asyncio.get_running_loop().time() + GIVE_UP_S
        self._ended.set()

    async def _run(self) -> None:
        while True:
            await self._until_due()
            try:
                if await self._ship():
                    return
            except StoreUnavailableError as error:
                _logger.warning("streamgap relay: the log store cannot be reached, and will be asked again: %s", error)
                if self._give_up_s is not None and asyncio.get_running_loop().time() > self._give_up_s:
                    return
                await asyncio.sleep(self._store.renew_s)

    async def _until_due(self) -> None:
        """Wait for the first new entry and then `linger_s` for its company, but no longer than `renew_s` in all."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._store.renew_s):
                if self._store.linger_s < self._store.renew_s:
                    while self._log.last == self._shipped and not self._ended.is_set():
                        await self._log.changed()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._store.linger_s):
                            await self._ended.wait()
                else:
                    await self._ended.wait()

    async def _ship(self) -> bool:
        """Append what is new; return whether there is nothing left to do for the store."""
        log = self._log
        self._shipped = max(self._shipped, log.first - 1)  # it may have slid on while the store was away
        entries = log.payloads(self._shipped, at_most=MAX_BATCH)
        shipped = self._shipped + len(entries)
        end = self._end if shipped == log.last else None
        answer = await self._store.append(
            self._key, epoch=log.epoch, first=self._shipped + 1, entries=entries, keep_from=log.first, end=end
        )
        if answer.kept is Kept.OK:
            self._shipped = shipped
            self._on_answer(None, answer.readers)
            return end is not None
        if answer.kept is Kept.GAP and answer.standing is not None:
            self._shipped = answer.standing.seq
            return False
        if answer.kept is Kept.GONE:
            return not await self._restored()
        self._on_answer(_ended_by_others(answer, log.epoch), 0)
        return True

    async def _restored(self) -> bool:
        """Put the key back after the store lost it; false where somebody else has begun anew meanwhile."""
        if not await self._store.restore(self._key, epoch=self._log.epoch, fingerprint=self._fingerprint):
            _logger.warning("streamgap relay: the store lost a generation, and another replica has started it again")
            return False
        self._shipped = self._log.first - 1
        return True


def _ended_by_others(answer: Appended, epoch: int) -> End:
    standing = answer.standing
    if standing is not None and standing.epoch == epoch and standing.over:
        return End(standing.status, standing.reason)
    return LOST
