"""The follower of a generation that runs elsewhere, or is over: one mirror of its log for all readers here."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from streamgap.relay.farewell import EXPIRED, STORE_LOST, Farewell, farewell_of
from streamgap.relay.limits import Limits
from streamgap.relay.log import Log
from streamgap.relay.source import Source
from streamgap.relay.stalls import Reader
from streamgap.relay.states import LOST, End, Page, Standing, Status
from streamgap.relay.store import LogStore, StoreUnavailableError

WAIT_S = 1.0
"""Longest wait for the next entry; also how late a silent owner is noticed after its lease."""
ATTEND_S = 5.0
"""How long one word of ours that somebody listens here counts; it is renewed with every read."""

_logger = logging.getLogger("streamgap")


class Follower(Source):
    """Reads one epoch from the store while somebody here reads along, and tells its owner that somebody does."""

    def __init__(
        self,
        key: str,
        standing: Standing,
        *,
        store: LogStore,
        limits: Limits,
        replica: str,
        on_lost: Callable[[int], None],
    ) -> None:
        super().__init__(Log(standing.epoch, limits=limits), key=key, fingerprint=standing.fingerprint)
        self._store = store
        self._patience_s = limits.patience_s
        self._replica = replica
        self._task: asyncio.Task[None] | None = None
        self._attended = False
        self._on_lost = on_lost
        self._is_running = not standing.over
        self._heard_s = asyncio.get_running_loop().time()

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def leave(self, reader: Reader) -> None:
        """Count a reader out; without any the follower ends."""
        super().leave(reader)
        if not self.readers:
            self.end()

    def end(self) -> None:
        """Stop reading; one that has read to the end is taking its leave of the owner already."""
        if self._task is not None and self.log.farewell is None:
            self._task.cancel()

    @property
    def is_done(self) -> bool:
        """Always: another can be made from the store at any time."""
        return True

    @property
    def work(self) -> list[asyncio.Task[None]]:
        """The reading."""
        return [self._task] if self._task is not None and not self._task.done() else []

    async def _run(self) -> None:
        try:
            while self.log.farewell is None:
                try:
                    await self._read()
                except StoreUnavailableError as error:
                    _logger.warning("streamgap relay: the log store cannot be read, and will be asked again: %s", error)
                    if self._is_out_of_patience():
                        self.log.close(Farewell(status=Status.FAILED, reason=STORE_LOST, resumable=True))
                    await asyncio.sleep(WAIT_S / 4)
        except Exception:
            _logger.exception("streamgap relay: reading a generation from the log store failed")
        finally:
            # Whatever ended the reading: nobody shall wait for more of it.
            self.log.close(Farewell(status=Status.FAILED, reason=STORE_LOST, resumable=True))
            if self._attended:
                with contextlib.suppress(StoreUnavailableError):
                    await self._store.attend(self.key, replica=self._replica, for_s=0)

    async def _read(self) -> None:
        if self._is_running and self.readers:  # before we wait: a short grace may be running
            self._attended = True
            await self._store.attend(self.key, replica=self._replica, for_s=ATTEND_S)
        page = await self._store.read(self.key, epoch=self.log.epoch, after=self.log.last, wait_s=WAIT_S)
        if page is None:
            # A store does not forget what runs, it loses it: to be put back by the owner, if that lives.
            if not self._is_running or self._is_out_of_patience():
                self.log.close(Farewell(status=EXPIRED))
            else:
                await asyncio.sleep(WAIT_S / 4)
            return
        self._take(page)

    def _take(self, page: Page) -> None:
        log, standing = self.log, page.standing
        self._is_running = not standing.over
        self._heard_s = asyncio.get_running_loop().time()
        if standing.lost:
            self._on_lost(standing.epoch)
        if standing.epoch != log.epoch:
            # Nobody starts anew what has not failed: we have missed how.
            log.close(farewell_of(LOST))
            return
        if page.first > log.last + 1:
            log.skip_to(page.first)
        for entry in page.entries:
            log.append(entry)
        if standing.over and log.last >= standing.seq:
            log.close(farewell_of(End(standing.status, standing.reason)))

    def _is_out_of_patience(self) -> bool:
        return asyncio.get_running_loop().time() - self._heard_s > self._patience_s
