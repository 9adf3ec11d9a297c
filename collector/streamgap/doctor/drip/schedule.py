"""What a drip writes when: pure, and shared by all its faces, so that ASGI and WSGI cannot differ."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamgap.core.probe import AppView, Hint, Pace
from streamgap.doctor.drip.events import OPENING, done, heartbeat, numbered, opened

_BEAT_BYTES = len(heartbeat(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The stream that is asked for.

    The first event of a segment comes `silence_ms` after the event before it (or after the request); without a silence
    it comes as all others do, `gap_ms` after it, and the very first at once. In every wait a comment of 5 +
    `padding_bytes` bytes is sent each `heartbeat_ms` (0: none). With `Hint.OPENING` a comment opens the stream.
    """

    segments: Pace
    hints: frozenset[Hint] = frozenset()
    heartbeat_ms: float = 0.0
    padding_bytes: int = 0

    @property
    def expected(self) -> int:
        """How many numbered events."""
        return sum(segment.count for segment in self.segments)

    @property
    def waits_ms(self) -> tuple[tuple[float, float, int], ...]:
        """For each segment: the wait before its first event, before each other, and how many others there are."""
        return tuple(
            (segment.silence_ms or (segment.gap_ms if nth else 0.0), segment.gap_ms, segment.count - 1)
            for nth, segment in enumerate(self.segments)
        )

    @property
    def total_ms(self) -> float:
        """The offset at which the last event is due."""
        return math.fsum(first + others * gap for first, gap, others in self.waits_ms)

    @property
    def total_bytes(self) -> int:
        """The size of all events and heartbeats; what opens and ends the stream comes on top."""
        beats = sum(self.beats_in(first) + others * self.beats_in(gap) for first, gap, others in self.waits_ms)
        events = sum(segment.count * segment.size_bytes for segment in self.segments)
        return events + beats * (_BEAT_BYTES + self.padding_bytes)

    def beats_in(self, wait_ms: float) -> int:
        """How many heartbeats go out in a wait: those that are due before its end."""
        return max(0, math.ceil(wait_ms / self.heartbeat_ms) - 1) if self.heartbeat_ms else 0


@dataclass(frozen=True, slots=True)
class Step:
    """One write: due `at_ms` after the request, and the bytes, made of the offset (ms) at which they really leave."""

    at_ms: float
    make: Callable[[float], bytes]


def steps(plan: Plan, *, run: str, view: Callable[[], AppView]) -> Iterator[Step]:
    """Yield the writes of a plan in order; `view` is asked when event 0 is written.

    Offsets are sums of the plan's waits: what one write comes late, the next ones make up for.
    """
    if Hint.OPENING in plan.hints:
        yield Step(0.0, lambda _t_ms: OPENING)
    at_ms, index = 0.0, 0
    for segment, (first, gap, _) in zip(plan.segments, plan.waits_ms, strict=True):
        for nth in range(segment.count):
            wait_ms = gap if nth else first
            yield from _beats(plan, from_ms=at_ms, wait_ms=wait_ms)
            at_ms += wait_ms
            yield _event(plan, index, at_ms=at_ms, size_bytes=segment.size_bytes, run=run, view=view)
            index += 1
    yield Step(at_ms, lambda t_ms: done(index, run=run, t_ms=t_ms))


def _beats(plan: Plan, *, from_ms: float, wait_ms: float) -> Iterator[Step]:
    for nth in range(plan.beats_in(wait_ms)):
        yield Step(from_ms + (nth + 1) * plan.heartbeat_ms, lambda _t_ms: heartbeat(plan.padding_bytes))


def _event(plan: Plan, index: int, *, at_ms: float, size_bytes: int, run: str, view: Callable[[], AppView]) -> Step:
    def make(t_ms: float) -> bytes:
        # With event 0 and not before it: the app's view must not count as early content.
        before = b"" if index else opened(view(), run=run, expected=plan.expected)
        return before + numbered(index, size_bytes=size_bytes, run=run, t_ms=t_ms)

    return Step(at_ms, make)
