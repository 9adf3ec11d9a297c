"""What a log store promises. tests/relay/store_contract.py holds every store to it."""

from collections.abc import Sequence
from typing import Protocol

from streamgap.core.errors import StreamgapError
from streamgap.relay.states import Appended, Claim, End, Page, Standing


class StoreUnavailableError(StreamgapError):
    """The store could not be asked, or did not answer in time. Whether it has done what it was asked is unknown."""


class LogStore(Protocol):
    """Keeps the logs of generations by key, for all replicas.

    Every call is atomic; each may raise StoreUnavailableError, and repeating it is always safe. The store's own clock
    counts: a running epoch whose owner has appended nothing (not even nothing, see `append`) for `lease_s` is found
    failed, with reason `owner_lost`, by the next `claim`, `read` or `stop`. If the owner's own late `append` comes
    first, nobody has missed it, and it goes on. An epoch that is over is kept for `keep_s`, a silent one that nobody
    looks at for `lease_s` + `keep_s`.

    `linger_s`: how long an owner may gather entries before it appends them. `renew_s`: how often it appends at least.
    """

    linger_s: float
    renew_s: float

    async def claim(self, key: str, *, fingerprint: str, may_start: bool, retry: bool = False) -> Claim:
        """Ask to run the generation of `key`; `started` and `restarted` say that the caller is its owner now.

        | the key is | answer |
        |---|---|
        | unknown | `started` at a drawn epoch; `absent` without `may_start`; `full` where there is no room |
        | known with another fingerprint (where both have one: "" matches any) | `mismatch` |
        | running | `attached` |
        | done | `replayed` |
        | failed before any entry | `restarted` at the next epoch; `replayed` without `may_start` |
        | failed after that, or stopped | `replayed`; `restarted` at the next epoch with `retry` and `may_start` |

        After `max_epochs` epochs nothing is restarted any more: `replayed`. The repetition of a claim whose answer was
        lost is `attached`, to an owner that nobody is, until its lease is over.
        """
        ...

    async def append(
        self, key: str, *, epoch: int, first: int, entries: Sequence[bytes], keep_from: int = 1, end: End | None = None
    ) -> Appended:
        """Append entries `first`, `first` + 1, … as the owner of `epoch`, and renew the lease.

        Entries that are there already are skipped, so that an append whose answer was lost can be repeated; entries
        below `keep_from` are dropped. With `end` the epoch is over afterwards, in the same step; repeated with the same
        end and no new entries, that is `ok` too. `fenced`: the epoch is over or no longer the newest. `gone`: the store
        does not know the key (it lost it); see `restore`. `gap`: entries between `standing.seq` and `first` are missing
        (it lost them) and not below `keep_from`; append again from `standing.seq` + 1. Only `ok` changes anything.
        """
        ...

    async def restore(self, key: str, *, epoch: int, fingerprint: str) -> bool:
        """Put a key that is gone back as running at `epoch`, without entries; false where somebody else was faster.

        Where it is running at `epoch` already, nothing changes and the answer is true.
        """
        ...

    async def read(self, key: str, *, epoch: int, after: int, wait_s: float) -> Page | None:
        """Return the entries of `epoch` after number `after`, waiting up to `wait_s` seconds for one to come.

        Returns early, perhaps without entries, once the epoch is over, is not the newest, or `after` is below what is
        kept; an owner's silence is found when the wait is over, if not before. The page begins at `after` + 1, or at
        `standing.first` where that is later. It may leave later entries to the next call, and of another epoch than the
        newest it has none: ask again for the one in `standing`. None where the key is unknown.
        """
        ...

    async def stop(self, key: str, *, reason: str) -> Standing | None:
        """End a running epoch as `stopped`, and return where the key stands; None where it is unknown.

        One that is over stays as it is.
        """
        ...

    async def attend(self, key: str, *, replica: str, for_s: float) -> None:
        """Tell the owner for the next `for_s` seconds that readers at `replica` listen; 0: no more."""
        ...

    async def close(self) -> None:
        """Give back connections. What is stored stays."""
        ...
