"""Where a request reads its generation: an owner's or a follower's log, and the readers it has in this process."""

import asyncio

from streamgap.core.words import GenerationResult
from streamgap.instrument.generation import Generation
from streamgap.relay.log import Log
from streamgap.relay.stalls import Reader
from streamgap.relay.states import Standing, Status


class Source:
    """One log, and who reads it here. Its two kinds are `Owner` and `Follower`.

    `generation` is what was measured of the model call, where it ran here.
    """

    generation: Generation | None = None

    def __init__(self, log: Log, *, key: str, fingerprint: str) -> None:
        self.log = log
        self.key = key
        self.fingerprint = fingerprint
        self.readers: set[Reader] = set()

    def join(self, reader: Reader) -> None:
        """Count a reader in."""
        self.readers.add(reader)

    def leave(self, reader: Reader) -> None:
        """Count a reader out."""
        self.readers.discard(reader)

    @property
    def serves(self) -> GenerationResult | None:
        """How it serves requests; None for one that ended in a way that may be left behind."""
        if self.log.farewell is None:
            return GenerationResult.ATTACHED
        return GenerationResult.REPLAYED if self.log.farewell.status == Status.DONE else None

    def is_newest(self, standing: Standing | None) -> bool:
        """Whether the store, which says where the key stands, knows of no other epoch than this one."""
        return standing is None or standing.epoch == self.log.epoch

    @property
    def is_done(self) -> bool:
        """Whether it may be forgotten once nobody reads it."""
        raise NotImplementedError

    @property
    def work(self) -> list[asyncio.Task[None]]:
        """The tasks that have not done yet what is to be done for this log."""
        raise NotImplementedError
