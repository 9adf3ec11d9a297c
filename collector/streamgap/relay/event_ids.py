"""Event ids of a relayed stream: `<epoch>.<seq>`, and `<epoch>.end` for the event that ends it."""

import re
from dataclasses import dataclass

_ID = re.compile(r"([1-9][0-9]{0,8})\.(end|0|[1-9][0-9]{0,8})")
_END = "end"


@dataclass(frozen=True, slots=True)
class EventId:
    """A place in a log: after entry `seq` (0: before the first) of `epoch`, or past its end (None)."""

    epoch: int
    seq: int | None

    def __str__(self) -> str:
        return f"{self.epoch}.{_END if self.seq is None else self.seq}"


def parse_event_id(text: str) -> EventId:
    """Read a `Last-Event-ID`. Raises ValueError for one that this relay has never sent."""
    match = _ID.fullmatch(text)
    if match is None:
        raise ValueError(f"Last-Event-ID: expected <epoch>.<seq> or <epoch>.end, got {text[:40]!r}")
    epoch, seq = match.groups()
    return EventId(int(epoch), None if seq == _END else int(seq))
