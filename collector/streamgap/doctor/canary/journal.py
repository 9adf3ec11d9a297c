"""One line of JSON for each change of a route's state, on standard error."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

MAX_VALUE = 256

Clock = Callable[[], float]


class Journal:
    """Writes events to `stream`; `unix_s` is the clock that stamps them."""

    def __init__(self, stream: TextIO, *, unix_s: Clock) -> None:
        self._stream = stream
        self._unix_s = unix_s

    def say(self, event: str, **fields: str | float | None) -> None:
        """Write one line. What a server sent can neither break it nor steer a terminal: it is ASCII, and cut."""
        at = datetime.fromtimestamp(self._unix_s(), UTC).isoformat(timespec="milliseconds")
        cut = {key: value[:MAX_VALUE] if isinstance(value, str) else value for key, value in fields.items()}
        line = json.dumps({"time": at, "event": event} | {key: v for key, v in cut.items() if v is not None})
        self._stream.write(line.replace("\x7f", "\\u007f") + "\n")
        self._stream.flush()
