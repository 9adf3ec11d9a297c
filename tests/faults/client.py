"""A client that keeps score: it reads, reconnects where it left off, and holds what it gets to what is promised."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from faults.replica import Replica
from instrument.lab import send_request
from relay.page import Page, Told
from streamgap.core.sse_events import Event
from streamgap.core.words import MODEL_CALLS

PATIENCE_S = 30.0
RECONNECT_S = 0.1


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what other processes bring about; nobody waits for longer than `PATIENCE_S`."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110, what happens in other processes sets no event of this loop
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE_S} s for {what}") from None


class Client(Page):
    """A page with its connections.

    `opened` has what each connection was told of how it came by its answer, and the epoch; `statuses` the HTTP status
    of each; `retries_ms` the reconnection times.
    """

    def __init__(self, cid: str, *, pace: str, told: Told, route: str = "/chat") -> None:
        super().__init__(cid, told=told, wrong=_fail)
        self.opened: list[tuple[str, int]] = []
        self.statuses: list[int] = []
        self.retries_ms: list[int] = []
        self.headers: list[str] = []
        self._path = f"{route}?cid={cid}&prompt={pace}%20{cid}"

    @property
    def text(self) -> str:
        """What the page shows."""
        return "".join(self._told.texts[self.cid, self.epoch, seq] for seq in range(1, self.seq + 1))

    @property
    def starts(self) -> set[int]:
        """The epochs for which it was told that its request called the model."""
        return {epoch for result, epoch in self.opened if result in MODEL_CALLS}

    @property
    def status(self) -> str:
        """How the answer ended, with the reason; empty while it has not."""
        return f"{self.end['status']} {self.end['reason']}".strip() if self.end else ""

    async def read(self, replica: Replica, *, retry: bool = False, method: str = "GET") -> None:
        """Connect once, and read until the connection ends, however it does."""
        headers = ["Accept: text/event-stream", *([f"Last-Event-ID: {self.last}"] if self.last else [])]
        self.connect()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            visit = await send_request(
                replica.port, self._path + ("&retry=1" if retry else ""), method=method, headers=headers
            )
            try:
                visit.head = (await _bounded(visit.reader.readuntil(b"\r\n\r\n"))).decode("latin-1")
                self.headers = visit.head.splitlines()
                self.statuses.append(visit.status)
                taken = 0
                while await _bounded(visit._more()):
                    if visit.status == 200:
                        self.take(visit.body[taken:])
                    taken = len(visit.body)
            finally:
                visit.writer.close()

    async def follow(self, *replicas: Replica, retry: bool = False) -> "Client":
        """Read to an explicit end over as many connections as that takes, each to the next of `replicas`."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                for replica in itertools.cycle(replicas):
                    await self.read(replica, retry=retry)
                    if self.is_past_end or self.statuses[-1:] == [204]:
                        return self
                    await asyncio.sleep(RECONNECT_S)
        except TimeoutError:
            raise AssertionError(f"no end for {self.cid} at {self.last!r} in {PATIENCE_S} s: {self.opened}") from None
        raise AssertionError("follow: expected replicas to connect to, got none")

    async def has(self, entries: int) -> None:
        """Wait until it has read so many entries, or more."""
        await until(lambda: self.seq >= entries, f"entry {entries} of {self.cid}")

    async def is_open(self) -> None:
        """Wait until it has been told whose answer it reads."""
        await until(lambda: self.opened, f"sg-open of {self.cid}")

    def _dispatch(self, event: Event) -> None:
        super()._dispatch(event)
        if event.type == "sg-open":
            data: dict[str, Any] = json.loads(event.data or "")
            self.opened.append((data["result"], data["epoch"]))
        if event.retry_ms is not None:
            self.retries_ms.append(event.retry_ms)


async def _bounded(reading: Awaitable[Any]) -> Any:
    """Give up a connection on which nothing comes: nobody shall hang."""
    async with asyncio.timeout(PATIENCE_S):
        return await reading


def _fail(what: str) -> None:
    raise AssertionError(what)
