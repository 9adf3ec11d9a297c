"""A log as `MemoryStore` keeps it."""

import asyncio
from collections.abc import Sequence

from streamgap.relay.states import End, Kept, Page, Standing, Status


class StoredLog:
    """What is stored under one key: its newest epoch, `end` None while that runs.

    `since_s` is the time of its last append and, once it is over, that of its end; `readers` the time until which each
    replica reads along.
    """

    __slots__ = ("attempts", "change", "end", "entries", "epoch", "fingerprint", "first", "readers", "since_s")

    def __init__(self, epoch: int, *, fingerprint: str, now_s: float) -> None:
        self.epoch = epoch
        self.fingerprint = fingerprint
        self.attempts = 1
        self.first = 1
        self.entries: list[bytes] = []
        self.end: End | None = None
        self.since_s = now_s
        self.readers: dict[str, float] = {}
        self.change: asyncio.Future[None] | None = None

    @property
    def seq(self) -> int:
        """Number of the last entry; 0 before the first."""
        return self.first + len(self.entries) - 1

    def standing(self, *, lost: bool = False) -> Standing:
        """Say where the key stands; `lost`: to whoever has just found that its owner is."""
        status, reason = (self.end.status, self.end.reason) if self.end else (Status.RUNNING, "")
        return Standing(
            epoch=self.epoch,
            fingerprint=self.fingerprint,
            status=status,
            reason=reason,
            seq=self.seq,
            first=self.first,
            lost=lost,
        )

    def may_restart(self, *, retry: bool) -> bool:
        """Whether the next epoch may follow this one, as far as its end goes."""
        if self.end is None or self.end.status is Status.DONE:
            return False
        return retry or (self.end.status is Status.FAILED and self.seq == 0)

    def refusal(self, *, epoch: int, first: int, last: int, keep_from: int, end: End | None) -> Kept | None:
        """Say why an append cannot be taken, None where it can or has been."""
        if epoch != self.epoch or (self.end is not None and (end != self.end or last > self.seq)):
            return Kept.FENCED
        return Kept.GAP if first > max(self.seq + 1, keep_from) else None

    def take(self, first: int, entries: Sequence[bytes], *, keep_from: int) -> int:
        """Add what is new and drop what is below `keep_from`; return by how many bytes the payload has grown."""
        if first > self.seq + 1:
            grown = self._drop_below(first)
            self.first = first
        else:
            grown = 0
        new = entries[self.seq + 1 - first :]
        self.entries += new
        return grown + sum(map(len, new)) + self._drop_below(keep_from)

    def page(self, epoch: int, after: int, *, lost: bool) -> Page:
        """Return what follows number `after` of `epoch`, and is here."""
        if epoch != self.epoch:
            return Page(self.standing(lost=lost), after + 1)
        first = max(after + 1, self.first)
        return Page(self.standing(lost=lost), first, self.entries[first - self.first :])

    def count_readers(self, now_s: float) -> int:
        """Forget the replicas whose time is over, and count the others."""
        self.readers = {replica: until_s for replica, until_s in self.readers.items() if until_s > now_s}
        return len(self.readers)

    def wake(self) -> None:
        """Tell everybody who awaits `changed`."""
        if self.change is not None:
            self.change.set_result(None)
            self.change = None

    async def changed(self, *, within_s: float) -> None:
        """Return after the next `wake`, or after `within_s` seconds."""
        if self.change is None:
            self.change = asyncio.get_running_loop().create_future()
        # Not awaited itself: other readers wait for the same future, and must not be cancelled with one of them.
        await asyncio.wait((self.change,), timeout=within_s)

    def _drop_below(self, number: int) -> int:
        """Drop entries below a number; return the change in bytes, 0 or less."""
        dropped = self.entries[: max(0, number - self.first)]
        del self.entries[: len(dropped)]
        self.first += len(dropped)
        return -sum(map(len, dropped))
