"""The log store of a single process."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from streamgap.core.errors import SettingsError
from streamgap.relay.limits import MIB
from streamgap.relay.states import OWNER_LOST, Appended, Claim, Claimed, End, Kept, Page, Standing, Status, draw_epoch
from streamgap.relay.stored_log import StoredLog


class MemoryStore:
    """`LogStore` in this process, for relays on one event loop.

    `keep_s` seconds after its end a log is forgotten, by the next call of any kind; where none comes, by a timer, at
    most `keep_s` later. The logs together hold `max_bytes` of payload: past it the oldest that are over are dropped
    before their time, then no key is started any more (`full`). What runs is never dropped; the limits of its owner
    bound it. Not counted is what Python adds to each entry, some 40 bytes. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        lease_s: float = 60.0,
        renew_s: float = 15.0,
        keep_s: float = 120.0,
        max_epochs: int = 3,
        max_bytes: int = 256 * MIB,
        clock: Callable[[], float] = time.monotonic,
        draw_epoch: Callable[[], int] = draw_epoch,
    ) -> None:
        if not 0 < renew_s < lease_s:
            raise SettingsError(
                f"MemoryStore renew_s: expected seconds > 0 and < lease_s ({lease_s!r}), got {renew_s!r}; "
                "try a fifth of the lease"
            )
        for name, value in (("keep_s", keep_s), ("max_epochs", max_epochs), ("max_bytes", max_bytes)):
            if not value > 0:
                raise SettingsError(f"MemoryStore {name}: expected a number > 0, got {value!r}")
        self.renew_s = renew_s
        self.linger_s = renew_s  # readers here need no copy sooner: there is no way to it but through this process
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._max_epochs = max_epochs
        self._max_bytes = max_bytes
        self._clock = clock
        self._draw_epoch = draw_epoch
        # Both in the order of `since_s`, so that what is due is in front.
        self._running: OrderedDict[str, StoredLog] = OrderedDict()
        self._over: OrderedDict[str, StoredLog] = OrderedDict()
        self._payload_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    async def claim(self, key: str, *, fingerprint: str, may_start: bool, retry: bool = False) -> Claim:
        """See `LogStore.claim`."""
        log, lost = self._look(key)
        if log is None:
            return self._start(key, fingerprint) if may_start else Claim(Claimed.ABSENT, None)
        if fingerprint and log.fingerprint not in ("", fingerprint):
            result = Claimed.MISMATCH
        elif log.end is None:
            result = Claimed.ATTACHED
        elif may_start and log.attempts < self._max_epochs and log.may_restart(retry=retry):
            log = self._restart(key, log)
            result = Claimed.RESTARTED
        else:
            result = Claimed.REPLAYED
        return Claim(result, log.standing(lost=lost))

    async def append(
        self, key: str, *, epoch: int, first: int, entries: Sequence[bytes], keep_from: int = 1, end: End | None = None
    ) -> Appended:
        """See `LogStore.append`."""
        log = self._find(key)
        if log is None:
            return Appended(Kept.GONE, None)
        last = first + len(entries) - 1
        refusal = log.refusal(epoch=epoch, first=first, last=last, keep_from=keep_from, end=end)
        if refusal is not None:
            return Appended(refusal, log.standing())
        if log.end is None:
            self._payload_bytes += log.take(first, entries, keep_from=keep_from)
            log.since_s = self._clock()
            self._running.move_to_end(key)
            log.wake()
            if end is not None:
                self._finish(key, log, end)
            self._make_room()
        return Appended(Kept.OK, log.standing(), log.count_readers(self._clock()))

    async def restore(self, key: str, *, epoch: int, fingerprint: str) -> bool:
        """See `LogStore.restore`."""
        log = self._find(key)
        if log is None:
            self._run(key, StoredLog(epoch, fingerprint=fingerprint, now_s=self._clock()))
            return True
        return log.epoch == epoch and log.end is None

    async def read(self, key: str, *, epoch: int, after: int, wait_s: float) -> Page | None:
        """See `LogStore.read`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            log, lost = self._look(key)
            if log is None:
                return None
            page = log.page(epoch, after, lost=lost)
            left_s = until_s - loop.time()
            has_news = page.entries or page.first > after + 1 or epoch != log.epoch or log.end is not None
            if has_news or left_s <= 0:
                return page
            await log.changed(within_s=left_s)

    async def stop(self, key: str, *, reason: str) -> Standing | None:
        """See `LogStore.stop`."""
        log, lost = self._look(key)
        if log is None:
            return None
        if log.end is None:
            self._finish(key, log, End(Status.STOPPED, reason))
        return log.standing(lost=lost)

    async def attend(self, key: str, *, replica: str, for_s: float) -> None:
        """See `LogStore.attend`."""
        log = self._find(key)
        if log is not None:
            log.readers[replica] = self._clock() + for_s

    async def close(self) -> None:
        """See `LogStore.close`: there are no connections."""

    def _find(self, key: str) -> StoredLog | None:
        self._forget_what_is_due()
        return self._running.get(key) or self._over.get(key)

    def _look(self, key: str) -> tuple[StoredLog | None, bool]:
        """Find a log, and whether this very look found its owner lost."""
        log = self._find(key)
        lost = log is not None and log.end is None and log.since_s + self._lease_s <= self._clock()
        if log is not None and lost:
            self._finish(key, log, End(Status.FAILED, OWNER_LOST))
        return log, lost

    def _start(self, key: str, fingerprint: str) -> Claim:
        self._make_room()
        if self._payload_bytes > self._max_bytes:
            return Claim(Claimed.FULL, None)
        log = StoredLog(self._draw_epoch(), fingerprint=fingerprint, now_s=self._clock())
        self._run(key, log)
        return Claim(Claimed.STARTED, log.standing())

    def _restart(self, key: str, old: StoredLog) -> StoredLog:
        log = StoredLog(old.epoch + 1, fingerprint=old.fingerprint, now_s=self._clock())
        log.attempts = old.attempts + 1
        log.readers = old.readers
        self._drop(key)
        self._run(key, log)
        return log

    def _run(self, key: str, log: StoredLog) -> None:
        self._running[key] = log
        self._arm()

    def _finish(self, key: str, log: StoredLog, end: End) -> None:
        log.end = end
        log.since_s = self._clock()
        self._over[key] = self._running.pop(key)
        log.wake()

    def _make_room(self) -> None:
        while self._payload_bytes > self._max_bytes and self._over:
            self._drop(next(iter(self._over)))

    def _drop(self, key: str) -> None:
        log = self._running.pop(key, None) or self._over.pop(key)
        self._payload_bytes -= sum(map(len, log.entries))

    def _forget_what_is_due(self) -> None:
        now_s = self._clock()
        for logs, kept_s in ((self._over, self._keep_s), (self._running, self._lease_s + self._keep_s)):
            while logs:
                key, log = next(iter(logs.items()))
                if log.since_s + kept_s > now_s:
                    break
                self._drop(key)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._keep_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._forget_what_is_due()
        if self._running or self._over:
            self._arm()
