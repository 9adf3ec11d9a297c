"""What one page has read, over all of its connections, held to what the relay promises."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streamgap.core.sse_events import Event, EventParser


@dataclass
class Told:
    """What all pages together were told: the text of each entry, and which model call an epoch is."""

    texts: dict[tuple[str, int, int], str] = field(default_factory=dict)
    calls: dict[tuple[str, int], int] = field(default_factory=dict)


class Page:
    """A page that reconnects as an `EventSource` does. It reports whatever is not as promised to `wrong`."""

    def __init__(self, cid: str, *, told: Told, wrong: Callable[[str], None]) -> None:
        self.cid = cid
        self.last = ""
        self.epoch = 0
        self.seq = 0
        self.call: int | None = None
        self.end: dict[str, Any] | None = None
        self._told = told
        self._report = wrong
        self._left: set[int] = set()
        self._parser = EventParser()

    @property
    def is_past_end(self) -> bool:
        """Whether it was told that nothing will ever follow."""
        return self.last.endswith(".end")

    def connect(self) -> None:
        """Begin a connection: what the one before left unfinished is no event."""
        self._parser = EventParser()
        self.end = None

    def take(self, body: bytes) -> None:
        """Take bytes, cut anywhere."""
        for event in self._parser.feed(body):
            if self.end is not None:
                self._wrong(f"after its end: {event}")
            self._dispatch(event)
            if event.id is not None:
                self.last = event.id

    def _dispatch(self, event: Event) -> None:
        data: Any = None if event.data is None else json.loads(event.data)
        if event.unknown or event.truncated:
            self._wrong(f"no event: {event}")
        match event.type:
            case "message" if data is None:
                self._prime(event.id)
            case "message":
                self._read(event.id, data["t"])
            case "sg-reset":
                self._reset(event.id, data["epoch"])
            case "sg-end":
                self._end(event.id, data)
            case "sg-open" | "sg-ping":
                if event.id is not None:
                    self._wrong(f"{event.type} with an id: {event}")
            case _:
                self._wrong(f"an event of no known type: {event}")

    def _prime(self, event_id: str | None) -> None:
        if event_id is None:
            return
        if not self.last:
            epoch, _, seq = event_id.partition(".")
            self.epoch = int(epoch)
            if seq != "0":
                self._wrong(f"a new page was put to {event_id}")
        elif event_id != self.last:
            self._wrong(f"was at {self.last}, and put to {event_id} without a reset")

    def _read(self, event_id: str | None, text: str) -> None:
        self.seq += 1
        if event_id != f"{self.epoch}.{self.seq}":
            self._wrong(f"expected entry {self.epoch}.{self.seq}, got {event_id}")
        if self._told.texts.setdefault((self.cid, self.epoch, self.seq), text) != text:
            self._wrong(f"two texts for entry {event_id}")
        call, _, number = text.partition(":")
        self.call = int(call)
        if self._told.calls.setdefault((self.cid, self.epoch), self.call) != self.call:
            self._wrong(f"two calls of the model in epoch {self.epoch}")
        if int(number) != self.seq:
            self._wrong(f"entry {event_id} is what the model said as number {number}")

    def _reset(self, event_id: str | None, epoch: int) -> None:
        self._left.add(self.epoch)
        if epoch in self._left or event_id != f"{epoch}.0":
            self._wrong(f"was sent from epoch {self.epoch} back to {event_id}")
        self.epoch, self.seq, self.call = epoch, 0, None

    def _end(self, event_id: str | None, end: dict[str, Any]) -> None:
        self.end = end
        resumable = end["reason"] in ("store", "shutdown")
        if event_id is None and not resumable:
            self._wrong(f"an end without an id: {end}")
        if end["status"] == "done" and end["n"] != self.seq:
            self._wrong(f"has {self.seq} entries of an answer that is done with {end['n']}")

    def _wrong(self, what: str) -> None:
        self._report(f"page of {self.cid} at {self.epoch}.{self.seq}: {what}")
