"""What is known of one generation, and what may be done with it: the words that stores, owners and readers share."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from secrets import randbelow

OWNER_LOST = "owner_lost"
"""Reason of a failure: the process that ran the generation went silent for longer than its lease."""
CLIENT_LEFT = "client_left"
"""Reason of a stop: everybody had left for longer than the grace."""
STOP_ASKED = "asked"
"""Reason of a stop: somebody asked for it."""


_FIRST_EPOCHS = 999_000_000


def draw_epoch() -> int:
    """Draw the first epoch of a key that is unknown, at random, at most nine digits with its restarts.

    A store forgets: after its time, or by an accident. Were every first epoch 1, a client that comes back from before
    with `1.60` would read on after entry 60 of another text.
    """
    return 1 + randbelow(_FIRST_EPOCHS)


class Status(StrEnum):
    """Where a generation stands. Every one but `running` is the end of its epoch."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a store knows of the newest epoch of one key.

    `epoch` is drawn for the first attempt (`draw_epoch`) and is one more after each restart. `seq` is the number of its
    last entry (0: nothing was ever appended), `first` that of the oldest entry still kept (`seq` + 1: none is).
    `fingerprint` is a digest of what was asked. `lost` is true in exactly one answer: the one whose question turned a
    silent owner's generation into a failed one.
    """

    epoch: int
    fingerprint: str
    status: Status = Status.RUNNING
    reason: str = ""
    seq: int = 0
    first: int = 1
    lost: bool = False

    @property
    def over(self) -> bool:
        """Whether this epoch has come to its end."""
        return self.status is not Status.RUNNING


class Claimed(StrEnum):
    """What became of a claim."""

    STARTED = "started"
    RESTARTED = "restarted"
    ATTACHED = "attached"
    REPLAYED = "replayed"
    MISMATCH = "mismatch"
    ABSENT = "absent"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim; `standing` is None where nothing is known of the key (`absent`, `full`)."""

    result: Claimed
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class End:
    """How an owner's epoch ends."""

    status: Status
    reason: str = ""


LOST = End(Status.FAILED, OWNER_LOST)


class Kept(StrEnum):
    """What became of an append.

    `fenced` says that the epoch is over or another's, `gone` that the key is unknown, `gap` that entries between those
    of the store and those offered are missing.
    """

    OK = "ok"
    FENCED = "fenced"
    GONE = "gone"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an append: where the key stands now (None: unknown), and how many replicas are reading along."""

    kept: Kept
    standing: Standing | None
    readers: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Entries `first`, `first` + 1, … of the epoch in `standing`, in order and without gaps; perhaps none."""

    standing: Standing
    first: int
    entries: Sequence[bytes] = ()
