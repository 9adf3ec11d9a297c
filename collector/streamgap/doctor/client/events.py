"""Events as the evidence counts them: a drip's by the numbers they carry, any other stream's in the order they came."""

from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import msgspec

from streamgap.core.probe import AppView
from streamgap.core.sse_events import Event

OPEN_EVENT = "drip-open"
DONE_DATA = "[DONE]"
DONE_EVENTS = frozenset({"done", "end", "sg-end", "message_stop", "response.completed"})
MAX_RUNS = 16
MAX_ECHOED = 128

T = TypeVar("T", bound=msgspec.Struct)
_Index = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
_Millis = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class _Opened(msgspec.Struct):
    run: _Text = ""
    expected: _Index | None = None
    protocol: _Text = ""
    method: _Text = ""
    headers: list[tuple[_Text, _Text]] = []
    in_flight: _Index = 0


class _Numbered(msgspec.Struct):
    r: _Text
    i: _Index
    t: _Millis


class _Done(msgspec.Struct):
    r: _Text = ""


@dataclass(slots=True, kw_only=True)
class Content:
    """What the events said. `others` counts those of a drip that are neither numbered nor known: a hop added them."""

    is_drip: bool
    run: str = ""
    runs: list[str] = field(default_factory=list)
    expected: int | None = None
    seen: AppView | None = None
    done: bool = False
    others: int = 0
    _next: int = 0

    def take(self, event: Event) -> tuple[int, float | None] | None:
        """Return number and write offset in ms (None: unknown) of an event with content, None for any other event."""
        if event.data is None:
            return None
        if event.type == OPEN_EVENT and self._opens(event.data):
            return None
        if event.type in DONE_EVENTS or event.data.strip() == DONE_DATA:
            self.done = True
            self._note_run(_read(event.data, _Done))
            return None
        return self._numbered(event.data) if self.is_drip else self._counted()

    def _opens(self, data: str) -> bool:
        opened = _read(data, _Opened)
        if opened is None:
            return False
        self.is_drip = True
        if self.seen is None:
            self.run, self.expected = opened.run, opened.expected
            self.seen = AppView(
                protocol=opened.protocol,
                method=opened.method,
                headers=tuple(opened.headers[:MAX_ECHOED]),
                in_flight=opened.in_flight,
            )
        self._add_run(opened.run)
        return True

    def _numbered(self, data: str) -> tuple[int, float | None] | None:
        numbered = _read(data, _Numbered)
        if numbered is None:
            self.others += 1
            return None
        self._add_run(numbered.r)
        return numbered.i, numbered.t

    def _counted(self) -> tuple[int, None]:
        index, self._next = self._next, self._next + 1
        return index, None

    def _note_run(self, done: _Done | None) -> None:
        if self.is_drip and done is not None:
            self._add_run(done.r)

    def _add_run(self, run: str) -> None:
        if run and run not in self.runs and len(self.runs) < MAX_RUNS:
            self.runs.append(run)


def _read(data: str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
