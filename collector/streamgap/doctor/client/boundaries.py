"""Where in a body each event ends: the parser tells events, not offsets."""

import re
from collections.abc import Iterator

from streamgap.core.sse_events import Event, EventParser

# A line end and those that follow it at once: an event ends in such a run, and no run ends two.
_RUN = re.compile(rb"(?:\r\n|\r|\n)+")
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Boundaries:
    """Turns decoded bytes, cut anywhere, into events with the offset just behind each one's blank line."""

    def __init__(self) -> None:
        self._parser = EventParser()
        self._bytes = 0
        self._before = b"\n"  # the byte before, a line begins the body

    def feed(self, data: bytes) -> Iterator[tuple[Event, int]]:
        """Yield the events that `data` completed."""
        start = 0
        for run in _RUN.finditer(data):
            if end := self._blank_line_in(run):
                for event in self._parser.feed(data[start : run.end()]):
                    yield event, self._bytes + end
                start = run.end()
        for event in self._parser.feed(data[start:]):
            yield event, self._bytes + len(data)
        self._bytes += len(data)
        self._before = data[-1:] or self._before

    def _blank_line_in(self, run: re.Match[bytes]) -> int:
        """Return the offset behind the line end that makes a blank line, 0 where the run holds none."""
        needed = 2
        if run.start() == 0 and self._before in b"\r\n":
            needed = 2 if self._before == b"\r" and run[0][:1] == b"\n" else 1  # CR LF that was cut in the middle
        ends = _LINE_END.finditer(run[0])
        for _ in range(needed - 1):
            next(ends, None)
        last = next(ends, None)
        return run.start() + last.end() if last else 0
